#pragma once

#include <fmt/format.h>

#include <atomic>
#include <string_view>

namespace stasis::base::log {

/// error: the request failed. warn: odd but served. info: rare state changes. debug: for us.
enum class Level { kError, kWarn, kInfo, kDebug };

/// The least severe level that is written. From `$STASIS_LOG` (error, warn, info, debug); warn when
/// unset. Read once, at the first call.
Level threshold();

/// Writes one line, "stasis: level: text", to standard error in one write(2). Any thread.
void write(Level level, std::string_view text);

/// Lets the first `kBurst` lines of one call site through, then one in `kEvery`: a guest must not
/// be able to fill the host's log. Any thread.
class RateLimit {
 public:
  bool allow() {
    const unsigned seen = seen_.fetch_add(1, std::memory_order_relaxed);
    return seen < kBurst || seen % kEvery == 0;
  }

 private:
  static constexpr unsigned kBurst = 5;
  static constexpr unsigned kEvery = 100'000;
  std::atomic<unsigned> seen_{0};
};

template <typename... Args>
void at(Level level, fmt::format_string<Args...> format, Args&&... args) {
  if (level <= threshold()) write(level, fmt::format(format, std::forward<Args>(args)...));
}
template <typename... Args>
void error(fmt::format_string<Args...> format, Args&&... args) {
  at(Level::kError, format, std::forward<Args>(args)...);
}
template <typename... Args>
void warn(fmt::format_string<Args...> format, Args&&... args) {
  at(Level::kWarn, format, std::forward<Args>(args)...);
}
template <typename... Args>
void info(fmt::format_string<Args...> format, Args&&... args) {
  at(Level::kInfo, format, std::forward<Args>(args)...);
}
template <typename... Args>
void debug(fmt::format_string<Args...> format, Args&&... args) {
  at(Level::kDebug, format, std::forward<Args>(args)...);
}

}  // namespace stasis::base::log

/// For lines a guest can trigger: limited a call site.
#define STASIS_LOG_GUEST(...)                                       \
  do {                                                              \
    static ::stasis::base::log::RateLimit rate_limit;               \
    if (rate_limit.allow()) ::stasis::base::log::info(__VA_ARGS__); \
  } while (false)
