#pragma once

#include <fmt/format.h>

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <utility>

#include "base/result.h"

namespace stasis::snapshot {

/// Reads the members of one JSON object; the first error sticks and names the member.
class JsonFields {
 public:
  using Json = nlohmann::json;

  JsonFields(const Json& object, std::string where) : object_(object), where_(std::move(where)) {
    if (!object.is_object()) note("", "is not an object");
  }

  JsonFields& operator()(const char* name, std::string& value) {
    if (const Json* item = find(name, &Json::is_string, "text")) value = item->get<std::string>();
    return *this;
  }
  JsonFields& operator()(const char* name, bool& value) {
    if (const Json* item = find(name, &Json::is_boolean, "true or false"))
      value = item->get<bool>();
    return *this;
  }
  JsonFields& operator()(const char* name, std::uint64_t& value) {
    const Json* item = find(name, &Json::is_number_unsigned, "a whole number, not negative");
    if (item != nullptr) value = item->get<std::uint64_t>();
    return *this;
  }
  JsonFields& operator()(const char* name, std::int64_t& value) {
    const Json* item = find(name, &Json::is_number_integer, "a whole number");
    if (item == nullptr) return *this;
    const bool fits = !item->is_number_unsigned() || item->get<std::uint64_t>() <= INT64_MAX;
    if (fits) value = item->get<std::int64_t>();
    if (!fits) note(name, "is out of range");
    return *this;
  }
  /// Any value, kept as text; null is "".
  JsonFields& any(const char* name, std::string& text) {
    const Json* item = find(name, &Json::is_structured, "an object or an array", true);
    text = item == nullptr || item->is_null() ? "" : item->dump();
    return *this;
  }
  /// An array of at most `limit` items, each read by `read(JsonFields&)`.
  template <typename T, typename Read>
  JsonFields& list(const char* name, std::size_t limit, std::vector<T>& items, Read&& read) {
    const Json* array = find(name, &Json::is_array, "an array");
    if (array == nullptr) return *this;
    if (array->size() > limit) note(name, fmt::format("has more than {} items", limit));
    for (std::size_t i = 0; status_ && i < array->size(); ++i) {
      JsonFields fields((*array)[i], fmt::format("{}{}[{}].", where_, name, i));
      read(fields, items.emplace_back());
      if (status_ && !fields.status_) status_ = fields.status_;
    }
    return *this;
  }
  template <typename Read>
  JsonFields& object(const char* name, Read&& read) {
    const Json* item = find(name, &Json::is_object, "an object");
    if (item == nullptr) return *this;
    JsonFields fields(*item, fmt::format("{}{}.", where_, name));
    read(fields);
    if (status_ && !fields.status_) status_ = fields.status_;
    return *this;
  }
  void note(std::string_view name, std::string_view what) {
    if (!status_) return;
    status_ = base::fail(base::ErrorKind::kCorrupt, fmt::format("{}{}: {}", where_, name, what));
  }
  base::Status status() const { return status_; }

 private:
  const Json* find(const char* name, bool (Json::*is_right)() const noexcept, const char* wanted,
                   bool may_be_null = false) {
    if (!status_) return nullptr;
    const auto found = object_.find(name);
    if (found == object_.end()) {
      note(name, "is missing");
    } else if ((may_be_null && found->is_null()) || ((*found).*is_right)()) {
      return &*found;
    } else {
      note(name, fmt::format("is {}, not {}", found->type_name(), wanted));
    }
    return nullptr;
  }

  const Json& object_;
  std::string where_;
  base::Status status_;
};

/// The JSON value of `text`, which may be hostile: nothing nested deeper than 32 levels. kCorrupt.
base::Result<nlohmann::json> parse_json(std::string_view text);

}  // namespace stasis::snapshot
