#pragma once

#include <cstdint>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace stasis::base {

class StateNode;  // one item that was read, and all in it; only state_item.cpp knows more

/// Builds one CBOR item. For base/state_codec.h only.
class StateWriter {
 public:
  StateWriter();
  ~StateWriter();
  StateWriter(StateWriter&&) noexcept;
  StateWriter& operator=(StateWriter&&) noexcept;

  void set_unsigned(std::uint64_t value);
  void set_signed(std::int64_t value);
  void set_bool(bool value);
  void set_text(const std::string& value);
  void set_bytes(std::span<const std::uint8_t> value);
  void set_member(std::string_view name, StateWriter member);
  void make_map();
  void make_array();
  void append(StateWriter item);
  std::vector<std::uint8_t> to_cbor() const;

 private:
  std::unique_ptr<nlohmann::json> item_;
};

/// Reads one CBOR item, which it shares with the readers of what is in it. For base/state_codec.h
/// only.
class StateReader {
 public:
  static Result<StateReader> parse(std::span<const std::uint8_t> cbor);

  Result<std::uint64_t> as_unsigned() const;
  Result<std::int64_t> as_signed() const;
  Result<bool> as_bool() const;
  Result<std::string> as_text() const;
  Result<std::vector<std::uint8_t>> as_bytes() const;
  Result<std::vector<StateReader>> as_array() const;
  std::optional<StateReader> member(std::string_view name) const;
  Result<std::vector<std::string>> member_names() const;

 private:
  explicit StateReader(std::shared_ptr<const StateNode> node) : node_(std::move(node)) {}
  StateReader inner(const StateNode& part) const;
  std::shared_ptr<const StateNode> node_;
};

/// Where two CBOR items differ first and how, for people: "regs: byte 16: 0x1, not 0x2" or
/// "msrs: 3: value: 1, not 2"; nothing when they are equal.
std::optional<std::string> first_difference(std::span<const std::uint8_t> found,
                                            std::span<const std::uint8_t> wanted);

}  // namespace stasis::base
