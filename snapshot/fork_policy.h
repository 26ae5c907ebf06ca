#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace stasis::snapshot {

/// Why the host would refuse to fork a process with `ram_bytes` of private memory, and the remedy;
/// nothing when it would not. Only strict accounting (vm.overcommit_memory = 2) refuses.
std::optional<std::string> why_fork_would_fail(std::uint64_t ram_bytes);

/// As above, by the texts of /proc/sys/vm/overcommit_memory and /proc/meminfo.
std::optional<std::string> why_fork_would_fail(std::uint64_t ram_bytes, std::string_view policy,
                                               std::string_view meminfo);

}  // namespace stasis::snapshot
