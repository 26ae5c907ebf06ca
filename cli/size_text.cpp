#include "cli/size_text.h"

#include <fmt/format.h>

#include <charconv>
#include <optional>

namespace stasis::cli {
namespace {

using base::ErrorKind;
using base::fail;
using base::Result;

constexpr std::string_view kHowToWrite = "write a number and K, M, G or T, such as 512M";

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

tl::unexpected<base::Error> bad(std::string_view text, std::string_view reason) {
  return fail(ErrorKind::kInvalidArgument,
              fmt::format("\"{}\": {}; {}", text, reason, kHowToWrite));
}

/// log2 of the unit: 10 for K, KB or KiB, ...
std::optional<unsigned> unit_shift(std::string_view unit) {
  constexpr std::string_view kLetters = "KMGT";
  if (unit.empty()) return std::nullopt;
  const char letter = static_cast<char>(unit[0] & ~0x20);  // ASCII upper case
  const auto place = kLetters.find(letter);
  const std::string_view rest = unit.substr(1);
  if (place == std::string_view::npos || (!rest.empty() && rest != "B" && rest != "iB")) {
    return std::nullopt;
  }
  return static_cast<unsigned>(10 * (place + 1));
}

/// Bytes of the digits after the point, for a unit of 2^shift bytes; nullopt when that is not a
/// whole number.
std::optional<std::uint64_t> fraction_bytes(std::string_view digits, unsigned shift) {
  constexpr std::size_t kMaxDigits = 6;  // 10^6 * 2^40 fits in 64 bits
  if (digits.size() > kMaxDigits) return std::nullopt;
  std::uint64_t numerator = 0;
  std::uint64_t denominator = 1;
  for (const char digit : digits) {
    numerator = numerator * 10 + static_cast<std::uint64_t>(digit - '0');
    denominator *= 10;
  }
  const std::uint64_t scaled = numerator << shift;
  if (scaled % denominator != 0) return std::nullopt;
  return scaled / denominator;
}

struct Parts {
  std::string_view whole, fraction, unit;
};

/// Splits "1.5GiB" into "1", "5" and "GiB"; empty `whole` when it does not begin with a digit.
Parts split(std::string_view text) {
  const auto digits_from = [&](std::size_t start) {
    std::size_t end = start;
    while (end < text.size() && is_digit(text[end])) ++end;
    return text.substr(start, end - start);
  };
  Parts parts;
  parts.whole = digits_from(0);
  std::size_t next = parts.whole.size();
  if (next > 0 && next + 1 < text.size() && text[next] == '.' && is_digit(text[next + 1])) {
    parts.fraction = digits_from(next + 1);
    next += 1 + parts.fraction.size();
  }
  parts.unit = text.substr(next);
  return parts;
}

}  // namespace

Result<std::uint64_t> parse_size(std::string_view text) {
  if (text.starts_with('-')) return bad(text, "negative");
  const Parts parts = split(text);
  if (parts.whole.empty()) return bad(text, "not a size");
  std::uint64_t whole = 0;
  const auto end = parts.whole.data() + parts.whole.size();
  const bool fits = std::from_chars(parts.whole.data(), end, whole).ec == std::errc();
  if (parts.unit.empty()) return bad(text, fits && whole == 0 ? "nothing at all" : "no unit");
  const auto shift = unit_shift(parts.unit);
  if (!shift) return bad(text, fmt::format("unknown unit \"{}\"", parts.unit));
  if (!fits || whole > (UINT64_MAX >> *shift)) return bad(text, "does not fit in 64 bits");
  const auto fraction = fraction_bytes(parts.fraction, *shift);
  if (!fraction) return bad(text, "not a whole number of bytes");
  const std::uint64_t bytes = (whole << *shift) + *fraction;
  if (bytes == 0) return bad(text, "nothing at all");
  return bytes;
}

std::string format_size(std::uint64_t bytes) {
  constexpr std::string_view kUnits[] = {"bytes", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
  unsigned unit = 0;
  while (unit + 1 < std::size(kUnits) && (bytes >> (10 * (unit + 1))) != 0) ++unit;
  const std::uint64_t one = std::uint64_t{1} << (10 * unit);
  const std::uint64_t tenth = unit == 0 ? 0 : (bytes % one) * 10 / one;
  if (tenth == 0) return fmt::format("{} {}", bytes / one, kUnits[unit]);
  return fmt::format("{}.{} {}", bytes / one, tenth, kUnits[unit]);
}

Result<std::uint64_t> parse_number(std::string_view text, std::uint64_t low, std::uint64_t high) {
  std::uint64_t value = 0;
  const auto end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  const bool is_number = !text.empty() && is_digit(text[0]) && stop == end;
  if (is_number && error == std::errc() && value >= low && value <= high) return value;
  const std::string_view reason = is_number ? "out of range" : "not a whole number";
  return fail(ErrorKind::kInvalidArgument,
              fmt::format("\"{}\": {}; give a number from {} to {}", text, reason, low, high));
}

}  // namespace stasis::cli
