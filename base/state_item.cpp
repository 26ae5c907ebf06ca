#include "base/state_item.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

namespace stasis::base {

using Json = nlohmann::json;

StateWriter::StateWriter() : item_(std::make_unique<Json>()) {}
StateWriter::~StateWriter() = default;
StateWriter::StateWriter(StateWriter&&) noexcept = default;
StateWriter& StateWriter::operator=(StateWriter&&) noexcept = default;

void StateWriter::set_unsigned(std::uint64_t value) {
  *item_ = value;
}
void StateWriter::set_signed(std::int64_t value) {
  *item_ = value;
}
void StateWriter::set_bool(bool value) {
  *item_ = value;
}
void StateWriter::set_text(const std::string& value) {
  *item_ = value;
}
void StateWriter::set_bytes(std::span<const std::uint8_t> value) {
  *item_ = Json::binary(Json::binary_t::container_type(value.begin(), value.end()));
}
void StateWriter::make_map() {
  *item_ = Json::object();
}
void StateWriter::make_array() {
  *item_ = Json::array();
}
void StateWriter::set_member(std::string_view name, StateWriter member) {
  (*item_)[std::string(name)] = std::move(*member.item_);
}
void StateWriter::append(StateWriter item) {
  item_->push_back(std::move(*item.item_));
}
std::vector<std::uint8_t> StateWriter::to_cbor() const {
  return Json::to_cbor(*item_);
}

class StateNode {
 public:
  enum class Kind : std::uint8_t {
    kNull,
    kBool,
    kUnsigned,
    kNegative,
    kFloat,
    kText,
    kBytes,
    kArray,
    kMap
  };

  Kind kind = Kind::kNull;
  std::uint64_t number = 0;  // of a negative one the bits of its std::int64_t
  std::string name;          // in a map
  std::string text;
  std::vector<std::uint8_t> bytes;
  std::vector<StateNode> items;

  const char* type_name() const {
    switch (kind) {
      case Kind::kNull:
        return "null";
      case Kind::kBool:
        return "boolean";
      case Kind::kUnsigned:
      case Kind::kNegative:
      case Kind::kFloat:
        return "number";
      case Kind::kText:
        return "string";
      case Kind::kBytes:
        return "binary";
      case Kind::kArray:
        return "array";
      case Kind::kMap:
        return "object";
    }
    return "nothing known";
  }
};

namespace {

using Kind = StateNode::Kind;

/// Makes the nodes, in one pass: a state is read while somebody waits for a machine. Refuses what
/// would overrun the stack or the heap of the parser: items nested deeper than any state, and
/// lengths that the input cannot hold (each item takes a byte at least).
class NodeBuilder final : public nlohmann::json_sax<Json> {
 public:
  NodeBuilder(StateNode& root, std::size_t size_bytes) : root_(root), size_bytes_(size_bytes) {}

  bool null() override { return add(Kind::kNull) != nullptr; }
  bool boolean(bool value) override { return set_number(Kind::kBool, value ? 1 : 0); }
  bool number_integer(std::int64_t value) override {
    return set_number(value < 0 ? Kind::kNegative : Kind::kUnsigned,
                      static_cast<std::uint64_t>(value));
  }
  bool number_unsigned(std::uint64_t value) override { return set_number(Kind::kUnsigned, value); }
  bool number_float(double, const std::string&) override { return add(Kind::kFloat) != nullptr; }
  bool string(std::string& value) override {
    add(Kind::kText)->text = std::move(value);
    return true;
  }
  bool binary(Json::binary_t& value) override {
    add(Kind::kBytes)->bytes = std::move(static_cast<std::vector<std::uint8_t>&>(value));
    return true;
  }
  bool key(std::string& value) override {
    name_ = std::move(value);
    return true;
  }
  bool start_object(std::size_t items) override { return enter(Kind::kMap, items); }
  bool start_array(std::size_t items) override { return enter(Kind::kArray, items); }
  bool end_object() override { return leave(); }
  bool end_array() override { return leave(); }
  bool parse_error(std::size_t, const std::string&, const Json::exception&) override {
    return false;
  }

 private:
  static constexpr unsigned kMaxDepth = 32;
  static constexpr std::size_t kMaxReserved = 1024;  // what is claimed may not be there
  static constexpr std::size_t kUnknown = static_cast<std::size_t>(-1);  // ends with a break

  StateNode* add(Kind kind) {
    StateNode& node = open_.empty() ? root_ : open_.back()->items.emplace_back();
    node.kind = kind;
    node.name = std::exchange(name_, {});
    return &node;
  }
  bool set_number(Kind kind, std::uint64_t value) {
    add(kind)->number = value;
    return true;
  }
  bool enter(Kind kind, std::size_t items) {
    if (open_.size() == kMaxDepth || (items != kUnknown && items > size_bytes_)) return false;
    open_.push_back(add(kind));  // stays where it is: its parent gets no other item before it ends
    if (items != kUnknown) open_.back()->items.reserve(std::min(items, kMaxReserved));
    return true;
  }
  bool leave() {
    open_.pop_back();
    return true;
  }

  StateNode& root_;
  const std::size_t size_bytes_;
  std::string name_;
  std::vector<StateNode*> open_;
};

template <typename T>
Result<T> wrong_type(const StateNode& node, std::string_view wanted) {
  return fail(ErrorKind::kCorrupt, fmt::format("is {}, not {}", node.type_name(), wanted));
}

}  // namespace

/// No copy: it keeps the whole alive.
StateReader StateReader::inner(const StateNode& part) const {
  return StateReader(std::shared_ptr<const StateNode>(node_, &part));
}

Result<StateReader> StateReader::parse(std::span<const std::uint8_t> cbor) {
  auto root = std::make_shared<StateNode>();
  NodeBuilder builder(*root, cbor.size());
  if (!Json::sax_parse(cbor.begin(), cbor.end(), &builder, Json::input_format_t::cbor)) {
    return fail(ErrorKind::kCorrupt, "not one complete CBOR item of at most 32 levels");
  }
  return StateReader(std::move(root));
}

Result<std::uint64_t> StateReader::as_unsigned() const {
  if (node_->kind != Kind::kUnsigned) {
    return wrong_type<std::uint64_t>(*node_, "an unsigned number");
  }
  return node_->number;
}

Result<std::int64_t> StateReader::as_signed() const {
  if (node_->kind == Kind::kNegative) return static_cast<std::int64_t>(node_->number);
  if (node_->kind != Kind::kUnsigned) return wrong_type<std::int64_t>(*node_, "a whole number");
  if (node_->number > INT64_MAX) return fail(ErrorKind::kCorrupt, "is out of range");
  return static_cast<std::int64_t>(node_->number);
}

Result<bool> StateReader::as_bool() const {
  if (node_->kind != Kind::kBool) return wrong_type<bool>(*node_, "true or false");
  return node_->number != 0;
}

Result<std::string> StateReader::as_text() const {
  if (node_->kind != Kind::kText) return wrong_type<std::string>(*node_, "text");
  return node_->text;
}

Result<std::vector<std::uint8_t>> StateReader::as_bytes() const {
  if (node_->kind != Kind::kBytes) {
    return wrong_type<std::vector<std::uint8_t>>(*node_, "a byte string");
  }
  return node_->bytes;
}

Result<std::vector<StateReader>> StateReader::as_array() const {
  if (node_->kind != Kind::kArray) {
    return wrong_type<std::vector<StateReader>>(*node_, "an array");
  }
  std::vector<StateReader> items;
  items.reserve(node_->items.size());
  for (const auto& item : node_->items) items.push_back(inner(item));
  return items;
}

std::optional<StateReader> StateReader::member(std::string_view name) const {
  if (node_->kind != Kind::kMap) return std::nullopt;
  // From the end: of two members of one name the later one counts.
  const auto found = std::find_if(node_->items.rbegin(), node_->items.rend(),
                                  [&](const StateNode& item) { return item.name == name; });
  if (found == node_->items.rend()) return std::nullopt;
  return inner(*found);
}

Result<std::vector<std::string>> StateReader::member_names() const {
  if (node_->kind != Kind::kMap) return wrong_type<std::vector<std::string>>(*node_, "a map");
  std::vector<std::string> names;
  names.reserve(node_->items.size());
  for (const auto& item : node_->items) names.push_back(item.name);
  return names;
}

namespace {

std::optional<std::string> difference_of(const Json& found, const Json& wanted);

std::optional<std::string> difference_of_bytes(const Json& found, const Json& wanted) {
  const auto& a = found.get_binary();
  const auto& b = wanted.get_binary();
  if (a.size() != b.size()) return fmt::format("{} bytes, not {}", a.size(), b.size());
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (a[i] != b[i]) return fmt::format("byte {:#x}: {:#04x}, not {:#04x}", i, a[i], b[i]);
  }
  return std::nullopt;
}

/// An array's item by its position, and by its index if it has one (an MSR, a CPUID leaf).
std::string item_name(std::size_t position, const Json& item) {
  if (!item.is_object() || !item.contains("index")) return std::to_string(position);
  return fmt::format("{} (index {:#x})", position, item["index"].get<std::uint64_t>());
}

std::optional<std::string> difference_of_arrays(const Json& found, const Json& wanted) {
  if (found.size() != wanted.size()) {
    return fmt::format("{} items, not {}", found.size(), wanted.size());
  }
  for (std::size_t i = 0; i < found.size(); ++i) {
    if (auto inner = difference_of(found[i], wanted[i])) {
      return fmt::format("{}: {}", item_name(i, wanted[i]), *inner);
    }
  }
  return std::nullopt;
}

std::optional<std::string> difference_of_maps(const Json& found, const Json& wanted) {
  for (const auto& [name, value] : wanted.items()) {
    if (!found.contains(name)) return fmt::format("{}: missing", name);
    if (auto inner = difference_of(found[name], value)) {
      return fmt::format("{}: {}", name, *inner);
    }
  }
  for (const auto& [name, value] : found.items()) {
    if (!wanted.contains(name)) return fmt::format("{}: not expected", name);
  }
  return std::nullopt;
}

std::optional<std::string> difference_of(const Json& found, const Json& wanted) {
  if (found == wanted) return std::nullopt;
  if (found.is_binary() && wanted.is_binary()) return difference_of_bytes(found, wanted);
  if (found.is_array() && wanted.is_array()) return difference_of_arrays(found, wanted);
  if (found.is_object() && wanted.is_object()) return difference_of_maps(found, wanted);
  return fmt::format("{}, not {}", found.dump(), wanted.dump());
}

}  // namespace

std::optional<std::string> first_difference(std::span<const std::uint8_t> found,
                                            std::span<const std::uint8_t> wanted) {
  if (std::equal(found.begin(), found.end(), wanted.begin(), wanted.end())) return std::nullopt;
  if (!StateReader::parse(found) || !StateReader::parse(wanted)) return "not CBOR";
  return difference_of(Json::from_cbor(found.begin(), found.end(), true, false),
                       Json::from_cbor(wanted.begin(), wanted.end(), true, false));
}

}  // namespace stasis::base
