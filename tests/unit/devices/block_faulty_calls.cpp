#include "tests/unit/devices/block_faulty_calls.h"

#include <fcntl.h>
#include <linux/falloc.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <mutex>

namespace stasis::devices::testing {
namespace {

std::atomic<bool> active{false};
std::mutex mutex;  // guards what follows
CallPlan plan;
std::uint64_t calls = 0;
std::vector<LoggedCall> logged;

/// What to do about the next call.
CallPlan::What next(int& error) {
  if (!active) return CallPlan::What::kCount;
  const std::lock_guard lock(mutex);
  ++calls;
  const bool is_meant = plan.what == CallPlan::What::kFail ? calls >= plan.at : calls == plan.at;
  if (!is_meant) return CallPlan::What::kCount;
  error = plan.error;
  return plan.what;
}

void note(LoggedCall::Kind kind, int fd, std::uint64_t offset, std::uint64_t size,
          const iovec* buffers = nullptr, int count = 0) {
  if (!active || !plan.keeps_log) return;
  struct stat status {};
  ::fstat(fd, &status);
  LoggedCall call{kind, status.st_ino, offset, size, {}};
  for (int i = 0; i < count; ++i) {
    const auto* start = static_cast<const std::byte*>(buffers[i].iov_base);
    call.bytes.insert(call.bytes.end(), start, start + buffers[i].iov_len);
  }
  call.bytes.resize(std::min<std::size_t>(call.bytes.size(), size));
  const std::lock_guard lock(mutex);
  logged.push_back(std::move(call));
}

[[noreturn]] void die() {
  ::kill(::getpid(), SIGKILL);
  for (;;) ::pause();
}

ssize_t write_now(int fd, const iovec* buffers, int count, off_t offset) {
  // Low and high half of the offset; on a 64-bit machine the second is ignored.
  return ::syscall(SYS_pwritev, fd, buffers, count, offset, 0);
}

ssize_t write_with_plan(int fd, const iovec* buffers, int count, off_t offset) {
  int error = 0;
  const auto what = next(error);
  if (what == CallPlan::What::kKill) {
    iovec half = buffers[0];
    half.iov_len = half.iov_len / 2 & ~std::size_t{511};
    if (half.iov_len > 0) write_now(fd, &half, 1, offset);
    die();
  }
  if (what == CallPlan::What::kFail) {
    errno = error;
    return -1;
  }
  const ssize_t size = write_now(fd, buffers, count, offset);
  if (size > 0) {
    note(LoggedCall::Kind::kWrite, fd, static_cast<std::uint64_t>(offset),
         static_cast<std::uint64_t>(size), buffers, count);
  }
  return size;
}

/// -1 when the plan lets the call fail, 0 when it shall be made.
int before_call() {
  int error = 0;
  const auto what = next(error);
  if (what == CallPlan::What::kKill) die();
  if (what != CallPlan::What::kFail) return 0;
  errno = error;
  return -1;
}

std::size_t log_size() {
  const std::lock_guard lock(mutex);
  return logged.size();
}

int sync_with_plan(long number, int fd) {
  if (before_call() < 0) return -1;
  const std::size_t covered = log_size();
  const auto status = static_cast<int>(::syscall(number, fd));
  note(LoggedCall::Kind::kSync, fd, covered, 0);
  return status;
}

}  // namespace

FaultyCalls::FaultyCalls(CallPlan new_plan) {
  const std::lock_guard lock(mutex);
  plan = new_plan;
  calls = 0;
  logged.clear();
  active = true;
}

FaultyCalls::~FaultyCalls() {
  active = false;
}

std::uint64_t FaultyCalls::count() {
  const std::lock_guard lock(mutex);
  return calls;
}

std::vector<LoggedCall> FaultyCalls::log() {
  const std::lock_guard lock(mutex);
  return logged;
}

}  // namespace stasis::devices::testing

// The program's own definitions win over the C library's.
extern "C" {

using namespace stasis::devices::testing;

ssize_t pwrite(int fd, const void* bytes, size_t size, off_t offset) {
  const iovec buffer{const_cast<void*>(bytes), size};
  return write_with_plan(fd, &buffer, 1, offset);
}

ssize_t pwritev(int fd, const iovec* buffers, int count, off_t offset) {
  return write_with_plan(fd, buffers, count, offset);
}

int fdatasync(int fd) {
  return sync_with_plan(SYS_fdatasync, fd);
}

int fsync(int fd) {
  return sync_with_plan(SYS_fsync, fd);
}

int ftruncate(int fd, off_t size) noexcept {
  if (before_call() < 0) return -1;
  const auto status = static_cast<int>(::syscall(SYS_ftruncate, fd, size));
  if (status == 0) note(LoggedCall::Kind::kResize, fd, static_cast<std::uint64_t>(size), 0);
  return status;
}

int fallocate(int fd, int mode, off_t offset, off_t size) {
  if (before_call() < 0) return -1;
  const auto status = static_cast<int>(::syscall(SYS_fallocate, fd, mode, offset, size));
  if (status == 0 && (mode & (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE)) != 0) {
    note(LoggedCall::Kind::kZero, fd, static_cast<std::uint64_t>(offset),
         static_cast<std::uint64_t>(size));
  }
  return status;
}
}
