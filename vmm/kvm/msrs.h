#pragma once

#include <cstdint>
#include <vector>

#include "base/result.h"
#include "vmm/kvm/kvm_vcpu.h"

namespace stasis::vmm {

// Intel SDM volume 4, table 2-2.
inline constexpr std::uint32_t kMsrTsc = 0x10;
inline constexpr std::uint32_t kMsrSysenterEsp = 0x175;
inline constexpr std::uint32_t kMsrSysenterEip = 0x176;
inline constexpr std::uint32_t kMsrTscDeadline = 0x6E0;
inline constexpr std::uint32_t kMsrXss = 0xDA0;

/// One model-specific register with its value.
struct MsrValue {
  std::uint32_t index = 0;
  std::uint64_t value = 0;
  bool operator==(const MsrValue&) const = default;

  template <typename Self, typename Fields>
  static void describe(Self& self, Fields& fields) {
    auto& [i, v] = self;
    fields("index", i)("value", v);
  }
};

/// Which registers may belong to a vCPU's state, ascending: KVM_GET_MSR_INDEX_LIST, and what that
/// list leaves out (memory types, machine-check banks, the whole of KVM's own range: T9). Without
/// the time stamp counter, which is saved as a relation between vCPUs, without second names of the
/// same register, and without registers of features that no guest is shown (VMX, Hyper-V).
base::Result<std::vector<std::uint32_t>> list_state_msrs(const KvmSystem& system);

/// Those of `indices` that this vCPU has; one that its CPUID hides may be left out.
base::Result<std::vector<std::uint32_t>> readable_msrs(const KvmVcpu& vcpu,
                                                       const std::vector<std::uint32_t>& indices);

/// Reads all of `indices`; one that is refused is an error that names it.
base::Result<std::vector<MsrValue>> read_msrs(const KvmVcpu& vcpu,
                                              const std::vector<std::uint32_t>& indices);

/// Writes all of `values` in order; a refused one is an error that names it (KVM_SET_MSRS itself
/// only says how many it took, T10).
base::Status write_msrs(const KvmVcpu& vcpu, const std::vector<MsrValue>& values);

}  // namespace stasis::vmm
