#pragma once

#include <memory>

#include "base/result.h"
#include "vmm/machine.h"
#include "vmm/machine_ground.h"
#include "vmm/machine_parts.h"
#include "vmm/machine_state.h"

namespace stasis::vmm {

/// Assembles a machine, step by step, nothing running. The order is part of the design: guest
/// memory is given to KVM before anything is put on a bus of KVM's, see KvmVm.
base::Result<std::unique_ptr<MachineParts>> build_machine(
    const MachineConfig& config, Machine::Io io, GroundAhead ahead,
    const std::optional<SurvivingState>& survivors);

/// What a machine is built from that has run before.
struct SavedParts {
  MachineGround ground;  ///< with the saved memory
  const MachineState& state;
  PlatformState platform;  ///< of `state`, or what the platform's devices shall start from instead
  PciDevices::HostSide host_side = PciDevices::HostSide::kOpen;
};

/// The same machine as `build_machine` makes, with the saved devices and CPUID; what KVM keeps is
/// still that of a new machine. `config` and state have the same vCPUs and memory.
base::Result<std::unique_ptr<MachineParts>> rebuild_machine(const MachineConfig& config,
                                                            Machine::Io io, SavedParts saved);

}  // namespace stasis::vmm
