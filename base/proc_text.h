#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace stasis::base {

/// The text of a small file of /proc or /sys; empty when it cannot be read.
std::string read_proc(const char* path);

/// Bytes behind "`name`:" at the beginning of a line of `text`, which counts in kB, as
/// /proc/meminfo and /proc/self/status do (proc(5)). Nothing when there is no such line, or no
/// number in it.
std::optional<std::uint64_t> proc_bytes(std::string_view text, std::string_view name);

}  // namespace stasis::base
