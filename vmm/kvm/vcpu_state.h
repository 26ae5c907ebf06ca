#pragma once

#include <linux/kvm.h>

#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

#include "base/state_codec.h"
#include "vmm/kvm/msrs.h"

namespace stasis::vmm {

/// A structure of the kernel's ABI as its bytes, in the layout of x86-64 <linux/kvm.h>.
template <typename T>
using Raw = std::array<std::uint8_t, sizeof(T)>;

/// One entry of a vCPU's CPUID (kvm_cpuid_entry2).
struct CpuidEntry {
  std::uint32_t function = 0;
  std::uint32_t index = 0;
  std::uint32_t flags = 0;
  std::uint32_t eax = 0;
  std::uint32_t ebx = 0;
  std::uint32_t ecx = 0;
  std::uint32_t edx = 0;
  bool operator==(const CpuidEntry&) const = default;

  template <typename Self, typename Fields>
  static void describe(Self& self, Fields& fields) {
    auto& [f, i, fl, a, b, c, d] = self;
    fields("function", f)("index", i)("flags", fl)("eax", a)("ebx", b)("ecx", c)("edx", d);
  }
};

std::vector<CpuidEntry> to_state(const std::vector<kvm_cpuid_entry2>& entries);
std::vector<kvm_cpuid_entry2> to_kvm(const std::vector<CpuidEntry>& entries);

/// All there is of one vCPU (kernel Documentation/virt/kvm/api.rst).
struct VcpuState {
  static constexpr std::string_view kName = "vcpu";
  static constexpr std::uint32_t kVersion = 1;

  std::vector<CpuidEntry> cpuid;  ///< what the guest was given; never computed again
  std::uint32_t mp_state = 0;     ///< KVM_MP_STATE_*
  Raw<kvm_regs> regs{};
  Raw<kvm_sregs2> sregs{};          ///< with the PAE page-directory pointers if valid (T18)
  std::vector<std::uint8_t> xsave;  ///< as long as KVM_CAP_XSAVE2 says (T13)
  Raw<kvm_xcrs> xcrs{};
  Raw<kvm_debugregs> debug_regs{};
  Raw<kvm_lapic_state> lapic{};
  std::vector<MsrValue> msrs;  ///< without the time stamp counter
  Raw<kvm_vcpu_events> events{};
  std::uint32_t tsc_khz = 0;  ///< rate of the guest's time stamp counter
  std::uint64_t tsc = 0;      ///< its value at the moment of KvmClockState
  bool operator==(const VcpuState&) const = default;

  template <typename Self, typename Fields>
  static void describe(Self& self, Fields& fields) {
    auto& [c, mp, r, s, x, xc, d, l, m, e, k, t] = self;
    fields("cpuid", c)("mp_state", mp)("regs", r)("sregs", s)("xsave", x)("xcrs", xc)(
        "debug_regs", d)("lapic", l)("msrs", m)("events", e)("tsc_khz", k)("tsc", t);
  }
  base::Status validate() const;
};

/// How this host's KVM tells a vCPU's state: looked up once, so that a pause need not.
struct VcpuFacts {
  std::vector<std::uint32_t> msrs;  ///< from readable_msrs
  std::size_t xsave_bytes = 0;
  bool has_sregs2 = false;
};

/// Asks for the facts; `vcpu` stands for all of its machine.
base::Result<VcpuFacts> probe_vcpu(const KvmSystem& system, const KvmVm& vm, const KvmVcpu& vcpu);

/// The same facts from a state that was saved under the KVM that is loaded still: a list of MSRs
/// which need not be tried one by one.
VcpuFacts facts_of(const VcpuState& state, const KvmVm& vm);

/// Reads a parked vCPU's state, all but `tsc` and `tsc_khz` (vmm/kvm/tsc.h). The order is fixed:
/// the run state first, because asking for it can process a start-up signal; the timer's deadline
/// before the local APIC, so that a timer which runs out between them is seen at least once;
/// pending events last (T8, T11).
base::Result<VcpuState> save_vcpu(const KvmVcpu& vcpu, const VcpuFacts& facts);

/// Puts a state, all but time, deadline and events, into a vCPU that never ran and was created with
/// the state's CPUID. Errors name what the host refuses.
base::Status restore_vcpu(const KvmVcpu& vcpu, const VcpuFacts& facts, const VcpuState& state);

/// The rest, after the machine's clock and the vCPU's counter were set: the timer's deadline, which
/// is measured against them (T11), then pending events (T7).
base::Status restore_vcpu_events(const KvmVcpu& vcpu, const VcpuState& state);

}  // namespace stasis::vmm
