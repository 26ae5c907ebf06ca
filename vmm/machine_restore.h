#pragma once

#include <memory>

#include "base/result.h"
#include "vmm/machine.h"
#include "vmm/machine_parts.h"
#include "vmm/machine_state.h"

namespace stasis::vmm {

/// kInvalidState, with a sentence on what the guest is doing, when a state of `parts` would be that
/// of a machine that has ended (T56).
base::Status check_can_be_saved(const MachineParts& parts);

/// Copies everything out of a machine at rest: the clock, devices and interrupt controllers, then
/// the vCPUs (T4, T22).
base::Result<MachineState> save_parts(const MachineParts& parts);

/// Puts the KVM half of `state` into a machine whose vCPUs have the state's CPUID and whose devices
/// were built from it. Guest memory is as before afterwards.
base::Status restore_kvm_state(MachineParts& parts, const MachineState& state, ClockPolicy policy);

/// Lets the guest's watchdogs know that it did not run for a while (KVM_KVMCLOCK_CTRL, T6). Guests
/// without KVM's clock have no need of it.
void tell_guest_it_was_stopped(const MachineParts& parts);

/// Machine::restore, up to the finished parts.
base::Result<std::unique_ptr<MachineParts>> restore_machine(const MachineConfig& config,
                                                            Machine::Io io, MachineGround ground,
                                                            const Restore& restore);

}  // namespace stasis::vmm
