#include "snapshot/memory_at_hand.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <memory>
#include <span>
#include <vector>

#include "base/fd.h"
#include "base/proc_text.h"

namespace stasis::snapshot {
namespace {

constexpr std::size_t kMost = std::size_t{16} << 20;
constexpr std::size_t kOrdinary = std::size_t{1} << 20;
constexpr std::size_t kStack = std::size_t{32} << 10;
constexpr std::size_t kHeap = std::size_t{64} << 10;  // less than malloc would map by itself
constexpr int kPipeBytes = 1 << 20;  // what a pipe may have without privilege (proc(5))

/// With the tables that wait below huge pages.
std::size_t page_table_bytes() {
  return base::proc_bytes(base::read_proc("/proc/self/status"), "VmPTE").value_or(0);
}

/// A pipe's pages are of the kind that page tables are of, which cannot be moved; those of ordinary
/// memory come from, and go back to, another stock.
class FullPipe {
 public:
  FullPipe() {
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_NONBLOCK | O_CLOEXEC) != 0) return;
    out_ = base::Fd(ends[0]);
    in_ = base::Fd(ends[1]);
    ::fcntl(in_.get(), F_SETPIPE_SZ, kPipeBytes);  // or it stays at what it has
  }

  /// How much of `wanted` it has taken.
  std::size_t fill(std::size_t wanted) const {
    static constexpr std::array<char, 16384> kZeroes{};
    std::size_t filled = 0;
    while (in_.is_open() && filled < wanted) {
      const ssize_t count =
          ::write(in_.get(), kZeroes.data(), std::min(kZeroes.size(), wanted - filled));
      if (count <= 0) break;
      filled += static_cast<std::size_t>(count);
    }
    return filled;
  }

 private:
  base::Fd out_;
  base::Fd in_;
};

void find_page_tables() {
  std::size_t wanted = std::min(page_table_bytes(), kMost);
  std::vector<FullPipe> pipes;  // all at once: what one gives back, the next would be given
  while (wanted > 0) {
    const std::size_t filled = pipes.emplace_back().fill(wanted);
    if (filled == 0) return;
    wanted -= filled;
  }
}

void find_ordinary_pages() {
  void* const pages =
      ::mmap(nullptr, kOrdinary, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (pages == MAP_FAILED) return;
  ::madvise(pages, kOrdinary, MADV_NOHUGEPAGE);
  ::madvise(pages, kOrdinary, MADV_POPULATE_WRITE);
  ::munmap(pages, kOrdinary);
}

void touch(std::span<volatile std::byte> bytes) {
  constexpr std::size_t kPage = 4096;
  for (std::size_t at = 0; at < bytes.size(); at += kPage) bytes[at] = std::byte{};
}

[[gnu::noinline]] void touch_stack() {
  std::array<volatile std::byte, kStack> below;
  touch(below);
}

void touch_heap() {
  const std::unique_ptr<volatile std::byte[]> bytes(new volatile std::byte[kHeap]);
  touch({bytes.get(), kHeap});
}

}  // namespace

void have_memory_at_hand() {
  find_page_tables();
  touch_stack();
  touch_heap();
  find_ordinary_pages();  // last: the others would take of them
}

}  // namespace stasis::snapshot
