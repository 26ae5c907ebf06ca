#include "cli/time_text.h"

#include <fmt/format.h>

#include <ctime>

#include "cli/size_text.h"

namespace stasis::cli {
namespace {

constexpr std::uint64_t kSecond = 1'000'000;

std::string formatted(const char* format, const tm& parts) {
  char text[64];
  return std::string(text, std::strftime(text, sizeof text, format, &parts));
}

}  // namespace

std::string utc_text(std::uint64_t unix_us) {
  if (unix_us == 0) return "";
  const auto seconds = static_cast<std::time_t>(unix_us / kSecond);
  tm parts{};
  ::gmtime_r(&seconds, &parts);
  return formatted("%Y-%m-%dT%H:%M:%SZ", parts);
}

std::string local_text(std::uint64_t unix_us) {
  if (unix_us == 0) return "-";
  const auto seconds = static_cast<std::time_t>(unix_us / kSecond);
  tm parts{};
  ::localtime_r(&seconds, &parts);
  return formatted("%Y-%m-%d %H:%M:%S", parts);
}

std::string duration_text(std::uint64_t microseconds) {
  constexpr std::uint64_t kMinute = 60;
  constexpr std::uint64_t kHour = 60 * kMinute;
  constexpr std::uint64_t kDay = 24 * kHour;
  const std::uint64_t seconds = microseconds / kSecond;
  if (seconds < 2 * kMinute) return fmt::format("{} s", seconds);
  if (seconds < 2 * kHour) return fmt::format("{} min", seconds / kMinute);
  if (seconds < 2 * kDay) return fmt::format("{} h", seconds / kHour);
  return fmt::format("{} d", seconds / kDay);
}

base::Result<std::chrono::seconds> parse_duration(std::string_view text) {
  constexpr std::uint64_t kMost = 365 * 24 * 3600;
  std::uint64_t unit = 1;
  std::string_view number = text;
  if (!text.empty() && (text.back() == 's' || text.back() == 'm' || text.back() == 'h')) {
    unit = text.back() == 's' ? 1 : text.back() == 'm' ? 60 : 3600;
    number.remove_suffix(1);
  }
  const auto count = parse_number(number, 0, kMost / unit);
  if (count) return std::chrono::seconds(*count * unit);
  return base::fail(base::ErrorKind::kInvalidArgument,
                    fmt::format("\"{}\": not a time; write seconds, or such as 90s, 2m, 1h", text));
}

}  // namespace stasis::cli
