#include "tests/fuzz/fuzz_qcow2.h"

#include <fmt/format.h>
#include <sys/mman.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <string>
#include <utility>
#include <vector>

#include "base/check.h"
#include "devices/block/layered_disk.h"

namespace stasis::fuzz {
namespace {

using devices::BlockOperation;
using devices::BlockRequest;
using devices::LayeredDisk;

constexpr std::uint64_t kMaxFile = 1 << 20;

/// The input as a file without a name. A zero byte and a count stand for that many zeroes, so that
/// a short input can have tables far apart.
class InputFile {
 public:
  explicit InputFile(std::span<const std::uint8_t> input)
      : fd_(::memfd_create("fuzz", MFD_CLOEXEC)) {
    STASIS_CHECK(fd_.is_open());
    std::vector<std::uint8_t> bytes;
    for (std::size_t i = 0; i < input.size() && bytes.size() < kMaxFile; ++i) {
      const bool is_run = input[i] == 0 && i + 1 < input.size();
      bytes.insert(bytes.end(), is_run ? std::size_t{input[i + 1]} : 1, is_run ? 0 : input[i]);
      i += is_run ? 1 : 0;
    }
    STASIS_CHECK(::write(fd_.get(), bytes.data(), bytes.size()) ==
                 static_cast<ssize_t>(bytes.size()));
  }

  std::string path() const { return fmt::format("/proc/self/fd/{}", fd_.get()); }

 private:
  base::Fd fd_;
};

BlockRequest request(BlockOperation operation, std::uint64_t offset, std::span<std::byte> bytes) {
  BlockRequest made;
  made.operation = operation;
  made.offset = offset;
  made.size = bytes.size();
  made.buffers = {{bytes.data(), bytes.size()}};
  made.may_unmap = true;
  return made;
}

void use(LayeredDisk& disk) {
  std::array<std::byte, 8192> out{};
  std::array<std::byte, 8192> in{};
  const std::uint64_t size = disk.info().size_bytes;
  unsigned expected = 0;
  unsigned done = 0;
  const auto submit = [&](BlockRequest made) {
    ++expected;
    made.done = [&done](int) { ++done; };
    disk.submit(std::move(made));
  };
  for (const std::uint64_t part : {0, 1, 3, 7, 8}) {
    const std::uint64_t at = size / 8 * part / 512 * 512;
    submit(request(BlockOperation::kRead, at, in));
    submit(request(BlockOperation::kWrite, at, std::span(out).first(1024)));
    submit(request(BlockOperation::kDiscard, at, out));
    submit(request(BlockOperation::kWriteZeroes, at, out));
    submit(request(BlockOperation::kFlush, 0, out));
  }
  disk.kick();
  STASIS_CHECK(disk.drain(devices::BlockImage::kForever));
  STASIS_CHECK(done == expected);
}

bool open_and_use(const std::string& path, bool read_only) {
  const auto loop = devices::EventLoop::create("fuzz").value();
  const auto disk = LayeredDisk::open({{path, devices::ImageFormat::kQcow2}},
                                      {read_only, devices::FileIo::Engine::kThreads}, *loop);
  if (disk) use(**disk);
  return disk.has_value();
}

}  // namespace

void fuzz_qcow2(std::span<const std::uint8_t> input) {
  ::setenv("STASIS_LOG", "error", 1);
  const InputFile file(input);
  open_and_use(file.path(), true);
  // What was good enough to be written to is so afterwards.
  if (open_and_use(file.path(), false)) STASIS_CHECK(open_and_use(file.path(), false));
}

}  // namespace stasis::fuzz
