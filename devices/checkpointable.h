#pragma once

#include <concepts>

#include "base/state_codec.h"

namespace stasis::devices {

/// The contract of every device: its state is one value, built from `Wiring` (what the host
/// provides) and that value; `save` is a copy that cannot fail. Call `save` only while vCPUs and
/// event loops are paused, or before they run.
template <typename Device>
concept Checkpointable = base::DescribedState<typename Device::State> &&
    requires(const Device& device) {
  typename Device::Wiring;
  { device.save() } -> std::same_as<typename Device::State>;
};

}  // namespace stasis::devices
