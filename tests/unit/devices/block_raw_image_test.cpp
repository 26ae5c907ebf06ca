#include "devices/block/layered_disk.h"

#include <fcntl.h>
#include <linux/falloc.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <atomic>
#include <csignal>
#include <fstream>
#include <thread>

#include "base/thread_placement.h"
#include "tests/unit/devices/block_test_support.h"

namespace stasis::devices {
namespace {

using namespace testing;

using Engine = FileIo::Engine;

constexpr std::uint64_t kImageSize = 4 << 20;

/// An open image on a loop that nobody started: all happens on the test's thread, in `drain`.
struct RawImageFixture {
  explicit RawImageFixture(Engine which, std::uint64_t size = kImageSize, bool read_only = false)
      : path(folder.make_file("x.img", size)),
        image(open_raw_disk(path, {read_only, which}, *loop).value()) {}

  TemporaryFolder folder;
  std::string path;
  std::unique_ptr<EventLoop> loop = EventLoop::create("test").value();
  std::unique_ptr<LayeredDisk> image;
};

Engine any_engine() {
  return GENERATE(Engine::kAuto, Engine::kThreads);
}

TEST_CASE("io_uring is used unless threads are asked for or it is missing") {
  RawImageFixture automatic(Engine::kAuto);
  RawImageFixture forced(Engine::kThreads);
  CHECK(automatic.image->engine_name() == (make_uring_engine() ? "io_uring" : "threads"));
  CHECK(forced.image->engine_name() == "threads");
}

/// What the first thread of this process that has `name` may use.
cpu_set_t cpus_of_thread(std::string_view name) {
  cpu_set_t cpus;
  CPU_ZERO(&cpus);
  for (const auto& task : std::filesystem::directory_iterator("/proc/self/task")) {
    std::string found;
    std::ifstream(task.path() / "comm") >> found;
    if (found != name) continue;
    REQUIRE(::sched_getaffinity(std::stoi(task.path().filename()), sizeof cpus, &cpus) == 0);
    break;
  }
  return cpus;
}

TEST_CASE("an engine's thread is not bound as the loop's thread was that made it") {
  cpu_set_t all;
  REQUIRE(::sched_getaffinity(::getpid(), sizeof all, &all) == 0);
  RawImageFixture disk(Engine::kThreads);
  auto bytes = pattern(512, 1);
  std::thread([&] {
    const cpu_set_t one = base::only_cpu(::sched_getcpu());
    REQUIRE(::sched_setaffinity(0, sizeof one, &one) == 0);
    CHECK(run(*disk.image, transfer(BlockOperation::kWrite, 0, bytes)) == 0);
  }).join();
  const cpu_set_t its = cpus_of_thread("block-io");
  CHECK(CPU_EQUAL(&its, &all));
}

TEST_CASE("what was written is read back and lies in the file") {
  RawImageFixture disk(any_engine());
  auto bytes = pattern(8192, 3);
  CHECK(run(*disk.image, transfer(BlockOperation::kWrite, 4096, bytes)) == 0);
  CHECK(run(*disk.image, range(BlockOperation::kFlush, 0, 0)) == 0);
  CHECK(contents(*disk.image, 4096, 8192) == bytes);
  CHECK(contents(*disk.image, 0, 4096) == std::vector<std::byte>(4096));
  std::vector<std::byte> in_file(8192);
  const base::Fd file = base::open_file(disk.path, O_RDONLY).value();
  REQUIRE(::pread(file.get(), in_file.data(), in_file.size(), 4096) == 8192);
  CHECK(in_file == bytes);
}

TEST_CASE("a request with more buffers than one system call takes is done in parts") {
  RawImageFixture disk(any_engine());
  auto bytes = pattern(3000 * 512, 1);
  BlockRequest request = transfer(BlockOperation::kWrite, 512, bytes);
  request.buffers.clear();
  for (std::size_t at = 0; at < bytes.size(); at += 512) {
    request.buffers.push_back({bytes.data() + at, 512});
  }
  const int error = run(*disk.image, std::move(request));
  CHECK(error == 0);
  CHECK(contents(*disk.image, 512, bytes.size()) == bytes);
}

TEST_CASE("far more requests than the ring holds may be in flight") {
  RawImageFixture disk(any_engine());
  constexpr std::size_t kCount = 1000;
  auto bytes = pattern(kCount * 512, 9);
  std::size_t done = 0;
  for (std::size_t i = 0; i < kCount; ++i) {
    auto request =
        transfer(BlockOperation::kWrite, i * 512, std::span(bytes).subspan(i * 512, 512));
    request.done = [&done](int error) { done += error == 0 ? 1 : 0; };
    disk.image->submit(std::move(request));
  }
  disk.image->kick();
  CHECK(done == 0);  // never from inside submit or kick
  CHECK(disk.image->drain(BlockImage::kForever));
  CHECK(done == kCount);
  CHECK(contents(*disk.image, 0, bytes.size()) == bytes);
}

TEST_CASE("completions come on the loop's thread, with one call after each group") {
  RawImageFixture disk(any_engine());
  std::atomic<int> done{0};
  std::atomic<bool> groups_follow{false};
  std::atomic<bool> on_loop{true};
  disk.image->set_group_listener([&] { groups_follow = done > 0; });
  disk.loop->start();
  auto bytes = pattern(512, 0);
  disk.loop->run_sync([&] {
    for (int i = 0; i < 10; ++i) {
      auto request = transfer(BlockOperation::kWrite, 0, bytes);
      request.done = [&](int) {
        on_loop = on_loop && disk.loop->on_loop_thread();
        ++done;
      };
      disk.image->submit(std::move(request));
    }
    disk.image->kick();
  });
  while (done < 10) std::this_thread::yield();
  disk.loop->run_sync([] {});
  CHECK(on_loop);
  CHECK(groups_follow);
}

TEST_CASE("a callback may submit more, and drain waits for that too") {
  RawImageFixture disk(any_engine());
  auto bytes = pattern(512, 5);
  int flushed = -1;
  auto write = transfer(BlockOperation::kWrite, 0, bytes);
  write.done = [&](int) {
    auto flush = range(BlockOperation::kFlush, 0, 0);
    flush.done = [&](int error) { flushed = error; };
    disk.image->submit(std::move(flush));
  };
  disk.image->submit(std::move(write));
  CHECK(disk.image->drain(BlockImage::kForever));
  CHECK(flushed == 0);
}

TEST_CASE("a discard gives the space back to the host") {
  RawImageFixture disk(any_engine());
  auto bytes = pattern(1 << 20, 7);
  REQUIRE(run(*disk.image, transfer(BlockOperation::kWrite, 0, bytes)) == 0);
  REQUIRE(run(*disk.image, range(BlockOperation::kFlush, 0, 0)) == 0);
  struct stat before {};
  struct stat after {};
  REQUIRE(::stat(disk.path.c_str(), &before) == 0);
  CHECK(run(*disk.image, range(BlockOperation::kDiscard, 0, 1 << 20)) == 0);
  REQUIRE(::stat(disk.path.c_str(), &after) == 0);
  CHECK(after.st_blocks < before.st_blocks);
  CHECK(after.st_size == before.st_size);
}

TEST_CASE("write-zeroes zeroes just its range and keeps the size") {
  RawImageFixture disk(any_engine());
  auto bytes = pattern(64 << 10, 11);
  REQUIRE(run(*disk.image, transfer(BlockOperation::kWrite, 0, bytes)) == 0);
  auto request = range(BlockOperation::kWriteZeroes, 512, 8192 + 512);
  request.may_unmap = GENERATE(false, true);
  const int error = run(*disk.image, std::move(request));
  CHECK(error == 0);
  std::fill_n(bytes.begin() + 512, 8192 + 512, std::byte{0});
  CHECK(contents(*disk.image, 0, bytes.size()) == bytes);
  CHECK(std::filesystem::file_size(disk.path) == kImageSize);
}

TEST_CASE("requests outside the image and unlike their buffers are refused") {
  RawImageFixture disk(any_engine());
  auto bytes = pattern(1024, 0);
  CHECK(run(*disk.image, transfer(BlockOperation::kWrite, kImageSize - 512, bytes)) == EINVAL);
  CHECK(run(*disk.image, transfer(BlockOperation::kRead, ~std::uint64_t{511}, bytes)) == EINVAL);
  CHECK(run(*disk.image, range(BlockOperation::kDiscard, 512, ~std::uint64_t{511})) == EINVAL);
  auto request = transfer(BlockOperation::kRead, 0, bytes);
  request.size = 512;
  const int error = run(*disk.image, std::move(request));
  CHECK(error == EINVAL);
  CHECK(std::filesystem::file_size(disk.path) == kImageSize);
}

TEST_CASE("a read-only image reads and flushes but does not change") {
  RawImageFixture disk(any_engine(), kImageSize, true);
  auto bytes = pattern(512, 0);
  CHECK(run(*disk.image, transfer(BlockOperation::kRead, 0, bytes)) == 0);
  CHECK(run(*disk.image, range(BlockOperation::kFlush, 0, 0)) == 0);
  CHECK(run(*disk.image, transfer(BlockOperation::kWrite, 0, bytes)) == EROFS);
  CHECK(run(*disk.image, range(BlockOperation::kDiscard, 0, 512)) == EROFS);
  CHECK(run(*disk.image, range(BlockOperation::kWriteZeroes, 0, 512)) == EROFS);
}

TEST_CASE("a file truncated under us gives read errors, and writes still work") {
  RawImageFixture disk(any_engine());
  REQUIRE(::truncate(disk.path.c_str(), 4096) == 0);
  auto bytes = pattern(8192, 2);
  CHECK(run(*disk.image, transfer(BlockOperation::kRead, 0, bytes)) == EIO);
  CHECK(run(*disk.image, transfer(BlockOperation::kRead, 8192, bytes)) == EIO);
  CHECK(run(*disk.image, transfer(BlockOperation::kWrite, 0, bytes)) == 0);
  CHECK(contents(*disk.image, 0, 8192) == bytes);
}

/// The process may write files up to `bytes` only, as if the disk were full there.
class FileSizeLimit {
 public:
  explicit FileSizeLimit(rlim_t bytes) : handler_(std::signal(SIGXFSZ, SIG_IGN)) {
    REQUIRE(::getrlimit(RLIMIT_FSIZE, &before_) == 0);
    const rlimit now{bytes, before_.rlim_max};
    REQUIRE(::setrlimit(RLIMIT_FSIZE, &now) == 0);
  }
  FileSizeLimit(const FileSizeLimit&) = delete;
  FileSizeLimit& operator=(const FileSizeLimit&) = delete;
  ~FileSizeLimit() {
    ::setrlimit(RLIMIT_FSIZE, &before_);
    std::signal(SIGXFSZ, handler_);
  }

 private:
  rlimit before_{};
  void (*handler_)(int);
};

TEST_CASE("a write that the host takes half of fails, and the image goes on working") {
  RawImageFixture disk(any_engine());
  auto bytes = pattern(8192, 4);
  {
    const FileSizeLimit limit(1 << 20);
    CHECK(run(*disk.image, transfer(BlockOperation::kWrite, (1 << 20) - 4096, bytes)) == EFBIG);
    CHECK(contents(*disk.image, (1 << 20) - 4096, 4096) ==
          std::vector<std::byte>(bytes.begin(), bytes.begin() + 4096));
    CHECK(run(*disk.image, transfer(BlockOperation::kWrite, 0, bytes)) == 0);
  }
  CHECK(run(*disk.image, transfer(BlockOperation::kWrite, (1 << 20) - 4096, bytes)) == 0);
}

TEST_CASE("a file that became immutable fails writes only") {
  const Engine which = any_engine();
  auto loop = EventLoop::create("test").value();
  const base::Fd memory(::memfd_create("disk", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  REQUIRE(::ftruncate(memory.get(), kImageSize) == 0);
  const auto image =
      open_raw_disk("/proc/self/fd/" + std::to_string(memory.get()), {false, which}, *loop).value();
  auto bytes = pattern(512, 8);
  REQUIRE(run(*image, transfer(BlockOperation::kWrite, 0, bytes)) == 0);
  REQUIRE(::fcntl(memory.get(), F_ADD_SEALS, F_SEAL_WRITE) == 0);
  CHECK(run(*image, transfer(BlockOperation::kWrite, 0, bytes)) == EPERM);
  CHECK(contents(*image, 0, 512) == bytes);
}

TEST_CASE("where the host cannot zero a range, zeroes are written") {
  const Engine which = any_engine();
  auto loop = EventLoop::create("test").value();
  const base::Fd memory(::memfd_create("disk", MFD_CLOEXEC));
  REQUIRE(::ftruncate(memory.get(), kImageSize) == 0);
  REQUIRE(::fallocate(memory.get(), FALLOC_FL_ZERO_RANGE, 0, 512) < 0);  // tmpfs has none
  const auto image =
      open_raw_disk("/proc/self/fd/" + std::to_string(memory.get()), {false, which}, *loop).value();
  auto bytes = pattern(3 << 20, 8);  // more than one write of zeroes
  REQUIRE(run(*image, transfer(BlockOperation::kWrite, 0, bytes)) == 0);
  CHECK(run(*image, range(BlockOperation::kWriteZeroes, 512, bytes.size() - 1024)) == 0);
  std::fill_n(bytes.begin() + 512, bytes.size() - 1024, std::byte{0});
  CHECK(contents(*image, 0, bytes.size()) == bytes);
}

TEST_CASE("an image that goes away with requests in flight waits for the host") {
  RawImageFixture disk(any_engine());
  auto bytes = pattern(1 << 20, 6);
  bool called = false;
  auto request = transfer(BlockOperation::kWrite, 0, bytes);
  request.done = [&](int) { called = true; };
  disk.image->submit(std::move(request));
  disk.image->kick();
  disk.image.reset();
  CHECK_FALSE(called);
  std::vector<std::byte> in_file(bytes.size());
  const base::Fd file = base::open_file(disk.path, O_RDONLY).value();
  REQUIRE(::pread(file.get(), in_file.data(), in_file.size(), 0) == 1 << 20);
  CHECK(in_file == bytes);
}

}  // namespace
}  // namespace stasis::devices
