#pragma once

#include <memory>

#include "base/result.h"
#include "vmm/machine.h"
#include "vmm/machine_parts.h"

namespace stasis::vmm {

/// Assembles a machine, step by step, nothing running. The order is part of the design: guest
/// memory is given to KVM before anything is put on a bus of KVM's, see KvmVm.
base::Result<std::unique_ptr<MachineParts>> build_machine(const MachineConfig& config,
                                                          Machine::Io io);

}  // namespace stasis::vmm
