#include "devices/block/file_bytes.h"

#include <linux/magic.h>
#include <sys/statfs.h>
#include <sys/syscall.h>

#include <array>
#include <optional>

#include "tests/unit/devices/block_test_support.h"

namespace stasis::devices {
namespace {

using namespace testing;

/// Pages of a file that its file system has not been asked to write; nothing where that cannot be
/// told. Source: cachestat(2), Linux 6.5.
std::optional<std::uint64_t> dirty_pages(int fd) {
  constexpr long kCachestat = 451;
  constexpr std::size_t kDirty = 1;
  std::array<std::uint64_t, 2> range{};  // to the end
  std::array<std::uint64_t, 5> counts{};
  if (::syscall(kCachestat, fd, range.data(), counts.data(), 0) < 0) return std::nullopt;
  return counts[kDirty];
}

TEST_CASE("write-back begins for all of a file, its last piece too") {
  const TemporaryFolder folder;
  constexpr std::uint64_t kSize = (3 << 20) + 4096 + 5;
  const std::string path = folder.make_file("x.img", kSize);
  const base::Fd file = base::open_file(path, O_RDWR).value();
  struct statfs system {};
  REQUIRE(::fstatfs(file.get(), &system) == 0);
  auto bytes = pattern(kSize, 1);
  REQUIRE(::pwrite(file.get(), bytes.data(), bytes.size(), 0) == static_cast<ssize_t>(kSize));
  const bool is_dirty = dirty_pages(file.get()).value_or(0) != 0;
  begin_write_back(file.get());
  // tmpfs has nowhere to write to, and a busy kernel may have been quicker.
  if (is_dirty && system.f_type != TMPFS_MAGIC) CHECK(dirty_pages(file.get()) == 0);
  CHECK(sync_data(file.get()));
}

TEST_CASE("write-back of what is no file does nothing") {
  std::array<int, 2> ends{};
  REQUIRE(::pipe2(ends.data(), O_CLOEXEC) == 0);
  const base::Fd reading(ends[0]);
  const base::Fd writing(ends[1]);
  begin_write_back(writing.get());
}

}  // namespace
}  // namespace stasis::devices
