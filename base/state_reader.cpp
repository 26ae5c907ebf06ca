#include "base/state_reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

namespace stasis::base {
namespace {

using Bytes = std::span<const std::uint8_t>;

/// RFC 8949, section 3.1.
enum class Major : std::uint8_t {
  kUnsigned,
  kNegative,
  kBytes,
  kText,
  kArray,
  kMap,
  kTag,
  kSimple
};

/// Simple values and floating-point numbers, RFC 8949, section 3.3.
constexpr std::uint8_t kFalse = 20;
constexpr std::uint8_t kTrue = 21;
constexpr std::uint8_t kNull = 22;
constexpr std::uint8_t kHalfFloat = 25;
constexpr std::uint8_t kDoubleFloat = 27;

constexpr unsigned kMaxDepth = 32;

/// The first bytes of an item: what it is, its value, length or number of items.
struct Head {
  Major major;
  std::uint8_t kind;  // the lower five bits
  std::uint64_t argument;
};

/// Takes a head off `rest`; nothing when that is too short or leaves the length open.
std::optional<Head> take_head(Bytes& rest) {
  constexpr std::uint8_t kLastImmediate = 23;
  constexpr std::uint8_t kOneByte = 24;
  if (rest.empty()) return std::nullopt;
  const std::uint8_t first = rest.front();
  Head head{static_cast<Major>(first >> 5), static_cast<std::uint8_t>(first & 0x1F), 0};
  rest = rest.subspan(1);
  if (head.kind <= kLastImmediate) {
    head.argument = head.kind;
    return head;
  }
  if (head.kind > kDoubleFloat) return std::nullopt;
  const std::size_t size = std::size_t{1} << (head.kind - kOneByte);
  if (rest.size() < size) return std::nullopt;
  for (const std::uint8_t byte : rest.first(size)) head.argument = head.argument << 8 | byte;
  rest = rest.subspan(size);
  return head;
}

bool take_string(Bytes& rest, std::uint64_t size, Bytes& string) {
  if (size > rest.size()) return false;
  string = rest.first(size);
  rest = rest.subspan(size);
  return true;
}

std::string_view text_of(Bytes bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

bool take_name(Bytes& rest, std::string_view& name) {
  const auto head = take_head(rest);
  Bytes bytes;
  if (!head || head->major != Major::kText || !take_string(rest, head->argument, bytes)) {
    return false;
  }
  name = text_of(bytes);
  return true;
}

bool is_known_simple(std::uint8_t kind) {
  return (kind >= kFalse && kind <= kNull) || (kind >= kHalfFloat && kind <= kDoubleFloat);
}

/// Takes one item off `rest`, with all in it; false when it is none. Each item takes a byte at
/// least, so a number of items that the input cannot hold ends where the input does.
bool take_item(Bytes& rest, unsigned depth) {
  const auto head = take_head(rest);
  if (!head) return false;
  Bytes ignored;
  std::string_view name;
  switch (head->major) {
    case Major::kUnsigned:
      return true;
    case Major::kNegative:
      return head->argument <= INT64_MAX;
    case Major::kBytes:
    case Major::kText:
      return take_string(rest, head->argument, ignored);
    case Major::kArray:
    case Major::kMap:
      if (depth == kMaxDepth) return false;
      for (std::uint64_t i = 0; i < head->argument; ++i) {
        if (head->major == Major::kMap && !take_name(rest, name)) return false;
        if (!take_item(rest, depth + 1)) return false;
      }
      return true;
    case Major::kTag:
      return false;
    case Major::kSimple:
      return is_known_simple(head->kind);
  }
  return false;
}

const char* type_name(const Head& head) {
  switch (head.major) {
    case Major::kUnsigned:
    case Major::kNegative:
      return "number";
    case Major::kBytes:
      return "binary";
    case Major::kText:
      return "string";
    case Major::kArray:
      return "array";
    case Major::kMap:
      return "object";
    case Major::kTag:
      break;
    case Major::kSimple:
      if (head.kind == kNull) return "null";
      return head.kind < kNull ? "boolean" : "number";
  }
  return "nothing known";
}

tl::unexpected<Error> wrong_type(const Head& head, std::string_view wanted) {
  return fail(ErrorKind::kCorrupt, fmt::format("is {}, not {}", type_name(head), wanted));
}

}  // namespace

Result<StateReader> StateReader::parse(Bytes cbor) {
  Bytes rest = cbor;
  if (take_item(rest, 0) && rest.empty()) return StateReader(cbor);
  return fail(ErrorKind::kCorrupt, "not one complete CBOR item of at most 32 levels");
}

Result<std::uint64_t> StateReader::as_unsigned() const {
  Bytes rest = item_;
  const Head head = *take_head(rest);
  if (head.major != Major::kUnsigned) return wrong_type(head, "an unsigned number");
  return head.argument;
}

Result<std::int64_t> StateReader::as_signed() const {
  Bytes rest = item_;
  const Head head = *take_head(rest);
  if (head.major == Major::kNegative) return -1 - static_cast<std::int64_t>(head.argument);
  if (head.major != Major::kUnsigned) return wrong_type(head, "a whole number");
  if (head.argument > INT64_MAX) return fail(ErrorKind::kCorrupt, "is out of range");
  return static_cast<std::int64_t>(head.argument);
}

Result<bool> StateReader::as_bool() const {
  Bytes rest = item_;
  const Head head = *take_head(rest);
  if (head.major != Major::kSimple || head.kind >= kNull) return wrong_type(head, "true or false");
  return head.kind == kTrue;
}

Result<std::string_view> StateReader::as_text() const {
  Bytes rest = item_;
  const Head head = *take_head(rest);
  if (head.major != Major::kText) return wrong_type(head, "text");
  return text_of(rest.first(head.argument));
}

Result<Bytes> StateReader::as_bytes() const {
  Bytes rest = item_;
  const Head head = *take_head(rest);
  if (head.major != Major::kBytes) return wrong_type(head, "a byte string");
  return rest.first(head.argument);
}

Result<std::vector<StateReader>> StateReader::as_array() const {
  Bytes rest = item_;
  const Head head = *take_head(rest);
  if (head.major != Major::kArray) return wrong_type(head, "an array");
  std::vector<StateReader> items;
  items.reserve(head.argument);  // they are there: `parse` has seen them
  for (std::uint64_t i = 0; i < head.argument; ++i) {
    items.push_back(StateReader(rest));
    take_item(rest, 0);
  }
  return items;
}

Result<StateMembers> StateReader::as_map() const {
  Bytes rest = item_;
  const Head head = *take_head(rest);
  if (head.major != Major::kMap) return wrong_type(head, "a map");
  StateMembers members;
  members.reserve(head.argument);
  std::string_view name;
  for (std::uint64_t i = 0; i < head.argument && take_name(rest, name); ++i) {
    members.add(name, StateReader(rest));
    take_item(rest, 0);
  }
  return members;
}

const StateReader* StateMembers::find(std::string_view name) const {
  const auto found = std::find_if(all_.rbegin(), all_.rend(),
                                  [name](const Member& member) { return member.name == name; });
  return found == all_.rend() ? nullptr : &found->item;
}

}  // namespace stasis::base
