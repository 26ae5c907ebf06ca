#include "tests/kvm/file_calls.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <limits>

#include "base/check.h"

namespace stasis::test {
namespace {

/// In memory that children share.
struct Plan {
  std::atomic<unsigned> calls;
  std::atomic<unsigned> from;
  std::atomic<unsigned> to;
  std::atomic<int> error;  // 0: a kill
  std::atomic<pid_t> owner;
};

// What stands in libc's place is found by its name alone: it has no other way to its plan.
std::atomic<Plan*> the_plan{nullptr};

void end(pid_t owner) {
  ::kill(owner, SIGKILL);
  ::kill(::getpid(), SIGKILL);
}

bool fails() {
  Plan* const plan = the_plan;
  if (plan == nullptr || plan->from == 0) return false;
  const unsigned number = ++plan->calls;
  if (number < plan->from || number > plan->to) return false;
  const int error = plan->error;
  if (error == 0) end(plan->owner);
  errno = error;
  return true;
}

bool is_file(int fd) {
  struct stat info {};
  return ::fstat(fd, &info) == 0 && (S_ISREG(info.st_mode) || S_ISDIR(info.st_mode));
}

bool fails(int fd) {
  const int before = errno;
  if (!is_file(fd)) {
    errno = before;
    return false;
  }
  return fails();
}

void arm(unsigned from, unsigned to, int error) {
  Plan* const plan = the_plan;
  STASIS_CHECK(plan != nullptr);
  plan->from = 0;
  plan->calls = 0;
  plan->to = to;
  plan->error = error;
  plan->owner = ::getpid();
  plan->from = from;
}

}  // namespace

FileCalls::FileCalls() {
  void* const memory =
      ::mmap(nullptr, sizeof(Plan), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  STASIS_CHECK(memory != MAP_FAILED && the_plan == nullptr);
  the_plan = new (memory) Plan{};
}

FileCalls::~FileCalls() {
  ::munmap(the_plan.exchange(nullptr), sizeof(Plan));
}

void FileCalls::fail_from(unsigned at, int error) {
  arm(at, std::numeric_limits<unsigned>::max(), error);
}
void FileCalls::fail_at(unsigned at, int error) {
  arm(at, at, error);
}
void FileCalls::kill_at(unsigned at) {
  arm(at, at, 0);
}
void FileCalls::disarm() {
  (*the_plan).from = 0;
}
unsigned FileCalls::calls() const {
  return (*the_plan).calls;
}

// --- in libc's place -----------------------------------------------------------------------------
// The labels are the names that libc exports for files of more than 2 GiB.

extern "C" {

ssize_t counted_write(int fd, const void* data, size_t size) __asm__("write");
ssize_t counted_write(int fd, const void* data, size_t size) {
  return fails(fd) ? -1 : ::syscall(SYS_write, fd, data, size);
}

ssize_t counted_pwrite(int fd, const void* data, size_t size, off_t offset) __asm__("pwrite64");
ssize_t counted_pwrite(int fd, const void* data, size_t size, off_t offset) {
  if (!fails(fd)) return ::syscall(SYS_pwrite64, fd, data, size, offset);
  // A disk that fills up takes a part first.
  const int error = errno;
  ::syscall(SYS_pwrite64, fd, data, size / 2, offset);
  errno = error;
  return -1;
}

int counted_ftruncate(int fd, off_t size) __asm__("ftruncate64");
int counted_ftruncate(int fd, off_t size) {
  return fails(fd) ? -1 : static_cast<int>(::syscall(SYS_ftruncate, fd, size));
}

int counted_fallocate(int fd, int mode, off_t offset, off_t size) __asm__("fallocate64");
int counted_fallocate(int fd, int mode, off_t offset, off_t size) {
  return fails(fd) ? -1 : static_cast<int>(::syscall(SYS_fallocate, fd, mode, offset, size));
}

int counted_fsync(int fd) __asm__("fsync");
int counted_fsync(int fd) {
  return fails(fd) ? -1 : static_cast<int>(::syscall(SYS_fsync, fd));
}

int counted_fdatasync(int fd) __asm__("fdatasync");
int counted_fdatasync(int fd) {
  return fails(fd) ? -1 : static_cast<int>(::syscall(SYS_fdatasync, fd));
}

int counted_open(const char* path, int flags, mode_t mode) __asm__("open64");
int counted_open(const char* path, int flags, mode_t mode) {
  if ((flags & O_CREAT) != 0 && fails()) return -1;
  return static_cast<int>(::syscall(SYS_openat, AT_FDCWD, path, flags, mode));
}

int counted_openat(int folder, const char* path, int flags, mode_t mode) __asm__("openat64");
int counted_openat(int folder, const char* path, int flags, mode_t mode) {
  if ((flags & O_CREAT) != 0 && fails()) return -1;
  return static_cast<int>(::syscall(SYS_openat, folder, path, flags, mode));
}

int counted_mkdirat(int folder, const char* path, mode_t mode) __asm__("mkdirat");
int counted_mkdirat(int folder, const char* path, mode_t mode) {
  return fails() ? -1 : static_cast<int>(::syscall(SYS_mkdirat, folder, path, mode));
}

int counted_linkat(int folder, const char* from, int to_folder, const char* to,
                   int flags) __asm__("linkat");
int counted_linkat(int folder, const char* from, int to_folder, const char* to, int flags) {
  return fails() ? -1 : static_cast<int>(::syscall(SYS_linkat, folder, from, to_folder, to, flags));
}

int counted_renameat(int folder, const char* from, int to_folder,
                     const char* to) __asm__("renameat");
int counted_renameat(int folder, const char* from, int to_folder, const char* to) {
  return fails() ? -1 : static_cast<int>(::syscall(SYS_renameat2, folder, from, to_folder, to, 0U));
}

int counted_renameat2(int folder, const char* from, int to_folder, const char* to,
                      unsigned flags) __asm__("renameat2");
int counted_renameat2(int folder, const char* from, int to_folder, const char* to, unsigned flags) {
  return fails() ? -1
                 : static_cast<int>(::syscall(SYS_renameat2, folder, from, to_folder, to, flags));
}

int counted_unlink(const char* path) __asm__("unlink");
int counted_unlink(const char* path) {
  return fails() ? -1 : static_cast<int>(::syscall(SYS_unlinkat, AT_FDCWD, path, 0));
}

int counted_unlinkat(int folder, const char* path, int flags) __asm__("unlinkat");
int counted_unlinkat(int folder, const char* path, int flags) {
  return fails() ? -1 : static_cast<int>(::syscall(SYS_unlinkat, folder, path, flags));
}

}  // extern "C"

}  // namespace stasis::test
