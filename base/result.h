#pragma once

#include <tl/expected.hpp>
#include <type_traits>
#include <utility>

#include "base/error.h"

namespace stasis::base {

/// A value, or why there is none. An alias of `tl::expected` with the names of `std::expected`,
/// which clang 14 cannot see over libstdc++ 12 (docs/decisions/0001-result-type.md).
template <typename T>
using Result = tl::expected<T, Error>;

/// Success, or why not.
using Status = Result<void>;

/// `return fail(ErrorKind::kBusy, fmt::format("disk \"{}\": locked", path));`
inline tl::unexpected<Error> fail(ErrorKind kind, std::string message) {
  return tl::unexpected<Error>(Error(kind, std::move(message)));
}
inline tl::unexpected<Error> fail(Error error) {
  return tl::unexpected<Error>(std::move(error));
}

namespace detail {
template <typename T>
T take(Result<T>&& result) {
  if constexpr (!std::is_void_v<T>) return std::move(*result);
}
}  // namespace detail

}  // namespace stasis::base

#define STASIS_TRY_NAME_2(line) try_result_##line
#define STASIS_TRY_NAME(line) STASIS_TRY_NAME_2(line)
#define STASIS_TRY(name, ...)                                                           \
  __extension__({                                                                       \
    auto name = (__VA_ARGS__);                                                          \
    if (!name) return ::tl::unexpected<::stasis::base::Error>(std::move(name).error()); \
    ::stasis::base::detail::take(std::move(name));                                      \
  })

/// The value of a Result, or an early return of its error from the enclosing function.
#define TRY(...) STASIS_TRY(STASIS_TRY_NAME(__COUNTER__), __VA_ARGS__)
