#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace stasis::base {

/// Reads one CBOR item (RFC 8949) where it lies: nothing is copied, so the bytes must outlive all
/// readers of them. Of CBOR it takes what base/state_item.h writes, floating-point numbers and null
/// besides, so that they can be refused by name: no tags, no lengths left open. For
/// base/state_codec.h only.
class StateReader {
 public:
  /// Checks the whole item, all in it, and that nothing follows. kCorrupt if it is none, or nested
  /// deeper than any state.
  static Result<StateReader> parse(std::span<const std::uint8_t> cbor);

  Result<std::uint64_t> as_unsigned() const;
  Result<std::int64_t> as_signed() const;
  Result<bool> as_bool() const;
  Result<std::string_view> as_text() const;
  Result<std::span<const std::uint8_t>> as_bytes() const;
  Result<std::vector<StateReader>> as_array() const;

  /// Nothing if it is no map. Of two members of one name the later one counts.
  std::optional<StateReader> member(std::string_view name) const;
  Result<std::vector<std::string_view>> member_names() const;

 private:
  explicit StateReader(std::span<const std::uint8_t> item) : item_(item) {}
  std::span<const std::uint8_t> item_;  // and what follows it
};

}  // namespace stasis::base
