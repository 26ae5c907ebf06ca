#pragma once

#include <fmt/format.h>

#include <string_view>

#include "base/result.h"

namespace stasis::cli {

/// Refuses what the user gave an option.
inline tl::unexpected<base::Error> bad_value(std::string_view value, std::string_view reason) {
  return base::fail(base::ErrorKind::kInvalidArgument, fmt::format("\"{}\": {}", value, reason));
}

}  // namespace stasis::cli
