#include "snapshot/json_reader.h"

#include <fmt/format.h>

#include <algorithm>

namespace stasis::snapshot {

using base::ErrorKind;
using base::fail;
using base::Result;
using base::Status;
using nlohmann::json;

Result<JsonReader> JsonReader::parse(std::string_view text, std::string where) {
  constexpr int kMaxDepth = 32;  // copying and printing a value call themselves once a level
  bool is_flat = true;
  const auto check_depth = [&is_flat](int depth, json::parse_event_t, json&) {
    return is_flat = is_flat && depth <= kMaxDepth;
  };
  json value = json::parse(text, check_depth, /*allow_exceptions=*/false);
  if (!is_flat) return fail(ErrorKind::kCorrupt, where + ": nested too deep");
  if (value.is_discarded()) return fail(ErrorKind::kCorrupt, where + ": not JSON");
  if (!value.is_object()) return fail(ErrorKind::kCorrupt, where + ": not a JSON object");
  return JsonReader(std::make_shared<const json>(std::move(value)), std::move(where));
}

Status JsonReader::check_schema(std::uint64_t newest) {
  const std::uint64_t schema = TRY(number("schema", 1));
  if (schema <= newest) return {};
  return fail(ErrorKind::kUnsupported,
              fmt::format("{}: schema {}, this program knows {} and older; use a newer stasis",
                          where_, schema, newest));
}

tl::unexpected<base::Error> JsonReader::bad(const char* name, std::string_view why) const {
  return fail(ErrorKind::kCorrupt, fmt::format("{}: {}: {}", where_, name, why));
}

tl::unexpected<base::Error> JsonReader::unknown_word(const char* name,
                                                     std::string_view word) const {
  return bad(name, fmt::format("unknown word \"{}\"", word));
}

JsonReader JsonReader::inside(const json& item, std::string_view place) const {
  return JsonReader(Value(value_, &item), fmt::format("{}: {}", where_, place));
}

Result<const json*> JsonReader::member(const char* name) {
  known_.emplace_back(name);
  const auto found = value_->find(name);
  if (found == value_->end()) return bad(name, "missing");
  return &*found;
}

Result<std::string> JsonReader::text(const char* name, std::size_t max_bytes) {
  const json& found = *TRY(member(name));
  if (!found.is_string()) return bad(name, "not a text");
  std::string value = found.get<std::string>();
  if (value.size() > max_bytes) return bad(name, fmt::format("more than {} bytes", max_bytes));
  if (value.find('\0') != std::string::npos) return bad(name, "has a zero byte");
  return value;
}

Result<std::uint64_t> JsonReader::number(const char* name, std::uint64_t low, std::uint64_t high) {
  const json& found = *TRY(member(name));
  if (!found.is_number_unsigned()) return bad(name, "not a whole number from 0 up");
  const auto value = found.get<std::uint64_t>();
  if (value >= low && value <= high) return value;
  return bad(name, fmt::format("{} is out of range {} to {}", value, low, high));
}

Result<bool> JsonReader::truth(const char* name) {
  const json& found = *TRY(member(name));
  if (!found.is_boolean()) return bad(name, "neither true nor false");
  return found.get<bool>();
}

Result<std::string> JsonReader::any(const char* name) {
  const json& found = *TRY(member(name));
  if (!found.is_structured() && !found.is_null()) return bad(name, "not an object, list or null");
  return found.is_null() ? std::string() : found.dump();
}

Result<JsonReader> JsonReader::object(const char* name) {
  const json& found = *TRY(member(name));
  if (!found.is_object()) return bad(name, "not an object");
  return inside(found, name);
}

Result<const json*> JsonReader::list(const char* name, std::size_t max_count) {
  const json& found = *TRY(member(name));
  if (!found.is_array()) return bad(name, "not a list");
  if (found.size() > max_count) return bad(name, fmt::format("more than {} items", max_count));
  return &found;
}

Result<std::vector<JsonReader>> JsonReader::objects(const char* name, std::size_t max_count) {
  std::vector<JsonReader> readers;
  const json& items = *TRY(list(name, max_count));
  readers.reserve(items.size());
  for (const json& item : items) {
    const std::string place = fmt::format("{}[{}]", name, readers.size());
    if (!item.is_object()) return bad(place.c_str(), "not an object");
    readers.push_back(inside(item, place));
  }
  return readers;
}

Result<std::vector<std::string>> JsonReader::texts(const char* name, std::size_t max_count) {
  std::vector<std::string> texts;
  for (const json& item : *TRY(list(name, max_count))) {
    if (!item.is_string()) return bad(name, "has an item that is no text");
    texts.push_back(item.get<std::string>());
    if (texts.back().size() > kMaxText) return bad(name, "has an item that is too long");
  }
  return texts;
}

Status JsonReader::finish() const {
  for (auto item = value_->begin(); item != value_->end(); ++item) {
    const std::string& name = item.key();
    if (std::find(known_.begin(), known_.end(), name) == known_.end()) {
      return bad(fmt::format("\"{}\"", name.substr(0, 64)).c_str(), "unknown member");
    }
  }
  return {};
}

}  // namespace stasis::snapshot
