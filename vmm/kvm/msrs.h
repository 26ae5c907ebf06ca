#pragma once

#include <cstdint>
#include <vector>

#include "base/result.h"
#include "vmm/kvm/kvm_vcpu.h"

namespace stasis::vmm {

/// One model-specific register with its value.
struct MsrValue {
  std::uint32_t index = 0;
  std::uint64_t value = 0;
};

/// Writes all of `values` in order; a refused one is an error that names it (KVM_SET_MSRS itself
/// only says how many it took, T10).
base::Status write_msrs(const KvmVcpu& vcpu, const std::vector<MsrValue>& values);

}  // namespace stasis::vmm
