#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace stasis::cli {

/// "2026-11-21T13:05:07Z" of microseconds since 1970, for programs. Empty for 0.
std::string utc_text(std::uint64_t unix_us);

/// "2026-11-21 14:05:07" in the host's time zone, for people. "-" for 0.
std::string local_text(std::uint64_t unix_us);

/// "12 s", "3 min", "5 h", "2 d": one unit.
std::string duration_text(std::uint64_t microseconds);

/// Seconds, or a number with s, m or h: "90", "90s", "2m". Errors name the text.
base::Result<std::chrono::seconds> parse_duration(std::string_view text);

}  // namespace stasis::cli
