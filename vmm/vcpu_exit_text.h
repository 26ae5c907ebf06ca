#pragma once

#include <string>

#include "vmm/kvm/kvm_vcpu.h"

namespace stasis::vmm {

/// Why KVM cannot go on with this vCPU, for a person: exit reason, sub-error, RIP, the bytes of the
/// instruction when KVM gave them, and what helps. Call on the vCPU's thread or while it is parked.
std::string describe_failed_exit(const KvmVcpu& vcpu);

/// As above for a KVM_RUN that failed with `error_number`.
std::string describe_failed_run(const KvmVcpu& vcpu, int error_number);

}  // namespace stasis::vmm
