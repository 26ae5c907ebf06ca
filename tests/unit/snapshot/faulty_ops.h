#pragma once

#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <catch2/catch.hpp>
#include <cerrno>
#include <csignal>
#include <functional>

#include "snapshot/file_ops.h"

namespace stasis::snapshot {

/// Counts the calls that change files, in this process and its children, and does something else
/// at one of them.
class FaultyOps : public FileOps {
 public:
  /// `fault` runs in the place of call number `at` (from 1); what it leaves in `errno` is the
  /// call's failure.
  FaultyOps(unsigned at, std::function<void()> fault) : at_(at), fault_(std::move(fault)) {
    void* memory =
        ::mmap(nullptr, sizeof *count_, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    REQUIRE(memory != MAP_FAILED);
    count_ = static_cast<std::atomic<unsigned>*>(memory);
  }
  ~FaultyOps() override { ::munmap(count_, sizeof *count_); }
  FaultyOps(const FaultyOps&) = delete;
  FaultyOps& operator=(const FaultyOps&) = delete;

  unsigned calls() const { return *count_; }

  int create(int folder, const char* name) const override {
    return fails() ? -1 : FileOps::create(folder, name);
  }
  int make_folder(int folder, const char* name) const override {
    return fails() ? -1 : FileOps::make_folder(folder, name);
  }
  ssize_t write_at(int file, const void* data, std::size_t size,
                   std::uint64_t offset) const override {
    if (!fails()) return FileOps::write_at(file, data, size, offset);
    // A disk that fills up takes a part first.
    const int error = errno;
    FileOps::write_at(file, data, size / 2, offset);
    errno = error;
    return -1;
  }
  int resize(int file, std::uint64_t size) const override {
    return fails() ? -1 : FileOps::resize(file, size);
  }
  int sync(int file) const override { return fails() ? -1 : FileOps::sync(file); }
  int rename(int folder, const char* from, const char* to) const override {
    return fails() ? -1 : FileOps::rename(folder, from, to);
  }
  int remove(int folder, const char* name, int flags) const override {
    return fails() ? -1 : FileOps::remove(folder, name, flags);
  }

 private:
  bool fails() const {
    if (++*count_ != at_) return false;
    fault_();
    return true;
  }

  unsigned at_;
  std::function<void()> fault_;
  std::atomic<unsigned>* count_ = nullptr;
};

/// Ends `owner` and, when it is another process, the calling one, as a power cut would.
inline void kill_both(pid_t owner) {
  ::kill(owner, SIGKILL);
  if (::getpid() != owner) ::kill(::getpid(), SIGKILL);
}

}  // namespace stasis::snapshot
