#include "cli/key_values.h"

#include <fmt/format.h>

#include <algorithm>

#include "cli/spelling.h"

namespace stasis::cli {
namespace {

using base::ErrorKind;
using base::fail;
using base::Status;

std::vector<std::string> split_commas(std::string_view text) {
  std::vector<std::string> items(1);
  for (std::size_t i = 0; i < text.size(); ++i) {
    const bool is_comma = text[i] == ',';
    const bool is_doubled = is_comma && i + 1 < text.size() && text[i + 1] == ',';
    if (is_comma && !is_doubled) {
      items.emplace_back();
      continue;
    }
    items.back() += text[i];
    if (is_doubled) ++i;
  }
  return items;
}

Status unknown_key(const std::string& key, std::initializer_list<KeySpec> specs) {
  std::vector<std::string_view> names;
  for (const KeySpec& spec : specs) names.push_back(spec.key);
  return fail(ErrorKind::kInvalidArgument,
              fmt::format("unknown key \"{}\"{}", key, spelling_hint(key, names)));
}

Status check_key(const KeyValue& item, std::initializer_list<KeySpec> specs) {
  const auto spec = std::find_if(specs.begin(), specs.end(),
                                 [&](const KeySpec& one) { return one.key == item.key; });
  if (spec == specs.end()) return unknown_key(item.key, specs);
  const bool has_value = item.value && !item.value->empty();
  if (spec->has_value && !has_value) {
    return fail(ErrorKind::kInvalidArgument,
                fmt::format("key \"{0}\" has no value; write {0}=VALUE", item.key));
  }
  if (!spec->has_value && item.value) {
    return fail(ErrorKind::kInvalidArgument, fmt::format("key \"{0}\" takes no value, not \"{1}\"; "
                                                         "write {0} alone",
                                                         item.key, *item.value));
  }
  return {};
}

bool is_repeatable(const std::string& key, std::initializer_list<KeySpec> specs) {
  return std::any_of(specs.begin(), specs.end(),
                     [&](const KeySpec& spec) { return spec.key == key && spec.is_repeatable; });
}

}  // namespace

std::vector<KeyValue> split_key_values(std::string_view text) {
  std::vector<KeyValue> result;
  for (const std::string& item : split_commas(text)) {
    const auto equals = item.find('=');
    if (equals == std::string::npos) {
      result.push_back({item, std::nullopt});
    } else {
      result.push_back({item.substr(0, equals), item.substr(equals + 1)});
    }
  }
  return result;
}

Status check_keys(const std::vector<KeyValue>& items, std::initializer_list<KeySpec> specs) {
  for (auto item = items.begin(); item != items.end(); ++item) {
    TRY(check_key(*item, specs));
    const bool seen = std::any_of(items.begin(), item,
                                  [&](const KeyValue& other) { return other.key == item->key; });
    if (seen && !is_repeatable(item->key, specs)) {
      return fail(ErrorKind::kInvalidArgument,
                  fmt::format("key \"{}\" is given twice; give it once", item->key));
    }
  }
  return {};
}

}  // namespace stasis::cli
