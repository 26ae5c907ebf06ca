#include "base/state_item.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

namespace stasis::base {

using Json = nlohmann::json;

class StateNode {
 public:
  explicit StateNode(Json item) : json(std::move(item)) {}
  Json json;
};

StateWriter::StateWriter() : node_(std::make_unique<StateNode>(Json())) {}
StateWriter::~StateWriter() = default;
StateWriter::StateWriter(StateWriter&&) noexcept = default;
StateWriter& StateWriter::operator=(StateWriter&&) noexcept = default;

void StateWriter::set_unsigned(std::uint64_t value) {
  node_->json = value;
}
void StateWriter::set_signed(std::int64_t value) {
  node_->json = value;
}
void StateWriter::set_bool(bool value) {
  node_->json = value;
}
void StateWriter::set_text(const std::string& value) {
  node_->json = value;
}
void StateWriter::set_bytes(std::span<const std::uint8_t> value) {
  node_->json = Json::binary(Json::binary_t::container_type(value.begin(), value.end()));
}
void StateWriter::make_map() {
  node_->json = Json::object();
}
void StateWriter::make_array() {
  node_->json = Json::array();
}
void StateWriter::set_member(std::string_view name, StateWriter member) {
  node_->json[std::string(name)] = std::move(member.node_->json);
}
void StateWriter::append(StateWriter item) {
  node_->json.push_back(std::move(item.node_->json));
}
std::vector<std::uint8_t> StateWriter::to_cbor() const {
  return Json::to_cbor(node_->json);
}

StateReader::StateReader(std::unique_ptr<StateNode> node) : node_(std::move(node)) {}
StateReader::~StateReader() = default;
StateReader::StateReader(StateReader&&) noexcept = default;
StateReader& StateReader::operator=(StateReader&&) noexcept = default;

namespace {

template <typename T>
Result<T> wrong_type(const Json& json, std::string_view wanted) {
  return fail(ErrorKind::kCorrupt, fmt::format("is {}, not {}", json.type_name(), wanted));
}

/// Refuses what would overrun the stack or the heap of the parser: items nested deeper than any
/// state, and lengths that the input cannot hold (each item takes a byte at least).
class ShapeCheck final : public nlohmann::json_sax<Json> {
 public:
  explicit ShapeCheck(std::size_t size_bytes) : size_bytes_(size_bytes) {}

  bool null() override { return true; }
  bool boolean(bool) override { return true; }
  bool number_integer(std::int64_t) override { return true; }
  bool number_unsigned(std::uint64_t) override { return true; }
  bool number_float(double, const std::string&) override { return true; }
  bool string(std::string&) override { return true; }
  bool binary(Json::binary_t&) override { return true; }
  bool key(std::string&) override { return true; }
  bool start_object(std::size_t items) override { return enter(items); }
  bool start_array(std::size_t items) override { return enter(items); }
  bool end_object() override { return leave(); }
  bool end_array() override { return leave(); }
  bool parse_error(std::size_t, const std::string&, const Json::exception&) override {
    return false;
  }

 private:
  static constexpr unsigned kMaxDepth = 32;
  static constexpr std::size_t kUnknown = static_cast<std::size_t>(-1);  // ends with a break

  bool enter(std::size_t items) {
    return ++depth_ <= kMaxDepth && (items == kUnknown || items <= size_bytes_);
  }
  bool leave() {
    --depth_;
    return true;
  }

  const std::size_t size_bytes_;
  unsigned depth_ = 0;
};

}  // namespace

Result<StateReader> StateReader::parse(std::span<const std::uint8_t> cbor) {
  ShapeCheck shape(cbor.size());
  if (!Json::sax_parse(cbor.begin(), cbor.end(), &shape, Json::input_format_t::cbor)) {
    return fail(ErrorKind::kCorrupt, "not one complete CBOR item of at most 32 levels");
  }
  Json json = Json::from_cbor(cbor.begin(), cbor.end(), true, false);
  if (json.is_discarded()) return fail(ErrorKind::kCorrupt, "not one complete CBOR item");
  return StateReader(std::make_unique<StateNode>(std::move(json)));
}

Result<std::uint64_t> StateReader::as_unsigned() const {
  if (!node_->json.is_number_unsigned()) {
    return wrong_type<std::uint64_t>(node_->json, "an unsigned number");
  }
  return node_->json.get<std::uint64_t>();
}

Result<std::int64_t> StateReader::as_signed() const {
  const Json& json = node_->json;
  if (!json.is_number_integer()) return wrong_type<std::int64_t>(json, "a whole number");
  if (json.is_number_unsigned() && json.get<std::uint64_t>() > INT64_MAX) {
    return fail(ErrorKind::kCorrupt, "is out of range");
  }
  return json.get<std::int64_t>();
}

Result<bool> StateReader::as_bool() const {
  if (!node_->json.is_boolean()) return wrong_type<bool>(node_->json, "true or false");
  return node_->json.get<bool>();
}

Result<std::string> StateReader::as_text() const {
  if (!node_->json.is_string()) return wrong_type<std::string>(node_->json, "text");
  return node_->json.get<std::string>();
}

Result<std::vector<std::uint8_t>> StateReader::as_bytes() const {
  if (!node_->json.is_binary()) {
    return wrong_type<std::vector<std::uint8_t>>(node_->json, "a byte string");
  }
  const auto& bytes = node_->json.get_binary();
  return std::vector<std::uint8_t>(bytes.begin(), bytes.end());
}

Result<std::vector<StateReader>> StateReader::as_array() const {
  if (!node_->json.is_array()) return wrong_type<std::vector<StateReader>>(node_->json, "an array");
  std::vector<StateReader> items;
  for (const auto& item : node_->json) {
    items.push_back(StateReader(std::make_unique<StateNode>(item)));
  }
  return items;
}

std::optional<StateReader> StateReader::member(std::string_view name) const {
  if (!node_->json.is_object()) return std::nullopt;
  const auto found = node_->json.find(std::string(name));
  if (found == node_->json.end()) return std::nullopt;
  return StateReader(std::make_unique<StateNode>(*found));
}

Result<std::vector<std::string>> StateReader::member_names() const {
  if (!node_->json.is_object()) return wrong_type<std::vector<std::string>>(node_->json, "a map");
  std::vector<std::string> names;
  for (const auto& [name, value] : node_->json.items()) names.push_back(name);
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
  const auto a = StateReader::parse(found);
  const auto b = StateReader::parse(wanted);
  if (!a || !b) return "not CBOR";
  return difference_of(a->node_->json, b->node_->json);
}

}  // namespace stasis::base
