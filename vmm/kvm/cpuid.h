#pragma once

#include <linux/kvm.h>

#include <vector>

#include "vmm/machine_config.h"

namespace stasis::vmm {

/// What the CPUID of one vCPU depends on besides the host's offer.
struct CpuidRequest {
  CpuModel model = CpuModel::kHost;
  unsigned cpu = 0;           ///< index and APIC id of this vCPU
  unsigned cpu_count = 1;     ///< one socket, one thread a core
  bool tsc_deadline = false;  ///< KVM_CAP_TSC_DEADLINE_TIMER: not part of KVM's offer
};

/// The guest's CPUID out of `supported` (KVM_GET_SUPPORTED_CPUID): topology leaves 1, 4, 0xB, 0x1F,
/// 0x8000'0008, 0x8000'001E for one socket of `cpu_count` cores, hypervisor leaves at 0x4000'0000
/// with their true maximum; VMX, SVM and AMX hidden, because a guest that uses them cannot be
/// snapshotted yet. `kBaseline` also hides all that a host of the x86-64-v2 level need not have.
/// Sources: Intel SDM volume 2A CPUID, AMD APM volume 3 appendix E, kernel
/// Documentation/virt/kvm/x86/cpuid.rst.
std::vector<kvm_cpuid_entry2> make_guest_cpuid(const std::vector<kvm_cpuid_entry2>& supported,
                                               const CpuidRequest& request);

}  // namespace stasis::vmm
