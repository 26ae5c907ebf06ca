#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace stasis::base {

class StateMembers;

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

  /// Of a map, all at once, as each look at one would be a walk over those before it.
  Result<StateMembers> as_map() const;

 private:
  explicit StateReader(std::span<const std::uint8_t> item) : item_(item) {}
  std::span<const std::uint8_t> item_;  // and what follows it
};

/// What a map has, in its order.
class StateMembers {
 public:
  struct Member {
    std::string_view name;
    StateReader item;
  };

  void add(std::string_view name, StateReader item) { all_.push_back({name, item}); }
  void reserve(std::size_t count) { all_.reserve(count); }
  const std::vector<Member>& all() const { return all_; }

  /// Null if there is none. Of two of one name the later one counts.
  const StateReader* find(std::string_view name) const;

 private:
  std::vector<Member> all_;
};

}  // namespace stasis::base
