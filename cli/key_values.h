#pragma once

#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace stasis::cli {

/// One item of "disk.img,ro,id=root": a key with or without a value.
struct KeyValue {
  std::string key;
  std::optional<std::string> value;
};

/// Splits at commas, then at the first "=" of each item. Two commas stand for one of the text, so
/// that every file name can be written. Never empty: "" is one item with an empty key.
std::vector<KeyValue> split_key_values(std::string_view text);

/// A key and whether it must have a value (`id=...`) or must not (`ro`).
struct KeySpec {
  std::string_view key;
  bool has_value;
  bool is_repeatable = false;
};

/// Refuses unknown keys (naming the valid ones), values that are missing or too much, and keys
/// given twice.
base::Status check_keys(const std::vector<KeyValue>& items, std::initializer_list<KeySpec> specs);

}  // namespace stasis::cli
