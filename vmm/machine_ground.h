#pragma once

#include <vector>

#include "base/result.h"
#include "vmm/guest_ram.h"
#include "vmm/kvm/kvm_system.h"
#include "vmm/kvm/kvm_vm.h"

namespace stasis::vmm {

/// What a machine stands on: a VM with memory and interrupt controllers, and nothing else. It needs
/// none of a saved state, so it can be laid while that is read. Threads: laid on any, then moved.
struct MachineGround {
  KvmSystem kvm;
  std::vector<kvm_cpuid_entry2> supported_cpuid;  ///< KVM_GET_SUPPORTED_CPUID
  KvmVm vm;
  GuestRam ram;  ///< known to KVM
};

/// On `ram`, which has its contents already when it has any mapped over it: KVM is told of the
/// memory once that is done.
base::Result<MachineGround> lay_ground(GuestRam ram);

/// For a machine that is to be restored: memory of `memory_bytes` with what `source` has.
base::Result<MachineGround> lay_ground(std::uint64_t memory_bytes, RamSource& source);

}  // namespace stasis::vmm
