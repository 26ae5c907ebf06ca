#pragma once

#include <cstdint>

#include "base/result.h"
#include "vmm/kvm/kvm_vcpu.h"

namespace stasis::vmm {

/// How this host's KVM handles the time stamp counters of a machine: looked up on a new vCPU.
struct TscFacts {
  std::uint32_t host_khz = 0;
  bool can_scale = false;   ///< KVM_CAP_TSC_CONTROL
  bool has_offset = false;  ///< KVM_VCPU_TSC_OFFSET, Linux 5.16
};

base::Result<TscFacts> probe_tsc(const KvmVm& vm, const KvmVcpu& vcpu);

/// A vCPU's counter: its rate and its value at one moment of the host's counter.
struct TscReading {
  std::uint32_t khz = 0;
  std::uint64_t value = 0;
};

/// The host's counter, as KVM reads it.
std::uint64_t host_tsc();

/// What the vCPU's counter showed when the host's showed `host_moment`. By the offset that KVM
/// applies where that can be asked for, so that the relation between vCPUs is exact (T25; kernel
/// Documentation/virt/kvm/devices/vcpu.rst, section 4).
base::Result<TscReading> read_tsc(const KvmVcpu& vcpu, const TscFacts& facts,
                                  std::uint64_t host_moment);

/// Gives a vCPU that never ran the saved rate. kUnsupported when the host's is more than 250 ppm
/// away (what NTP may correct) and its KVM cannot scale (T26).
base::Status set_tsc_rate(const KvmVcpu& vcpu, const TscFacts& facts, std::uint32_t khz);

/// Makes the vCPU's counter show `value` when the host's shows `host_moment`.
base::Status write_tsc(const KvmVcpu& vcpu, const TscFacts& facts, TscReading reading,
                       std::uint64_t host_moment);

/// Counts of a counter of `khz` in `nanoseconds`, which may be negative.
std::int64_t tsc_counts(std::int64_t nanoseconds, std::uint32_t khz);

}  // namespace stasis::vmm
