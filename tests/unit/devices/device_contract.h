#pragma once

#include <catch2/catch.hpp>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "base/state_codec.h"
#include "devices/checkpointable.h"

namespace stasis::devices {

/// The bytes give the state back, the state gives the bytes back, and nothing shorter or longer is
/// taken for a state.
template <base::DescribedState State>
void check_state_codec(const State& state) {
  const std::vector<std::uint8_t> bytes = base::encode_state(state);
  const auto decoded = base::decode_state<State>(bytes);
  REQUIRE(decoded.has_value());
  CHECK(*decoded == state);
  CHECK(base::encode_state(*decoded) == bytes);
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    INFO("cut to " << size << " of " << bytes.size() << " bytes");
    CHECK_FALSE(base::decode_state<State>(std::span(bytes).first(size)).has_value());
  }
  std::vector<std::uint8_t> longer = bytes;
  longer.push_back(0);
  CHECK_FALSE(base::decode_state<State>(longer).has_value());
}

/// What every device promises about its state. `make(state)` builds a device with the test's wiring
/// (anything with `*`, such as std::unique_ptr<Device>); `disturb(device)` moves as much of its
/// state away from the reset values as it can.
template <typename Device, typename Make, typename Disturb>
void check_device_contract(const Make& make, const Disturb& disturb) {
  static_assert(Checkpointable<Device>);
  using State = typename Device::State;

  const auto device = make(State{});
  CHECK((*device).save() == State{});  // reset equals new

  disturb(*device);
  const State saved = (*device).save();
  REQUIRE_FALSE(saved == State{});   // else all below says nothing
  CHECK((*device).save() == saved);  // saving changes nothing
  CHECK((*make(saved)).save() == saved);
  check_state_codec(saved);
}

}  // namespace stasis::devices
