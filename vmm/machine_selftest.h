#pragma once

#include <optional>
#include <string>

#include "base/result.h"
#include "vmm/machine_parts.h"
#include "vmm/machine_state.h"

namespace stasis::vmm {

/// Where two states differ first, by section and field; nothing when they are equal but for what
/// goes on while nothing runs: the clock and how far each local APIC's timer has counted down. Time
/// stamp counters are compared among each other.
std::optional<std::string> difference(const MachineState& found, const MachineState& wanted);

/// Machine::selftest. `state` was just saved from `parts`, which is at rest. The second machine
/// shares the first one's memory, since nothing runs in it, so neither size nor contents of the
/// memory cost anything.
base::Result<std::string> test_state(const MachineParts& parts, const MachineState& state);

}  // namespace stasis::vmm
