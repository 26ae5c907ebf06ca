#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace stasis::cli {

/// Bytes of a size such as "512M", "6G" or "1.5GiB". The unit is a must, so that nobody has to
/// know whether a bare number means bytes or mebibytes: K, M, G or T, powers of 1024, in either
/// case, with or without "iB" or "B". Errors: `"12Q": unknown unit "Q"; ...`.
base::Result<std::uint64_t> parse_size(std::string_view text);

/// "256 MiB", "23.5 GiB": one decimal at most, for messages.
std::string format_size(std::uint64_t bytes);

/// A whole number of `low` to `high`, digits only.
base::Result<std::uint64_t> parse_number(std::string_view text, std::uint64_t low,
                                         std::uint64_t high);

}  // namespace stasis::cli
