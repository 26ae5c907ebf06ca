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

/// Where two CBOR items differ first and how, for people: "regs: byte 16: 0x1, not 0x2" or
/// "msrs: 3: value: 1, not 2"; nothing when they are equal.
std::optional<std::string> first_difference(std::span<const std::uint8_t> found,
                                            std::span<const std::uint8_t> wanted);

}  // namespace stasis::base
