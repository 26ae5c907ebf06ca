#pragma once

#include <vector>

#include "base/result.h"
#include "vmm/kvm/vcpu_state.h"

namespace stasis::vmm {

/// Whether a host whose KVM offers `supported` can run a guest that was given `given`: the same
/// vendor, every feature bit of the guest's there, at least its physical address bits and its
/// performance counters. Left out: bits that describe topology or that KVM provides by itself.
/// kUnsupported names the first item, for example "CPUID leaf 0x7 EBX bit 16 (avx512f)".
base::Status check_cpuid(const std::vector<CpuidEntry>& given,
                         const std::vector<CpuidEntry>& supported);

}  // namespace stasis::vmm
