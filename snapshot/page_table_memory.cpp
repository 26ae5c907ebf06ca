#include "snapshot/page_table_memory.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <vector>

#include "base/fd.h"
#include "base/proc_text.h"

namespace stasis::snapshot {
namespace {

constexpr std::size_t kMost = std::size_t{16} << 20;
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

}  // namespace

void find_page_tables() {
  std::size_t wanted = std::min(page_table_bytes(), kMost);
  std::vector<FullPipe> pipes;  // all at once: what one gives back, the next would be given
  while (wanted > 0) {
    const std::size_t filled = pipes.emplace_back().fill(wanted);
    if (filled == 0) return;
    wanted -= filled;
  }
}

}  // namespace stasis::snapshot
