#pragma once

namespace stasis::base {

/// Reports a broken invariant on standard error and aborts. For faults of this program only: what
/// a guest or a file does is never checked with it. On in release builds too.
[[noreturn]] void check_failed(const char* condition, const char* file, int line);

}  // namespace stasis::base

#define STASIS_CHECK(condition)       \
  ((condition) ? static_cast<void>(0) \
               : ::stasis::base::check_failed(#condition, __FILE__, __LINE__))
