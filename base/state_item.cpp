#include "base/state_item.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/state_reader.h"

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
