#include "snapshot/ram_capture.h"

#include <malloc.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/wait.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <fstream>
#include <memory>
#include <optional>
#include <thread>
#include <vector>

#include "snapshot/fork_policy.h"
#include "snapshot/ram_image.h"
#include "tests/unit/snapshot/capture_fixture.h"

#ifdef __has_feature
#define STASIS_HAS_FEATURE(name) __has_feature(name)
#else
#define STASIS_HAS_FEATURE(name) 0
#endif

namespace stasis::snapshot {
namespace {

using base::ErrorKind;

/// Not so when it has ended and nobody has asked for its status.
bool is_alive(pid_t process) {
  std::ifstream file("/proc/" + std::to_string(process) + "/stat");
  std::string text;
  std::getline(file, text);
  const auto end_of_name = text.rfind(')');  // proc(5): the state follows
  return end_of_name != std::string::npos && text[end_of_name + 2] != 'Z';
}

TEST_CASE_METHOD(Capture,
                 "fork: the image is of the instant, whatever the guest writes afterwards") {
  const auto level = GENERATE(std::optional<int>(), std::optional<int>(3));
  ram.fill();
  const auto before = ram.copy();
  ops.facts->hold = true;
  start({Engine::kFork, level});
  CHECK(capture->engine() == "fork");
  ram.fill(77);
  ops.facts->hold = false;
  const auto result = capture->finish(observer);
  REQUIRE(result);
  Manifest manifest = small_manifest(new_id());
  manifest.files = result->files;
  const PlainRam restored;
  const auto image = RamImage::open(scratch.open(), manifest);
  REQUIRE((image && image->fill(restored.regions())));
  CHECK(restored.copy() == before);
}

TEST_CASE_METHOD(
    Capture, "fork: the child has two files open, low priority, and goes first without memory") {
  // Descriptors of KVM or locks of disks that it kept would live on with it (T33).
  ram.fill();
  const auto pipe = base::make_eventfd();
  const auto high = base::Fd(::fcntl(pipe->get(), F_DUPFD_CLOEXEC, 90));
  start({Engine::kFork, std::nullopt});
  REQUIRE(capture->finish(observer));
  CHECK(ops.facts->process != ::getpid());
  CHECK(ops.facts->open_files == 2);
  CHECK(ops.facts->nice >= std::max(::nice(0), 5));
  CHECK(ops.facts->oom_score == 1000);
}

TEST_CASE_METHOD(Capture, "fork: cancelled, the child is gone when finish returns") {
  ram.fill();
  ops.facts->hold = true;
  start({Engine::kFork, std::nullopt});
  const pid_t child = ops.wait_for_writer();
  observer.is_cancelled_ = true;
  const auto result = capture->finish(observer);
  REQUIRE_FALSE(result);
  CHECK(result.error().kind() == ErrorKind::kCancelled);
  CHECK_FALSE(is_alive(child));
}

TEST_CASE_METHOD(Capture, "fork: a child that is killed is an error, with a remedy") {
  ram.fill();
  ops.facts->hold = true;
  start({Engine::kFork, std::nullopt});
  ::kill(ops.wait_for_writer(), SIGKILL);
  const auto result = capture->finish(observer);
  REQUIRE_FALSE(result);
  CHECK(result.error().kind() == ErrorKind::kOutOfResources);
  CHECK(result.error().message().find("stop-and-copy") != std::string::npos);
}

TEST_CASE_METHOD(Capture, "fork: the child ends with its parent") {
  const auto level = GENERATE(std::optional<int>(), std::optional<int>(3));
  ram.fill();
  ops.facts->hold = true;
  const pid_t machine = ::fork();
  REQUIRE(machine >= 0);
  if (machine == 0) {
    CountingObserver none;
    auto prepared = prepare_ram_capture(scratch.open(), ram.size(), {Engine::kFork, level}, ops);
    if (prepared && (*prepared)->capture(ram.regions(), none)) (*prepared)->guest_runs();
    ops.wait_for_writer();
    ::kill(::getpid(), SIGKILL);
  }
  const pid_t child = ops.wait_for_writer();
  REQUIRE(::waitpid(machine, nullptr, 0) == machine);
  ops.facts->hold = false;
  for (int i = 0; i < 500 && is_alive(child); ++i) ::usleep(10'000);
  CHECK_FALSE(is_alive(child));
  CHECK(std::filesystem::file_size(scratch.path("ram.index")) == 0);
}

TEST_CASE_METHOD(Capture, "fork: a child that has not begun ends with its parent") {
  ram.fill();
  const pid_t machine = ::fork();
  REQUIRE(machine >= 0);
  if (machine == 0) {
    CountingObserver none;
    auto prepared = prepare_ram_capture(scratch.open(), ram.size(), {Engine::kFork, std::nullopt});
    if (prepared) static_cast<void>((*prepared)->capture(ram.regions(), none));
    ::pause();
  }
  std::vector<pid_t> children;
  for (int i = 0; i < 500 && children.empty(); ++i) {
    ::usleep(10'000);
    children = children_of(machine);
  }
  REQUIRE(children.size() == 1);
  const pid_t child = children.front();
  CHECK(std::filesystem::file_size(scratch.path("ram.index")) == 0);  // it waits
  ::kill(machine, SIGKILL);
  REQUIRE(::waitpid(machine, nullptr, 0) == machine);
  for (int i = 0; i < 500 && is_alive(child); ++i) ::usleep(10'000);
  CHECK_FALSE(is_alive(child));
}

TEST_CASE_METHOD(Capture, "fork: captures at the same time do not wait for each other") {
  ram.fill();
  const ScratchFolder other;
  auto first = *prepare_ram_capture(scratch.open(), ram.size(), {Engine::kFork, std::nullopt});
  auto second = *prepare_ram_capture(other.open(), ram.size(), {Engine::kFork, std::nullopt});
  REQUIRE(first->capture(ram.regions(), observer));
  REQUIRE(second->capture(ram.regions(), observer));
  CHECK(first->finish(observer).has_value());
  CHECK(second->finish(observer).has_value());
}

TEST_CASE_METHOD(Capture, "fork: nobody who waits for any child finds ours, nor hears of its end") {
  ram.fill();
  static std::atomic<int> signals{0};
  const auto before = ::signal(SIGCHLD, [](int) { ++signals; });
  start({Engine::kFork, 1});
  ops.wait_for_writer();
  CHECK(::waitpid(-1, nullptr, WNOHANG) == -1);
  CHECK(errno == ECHILD);
  REQUIRE(capture->finish(observer));
  CHECK(signals == 0);
  ::signal(SIGCHLD, before);
}

// The thread sanitizer's own allocator has other locks, and makes this take minutes.
#if !defined(__SANITIZE_THREAD__) && !STASIS_HAS_FEATURE(thread_sanitizer)
TEST_CASE_METHOD(Capture, "fork: locks that other threads hold do not stop the child") {
  // It has no thread that would let them go (T33): an allocation in it would wait for ever.
  const auto level = GENERATE(std::optional<int>(), std::optional<int>(1));
  static_cast<void>(::mallopt(M_ARENA_MAX, 1));  // one lock for all; a sanitizer's has none
  const PlainRam small(32, 32);
  small.fill();
  std::atomic<bool> stop{false};
  std::vector<std::thread> threads;
  threads.reserve(3);
  for (int i = 0; i < 3; ++i) {
    threads.emplace_back([&stop] {
      while (!stop) {
        void* volatile memory = std::malloc(100'000);  // too large for a cache of the thread's own
        std::free(memory);
      }
    });
  }
  for (int i = 0; i < 15; ++i) {
    const ScratchFolder other;
    capture_into(other.open(), small, {Engine::kFork, level});
  }
  stop = true;
  for (auto& thread : threads) thread.join();
}
#endif

TEST_CASE_METHOD(Capture, "fork: memory that is shared is refused, stop-and-copy takes it") {
  auto shared = base::Mapping::shared_anonymous(16 * kPageBytes);
  REQUIRE(shared);
  shared->bytes()[5] = std::byte{1};
  const std::vector<base::MemoryRegion> regions{{{0}, shared->bytes()}};
  {
    const ScratchFolder other;
    auto fork = *prepare_ram_capture(other.open(), shared->size(), {Engine::kFork, std::nullopt});
    REQUIRE(fork->capture(regions, observer));
    const auto result = fork->finish(observer);
    REQUIRE_FALSE(result);
    CHECK(result.error().kind() == ErrorKind::kUnsupported);
  }
  auto copy =
      *prepare_ram_capture(scratch.open(), shared->size(), {Engine::kStopAndCopy, std::nullopt});
  REQUIRE(copy->capture(regions, observer));
  const auto result = copy->finish(observer);
  REQUIRE(result);
  CHECK(result->captured_bytes == kPageBytes);
}

TEST_CASE_METHOD(Capture, "stop-and-copy: cancelled while it writes") {
  const auto level = GENERATE(std::optional<int>(), std::optional<int>(3));
  ram.fill();
  observer.is_cancelled_ = true;
  auto prepared =
      *prepare_ram_capture(scratch.open(), ram.size(), {Engine::kStopAndCopy, level}, ops);
  const auto captured = prepared->capture(ram.regions(), observer);
  REQUIRE_FALSE(captured);
  CHECK(captured.error().kind() == ErrorKind::kCancelled);
}

TEST_CASE_METHOD(Capture, "too little room is noticed before anything is written") {
  const auto engine = GENERATE(Engine::kFork, Engine::kStopAndCopy);
  ram.fill();
  ops.free_limit = 100 * kPageBytes;
  auto prepared = *prepare_ram_capture(scratch.open(), ram.size(), {engine, std::nullopt}, ops);
  auto captured = prepared->capture(ram.regions(), observer);
  if (captured) captured = prepared->finish(observer).map([](const auto&) {});
  REQUIRE_FALSE(captured);
  CHECK(captured.error().kind() == ErrorKind::kOutOfResources);
  CHECK(captured.error().message().find("free") != std::string::npos);
  CHECK(ops.facts->process == 0);
}

/// A file system of its own, of `size` bytes, over `folder`; for this process only. False where the
/// host does not let us.
bool mount_small_disk(const std::string& folder, const std::string& size) {
  const int spaces = CLONE_NEWNS | (::geteuid() == 0 ? 0 : CLONE_NEWUSER);
  return ::unshare(spaces) == 0 &&
         ::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 &&
         ::mount("tmpfs", folder.c_str(), "tmpfs", 0, ("size=" + size).c_str()) == 0;
}

/// The kind of error of a snapshot on a full disk, or nothing when it went well.
std::optional<ErrorKind> store_on(const std::string& folder, const PlainRam& ram,
                                  const RamCaptureOptions& options, const FileOps& ops) {
  auto store = SnapshotStore::open(folder + "/snapshots", ops);
  if (!store) return store.error().kind();
  auto pending = store->begin(new_id());
  if (!pending) return pending.error().kind();
  CountingObserver observer;
  auto prepared = prepare_ram_capture(pending->folder(), ram.size(), options, ops);
  if (!prepared) return prepared.error().kind();
  if (auto captured = (*prepared)->capture(ram.regions(), observer); !captured) {
    return captured.error().kind();
  }
  auto result = (*prepared)->finish(observer);
  return result ? std::nullopt : std::optional(result.error().kind());
}

TEST_CASE_METHOD(Capture, "a disk that fills up half-way is an error, and is as empty as before") {
  const auto engine = GENERATE(Engine::kFork, Engine::kStopAndCopy);
  const auto level = GENERATE(std::optional<int>(), std::optional<int>(1));
  ram.fill();
  ops.free_limit = std::uint64_t{1} << 40;  // what is said to be free is not there
  constexpr int kSkipped = 77;
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    if (!mount_small_disk(scratch.path(), "256k")) ::_exit(kSkipped);
    const auto kind = store_on(scratch.path(), ram, {engine, level}, ops);
    const auto left = std::filesystem::directory_iterator(scratch.path("snapshots"));
    ::_exit(kind == ErrorKind::kOutOfResources && left == end(left) ? 0 : 1);
  }
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  REQUIRE(WIFEXITED(status));
  if (WEXITSTATUS(status) == kSkipped) {
    WARN("this host allows no mounts");
  } else {
    CHECK(WEXITSTATUS(status) == 0);
  }
}

TEST_CASE_METHOD(Capture, "progress ends at all of what is stored") {
  const auto engine = GENERATE(Engine::kFork, Engine::kStopAndCopy);
  const auto level = GENERATE(std::optional<int>(), std::optional<int>(1));
  ram.fill();
  start({engine, level});
  const auto result = capture->finish(observer);
  REQUIRE(result);
  CHECK(observer.done_ == result->captured_bytes);
  CHECK(observer.total_ == result->captured_bytes);
  CHECK(result->captured_bytes % kPageBytes == 0);
}

TEST_CASE_METHOD(Capture, "every level compresses, and stock zstd reads it back") {
  const PlainRam small(64, 64);
  small.fill();
  for (int level = 1; level <= 19; ++level) {
    INFO("level " << level);
    const ScratchFolder other;
    const auto result = capture_into(other.open(), small, {Engine::kStopAndCopy, level});
    CHECK(result.stored_bytes < result.captured_bytes);
    const std::string packed = other.path("packed");
    REQUIRE(std::system(("zstd -q -d " + other.path("ram.zst") + " -o " + packed).c_str()) == 0);
    CHECK(std::filesystem::file_size(packed) == result.captured_bytes);
  }
  for (const int level : {0, 20, -5}) {
    const auto refused = prepare_ram_capture(scratch.open(), ram.size(), {Engine::kFork, level});
    REQUIRE_FALSE(refused);
    CHECK(refused.error().kind() == ErrorKind::kInvalidArgument);
  }
}

TEST_CASE("a fork that strict accounting would refuse is foreseen") {
  constexpr std::string_view kMeminfo =
      "MemTotal:       16000000 kB\nCommitLimit:     9000000 kB\nCommitted_AS:    8000000 kB\n";
  constexpr std::uint64_t kGiB = std::uint64_t{1} << 30;
  CHECK_FALSE(why_fork_would_fail(64 * kGiB, "0\n", kMeminfo));
  CHECK_FALSE(why_fork_would_fail(64 * kGiB, "1\n", kMeminfo));
  CHECK_FALSE(why_fork_would_fail(kGiB / 2, "2\n", kMeminfo));
  CHECK_FALSE(why_fork_would_fail(kGiB, "2\n", ""));
  const auto refusal = why_fork_would_fail(2 * kGiB, "2\n", kMeminfo);
  REQUIRE(refusal);
  CHECK(refusal->find("976 MiB") != std::string::npos);
  CHECK(refusal->find("2048 MiB") != std::string::npos);
}

}  // namespace
}  // namespace stasis::snapshot
