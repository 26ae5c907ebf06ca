#pragma once

#include <cstdint>
#include <initializer_list>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"

namespace stasis::snapshot {

/// Reads one JSON object whose content nobody vouches for: each member is asked for by name, kind
/// and range, and `finish` refuses those that nobody asked for. Errors are kCorrupt and name the
/// place: `machine.disks[1].path: not a text`.
/// Readers of what is inside share the document, which lives as long as any of them.
class JsonReader {
 public:
  /// The object in `text`, nested at most 32 levels deep; `where` stands at the front of each
  /// error.
  static base::Result<JsonReader> parse(std::string_view text, std::string where);

  /// Schema numbers stand in member "schema": kUnsupported when it is above `newest`.
  base::Status check_schema(std::uint64_t newest);

  bool has(const char* name) const { return value_->contains(name); }

  base::Result<std::string> text(const char* name, std::size_t max_bytes = kMaxText);
  base::Result<std::uint64_t> number(const char* name, std::uint64_t low = 0,
                                     std::uint64_t high = UINT64_MAX);
  base::Result<bool> truth(const char* name);

  /// An object or an array, kept as text; "" for null.
  base::Result<std::string> any(const char* name);

  /// One of few words; the value that stands for it.
  template <typename T>
  base::Result<T> choice(const char* name,
                         std::initializer_list<std::pair<std::string_view, T>> words) {
    const std::string word = TRY(text(name));
    for (const auto& [known, value] : words) {
      if (word == known) return value;
    }
    return unknown_word(name, word);
  }

  base::Result<JsonReader> object(const char* name);
  base::Result<std::vector<JsonReader>> objects(const char* name, std::size_t max_count);
  base::Result<std::vector<std::string>> texts(const char* name, std::size_t max_count);

  /// An error that names `name`'s place.
  tl::unexpected<base::Error> bad(const char* name, std::string_view why) const;

  base::Status finish() const;

  static constexpr std::size_t kMaxText = 4096;

 private:
  using Value = std::shared_ptr<const nlohmann::json>;
  JsonReader(Value value, std::string where) : value_(std::move(value)), where_(std::move(where)) {}
  base::Result<const nlohmann::json*> member(const char* name);
  base::Result<const nlohmann::json*> list(const char* name, std::size_t max_count);
  tl::unexpected<base::Error> unknown_word(const char* name, std::string_view word) const;

  /// Of `item`, which is within this one.
  JsonReader inside(const nlohmann::json& item, std::string_view place) const;

  Value value_;
  std::string where_;
  std::vector<std::string> known_;
};

}  // namespace stasis::snapshot
