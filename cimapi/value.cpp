#include "cimapi/value.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <utility>

namespace stasis::cimapi {
namespace {

struct NamedType {
  Type type;
  std::string_view name;
  std::uint64_t maximum;  ///< 0: no number
};
constexpr std::array<NamedType, 8> kTypes = {{
    {Type::kBoolean, "boolean", 0},
    {Type::kUint8, "uint8", 0xFF},
    {Type::kUint16, "uint16", 0xFFFF},
    {Type::kUint32, "uint32", 0xFFFF'FFFF},
    {Type::kUint64, "uint64", ~std::uint64_t{0}},
    {Type::kString, "string", 0},
    {Type::kDatetime, "datetime", 0},
    {Type::kReference, "reference", 0},
}};

constexpr std::uint64_t kMicroseconds = 1'000'000;
constexpr std::size_t kDatetimeLength = 25;

char lower(char letter) {
  return letter >= 'A' && letter <= 'Z' ? static_cast<char>(letter - 'A' + 'a') : letter;
}

std::optional<std::uint64_t> parse_number(std::string_view text) {
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (text.empty() || error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return number;
}

std::optional<unsigned> digits(std::string_view text, std::size_t from, std::size_t count) {
  const auto number = parse_number(text.substr(from, count));
  if (!number) return std::nullopt;
  return static_cast<unsigned>(*number);
}

struct Day {
  unsigned days;  ///< of an interval, or year * 10000 + month * 100 + day
  std::uint64_t micros;
};

/// The part that timestamps and intervals share: ........hhmmss.mmmmmm
std::optional<Day> parse_datetime(std::string_view text) {
  const auto days = digits(text, 0, 8);
  const auto hours = digits(text, 8, 2);
  const auto minutes = digits(text, 10, 2);
  const auto seconds = digits(text, 12, 2);
  const auto micros = digits(text, 15, 6);
  if (!days || !hours || !minutes || !seconds || !micros || text[14] != '.') return std::nullopt;
  if (*hours > 23 || *minutes > 59 || *seconds > 59) return std::nullopt;
  return Day{*days, (*hours * 3600ULL + *minutes * 60ULL + *seconds) * kMicroseconds + *micros};
}

bool is_datetime(std::string_view text) {
  return timestamp_us(text).has_value() || interval_us(text).has_value();
}

Value scalar(Type type, std::string text) {
  Value value;
  value.type = type;
  value.is_null = false;
  value.texts.push_back(std::move(text));
  return value;
}

}  // namespace

std::string_view type_name(Type type) {
  return kTypes[static_cast<std::size_t>(type)].name;
}

std::optional<Type> type_named(std::string_view name) {
  const auto* found = std::find_if(kTypes.begin(), kTypes.end(), [&](const NamedType& type) {
    return same_name(type.name, name);
  });
  if (found == kTypes.end()) return std::nullopt;
  return found->type;
}

bool is_valid_text(Type type, std::string_view text) {
  switch (type) {
    case Type::kString:
      return true;
    case Type::kBoolean:
      return same_name(text, "true") || same_name(text, "false");
    case Type::kDatetime:
      return is_datetime(text);
    case Type::kReference:
      return false;
    default: {
      const auto number = parse_number(text);
      return number && *number <= kTypes[static_cast<std::size_t>(type)].maximum;
    }
  }
}

bool same_name(std::string_view left, std::string_view right) {
  return std::equal(left.begin(), left.end(), right.begin(), right.end(),
                    [](char one, char other) { return lower(one) == lower(other); });
}

Value Value::null(Type type, bool is_array) {
  Value value;
  value.type = type;
  value.is_array = is_array;
  return value;
}
Value Value::boolean(bool value) {
  return scalar(Type::kBoolean, value ? "TRUE" : "FALSE");
}
Value Value::number(Type type, std::uint64_t value) {
  return scalar(type, std::to_string(value));
}
Value Value::text(std::string value) {
  return scalar(Type::kString, std::move(value));
}
Value Value::datetime(std::string value) {
  return scalar(Type::kDatetime, std::move(value));
}

Value Value::reference(ObjectPath path) {
  Value value;
  value.type = Type::kReference;
  value.is_null = false;
  value.references.push_back(std::move(path));
  return value;
}

Value Value::embedded(std::string instance_xml) {
  Value value = text(std::move(instance_xml));
  value.is_embedded = true;
  return value;
}

Value Value::numbers(Type type, std::initializer_list<std::uint64_t> values) {
  Value value = null(type, true);
  value.is_null = false;
  for (const auto number : values) value.texts.push_back(std::to_string(number));
  return value;
}

Value Value::strings(std::vector<std::string> values) {
  Value value = null(Type::kString, true);
  value.is_null = false;
  value.texts = std::move(values);
  return value;
}

std::uint64_t Value::as_number() const {
  return texts.empty() ? 0 : parse_number(texts[0]).value_or(0);
}
bool Value::as_boolean() const {
  return !texts.empty() && same_name(texts[0], "true");
}
std::string Value::as_text() const {
  return texts.empty() ? std::string() : texts[0];
}
const ObjectPath* Value::as_reference() const {
  return references.empty() ? nullptr : references.data();
}

namespace {
const Value* find_in(const std::vector<Property>& properties, std::string_view name) {
  const auto found =
      std::find_if(properties.begin(), properties.end(),
                   [&](const Property& property) { return same_name(property.name, name); });
  return found == properties.end() ? nullptr : &found->value;
}
}  // namespace

const Value* ObjectPath::key(std::string_view name) const {
  return find_in(keys, name);
}
std::string ObjectPath::key_text(std::string_view name) const {
  const Value* value = key(name);
  return value == nullptr ? std::string() : value->as_text();
}

const Value* Instance::find(std::string_view name) const {
  return find_in(properties, name);
}
std::uint64_t Instance::number(std::string_view name) const {
  const Value* value = find(name);
  return value == nullptr ? 0 : value->as_number();
}
bool Instance::boolean(std::string_view name) const {
  const Value* value = find(name);
  return value != nullptr && value->as_boolean();
}
std::string Instance::text(std::string_view name) const {
  const Value* value = find(name);
  return value == nullptr ? std::string() : value->as_text();
}

std::string timestamp_text(std::uint64_t unix_us) {
  using namespace std::chrono;
  const sys_days day = floor<days>(sys_time<microseconds>(microseconds(unix_us)));
  const year_month_day date(day);
  const hh_mm_ss time(sys_time<microseconds>(microseconds(unix_us)) - day);
  return fmt::format("{:04}{:02}{:02}{:02}{:02}{:02}.{:06}+000", static_cast<int>(date.year()),
                     static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
                     time.hours().count(), time.minutes().count(), time.seconds().count(),
                     time.subseconds().count());
}

std::optional<std::uint64_t> timestamp_us(std::string_view text) {
  using namespace std::chrono;
  if (text.size() != kDatetimeLength || (text[21] != '+' && text[21] != '-')) return std::nullopt;
  const auto parsed = parse_datetime(text);
  const auto offset = digits(text, 22, 3);
  if (!parsed || !offset) return std::nullopt;
  const year_month_day date(year(static_cast<int>(parsed->days / 10'000)),
                            month(parsed->days / 100 % 100), day(parsed->days % 100));
  if (!date.ok()) return std::nullopt;
  const minutes zone(text[21] == '+' ? static_cast<int>(*offset) : -static_cast<int>(*offset));
  const auto since = duration_cast<microseconds>((sys_days(date) - zone).time_since_epoch());
  const auto total = since.count() + static_cast<std::int64_t>(parsed->micros);
  if (total < 0) return std::nullopt;
  return static_cast<std::uint64_t>(total);
}

std::string interval_text(std::uint64_t microseconds) {
  const std::uint64_t seconds = microseconds / kMicroseconds;
  return fmt::format("{:08}{:02}{:02}{:02}.{:06}:000", seconds / 86'400, seconds / 3600 % 24,
                     seconds / 60 % 60, seconds % 60, microseconds % kMicroseconds);
}

std::optional<std::uint64_t> interval_us(std::string_view text) {
  if (text.size() != kDatetimeLength || text.substr(21) != ":000") return std::nullopt;
  const auto parsed = parse_datetime(text);
  if (!parsed) return std::nullopt;
  return std::uint64_t{parsed->days} * 86'400 * kMicroseconds + parsed->micros;
}

}  // namespace stasis::cimapi
