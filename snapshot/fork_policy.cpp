#include "snapshot/fork_policy.h"

#include <fmt/format.h>

#include "base/proc_text.h"

namespace stasis::snapshot {

std::optional<std::string> why_fork_would_fail(std::uint64_t ram_bytes) {
  return why_fork_would_fail(ram_bytes, base::read_proc("/proc/sys/vm/overcommit_memory"),
                             base::read_proc("/proc/meminfo"));
}

std::optional<std::string> why_fork_would_fail(std::uint64_t ram_bytes, std::string_view policy,
                                               std::string_view meminfo) {
  if (!policy.starts_with('2')) return std::nullopt;
  const auto limit = base::proc_bytes(meminfo, "CommitLimit");
  const auto used = base::proc_bytes(meminfo, "Committed_AS");
  if (!limit || !used) return std::nullopt;
  const std::uint64_t left = *limit > *used ? *limit - *used : 0;
  if (ram_bytes <= left) return std::nullopt;
  return fmt::format(
      "engine fork: the host may promise {} MiB more memory, the guest's {} MiB need as much "
      "again; "
      "allow more with: sysctl vm.overcommit_memory=1, or use the engine stop-and-copy",
      left >> 20, ram_bytes >> 20);
}

}  // namespace stasis::snapshot
