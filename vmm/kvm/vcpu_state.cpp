#include "vmm/kvm/vcpu_state.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <cstring>

#include "vmm/kvm/kvm_list.h"

namespace stasis::vmm {
namespace {

// One call serves both: up to the flags of the newer structure they are the same.
static_assert(offsetof(kvm_sregs2, flags) == offsetof(kvm_sregs, interrupt_bitmap));
constexpr std::size_t kCommonSregs = offsetof(kvm_sregs2, flags);

constexpr std::size_t kMaxXsave = 64 * 1024;
constexpr std::size_t kMaxCpuid = 256;  // KVM_MAX_CPUID_ENTRIES
constexpr std::size_t kMaxMsrs = 4096;

template <typename T>
base::Status get(const KvmVcpu& vcpu, unsigned long request, const char* what, Raw<T>& out) {
  T value{};
  TRY(kvm_call(vcpu.fd(), request, what, &value));
  std::memcpy(out.data(), &value, sizeof value);
  return {};
}

template <typename T>
base::Status set(const KvmVcpu& vcpu, unsigned long request, const char* what, const Raw<T>& in) {
  T value;
  std::memcpy(&value, in.data(), sizeof value);
  return kvm_call(vcpu.fd(), request, what, &value);
}

base::Status save_sregs(const KvmVcpu& vcpu, const VcpuFacts& facts, Raw<kvm_sregs2>& out) {
  if (facts.has_sregs2) return get<kvm_sregs2>(vcpu, KVM_GET_SREGS2, "KVM_GET_SREGS2", out);
  kvm_sregs old{};
  TRY(kvm_call(vcpu.fd(), KVM_GET_SREGS, "KVM_GET_SREGS", &old));
  std::memcpy(out.data(), &old, kCommonSregs);  // a pending interrupt is among the events, too
  return {};
}

base::Status restore_sregs(const KvmVcpu& vcpu, const VcpuFacts& facts, const Raw<kvm_sregs2>& in) {
  if (facts.has_sregs2) return set<kvm_sregs2>(vcpu, KVM_SET_SREGS2, "KVM_SET_SREGS2", in);
  kvm_sregs2 state{};
  std::memcpy(&state, in.data(), sizeof state);
  if ((state.flags & KVM_SREGS2_FLAGS_PDPTRS_VALID) != 0) {
    return base::fail(base::ErrorKind::kUnsupported,
                      "KVM_CAP_SREGS2: this kernel's KVM lacks it and cannot take the guest's PAE "
                      "page-directory pointers; Linux 5.14 or newer has it");
  }
  kvm_sregs old{};
  std::memcpy(&old, in.data(), kCommonSregs);
  return kvm_call(vcpu.fd(), KVM_SET_SREGS, "KVM_SET_SREGS", &old);
}

base::Status save_xsave(const KvmVcpu& vcpu, const VcpuFacts& facts,
                        std::vector<std::uint8_t>& out) {
  out.resize(facts.xsave_bytes);
  if (facts.xsave_bytes > sizeof(KvmXsaveArea)) {
    return kvm_call(vcpu.fd(), kKvmGetXsave2, "KVM_GET_XSAVE2", out.data());
  }
  return kvm_call(vcpu.fd(), kKvmGetXsave, "KVM_GET_XSAVE", out.data());
}

base::Status restore_xsave(const KvmVcpu& vcpu, const VcpuFacts& facts,
                           const std::vector<std::uint8_t>& in) {
  if (in.size() != facts.xsave_bytes) {
    return base::fail(base::ErrorKind::kUnsupported,
                      fmt::format("XSAVE area: saved with {} bytes, this host's KVM takes {}; "
                                  "restore on a host with the same CPU features",
                                  in.size(), facts.xsave_bytes));
  }
  return kvm_call(vcpu.fd(), kKvmSetXsave, "KVM_SET_XSAVE", in.data());
}

/// A host without XSAVE has none, and takes none.
base::Status restore_xcrs(const KvmVcpu& vcpu, const Raw<kvm_xcrs>& in) {
  kvm_xcrs xcrs{};
  std::memcpy(&xcrs, in.data(), sizeof xcrs);
  if (xcrs.nr_xcrs == 0) return {};
  return kvm_call(vcpu.fd(), KVM_SET_XCRS, "KVM_SET_XCRS", &xcrs);
}

bool is_intel(const std::vector<kvm_cpuid_entry2>& cpuid) {
  const auto vendor = std::find_if(cpuid.begin(), cpuid.end(),
                                   [](const auto& entry) { return entry.function == 0; });
  return vendor != cpuid.end() && vendor->ebx == 0x756E'6547;  // "Genu"
}

/// AMD's SYSENTER is for legacy mode: KVM keeps the low halves of its stack and entry point alone,
/// but may tell what the guest wrote above them.
void drop_unkept_halves(std::vector<MsrValue>& msrs) {
  for (MsrValue& msr : msrs) {
    if (msr.index == kMsrSysenterEsp || msr.index == kMsrSysenterEip) msr.value &= 0xFFFF'FFFF;
  }
}

/// The processor's priority follows from the task's and from what is being served (Intel SDM volume
/// 3A, section 10.8.3.1). KVM leaves the register behind until somebody looks at it, and corrects
/// it on restore.
void correct_priority(Raw<kvm_lapic_state>& lapic) {
  constexpr std::size_t kTaskPriority = 0x80;
  constexpr std::size_t kProcessorPriority = 0xA0;
  constexpr std::size_t kInService = 0x100;  // eight registers of 32 vectors, 16 bytes apart
  unsigned served = 0;
  for (unsigned vector = 0; vector < 256; ++vector) {
    const std::size_t at = kInService + vector / 32 * 16 + vector % 32 / 8;
    if ((lapic[at] >> vector % 8 & 1) != 0) served = vector;
  }
  const std::uint8_t task = lapic[kTaskPriority];
  const auto serving = static_cast<std::uint8_t>(served & 0xF0);
  lapic[kProcessorPriority] = (task & 0xF0) >= serving ? task : serving;
}

/// The saved MSRs for which `wanted` holds, in their order.
template <typename Wanted>
std::vector<MsrValue> select(const std::vector<MsrValue>& msrs, Wanted wanted) {
  std::vector<MsrValue> selected;
  std::copy_if(msrs.begin(), msrs.end(), std::back_inserter(selected), wanted);
  return selected;
}

/// What a guest may have that `VcpuState` has no room for: guests of its own (T19), AMX tiles.
const char* unsupported_feature(const std::vector<CpuidEntry>& cpuid) {
  const auto has = [](std::uint32_t value, unsigned bit) { return (value >> bit & 1) != 0; };
  for (const CpuidEntry& entry : cpuid) {
    if (entry.function == 1 && has(entry.ecx, 5)) return "VMX";
    if (entry.function == 0x8000'0001 && has(entry.ecx, 2)) return "SVM";
    if (entry.function == 7 && entry.index == 0 && has(entry.edx, 24)) return "AMX";
  }
  return nullptr;
}

base::Status too_long(const char* field, std::size_t size, std::size_t limit) {
  return base::fail(base::ErrorKind::kCorrupt,
                    fmt::format("{}: has {} items, more than {}", field, size, limit));
}

VcpuFacts facts_with(std::vector<std::uint32_t> msrs, const KvmVm& vm) {
  return {std::move(msrs),
          std::max(static_cast<std::size_t>(vm.check(KVM_CAP_XSAVE2)), sizeof(KvmXsaveArea)),
          vm.check(KVM_CAP_SREGS2) > 0};
}

}  // namespace

std::vector<CpuidEntry> to_state(const std::vector<kvm_cpuid_entry2>& entries) {
  std::vector<CpuidEntry> state;
  state.reserve(entries.size());
  for (const auto& entry : entries) {
    state.push_back(
        {entry.function, entry.index, entry.flags, entry.eax, entry.ebx, entry.ecx, entry.edx});
  }
  return state;
}

std::vector<kvm_cpuid_entry2> to_kvm(const std::vector<CpuidEntry>& entries) {
  std::vector<kvm_cpuid_entry2> list;
  list.reserve(entries.size());
  for (const auto& entry : entries) {
    list.push_back(
        {entry.function, entry.index, entry.flags, entry.eax, entry.ebx, entry.ecx, entry.edx, {}});
  }
  return list;
}

base::Status VcpuState::validate() const {
  if (cpuid.empty()) return base::fail(base::ErrorKind::kCorrupt, "cpuid: is empty");
  if (cpuid.size() > kMaxCpuid) return too_long("cpuid", cpuid.size(), kMaxCpuid);
  if (const char* feature = unsupported_feature(cpuid)) {
    return base::fail(
        base::ErrorKind::kUnsupported,
        fmt::format("cpuid: shows {}, of which this build restores no state", feature));
  }
  if (msrs.size() > kMaxMsrs) return too_long("msrs", msrs.size(), kMaxMsrs);
  if (xsave.size() < sizeof(KvmXsaveArea) || xsave.size() > kMaxXsave) {
    return base::fail(base::ErrorKind::kCorrupt,
                      fmt::format("xsave: has {} bytes, not {} to {}", xsave.size(),
                                  sizeof(KvmXsaveArea), kMaxXsave));
  }
  if (mp_state > KVM_MP_STATE_SIPI_RECEIVED) {
    return base::fail(base::ErrorKind::kCorrupt,
                      fmt::format("mp_state: {} is not one of an x86 vCPU", mp_state));
  }
  return {};
}

base::Result<VcpuFacts> probe_vcpu(const KvmSystem& system, const KvmVm& vm, const KvmVcpu& vcpu) {
  return facts_with(TRY(readable_msrs(vcpu, TRY(list_state_msrs(system)))), vm);
}

VcpuFacts facts_of(const VcpuState& state, const KvmVm& vm) {
  std::vector<std::uint32_t> msrs;
  msrs.reserve(state.msrs.size());
  for (const MsrValue& msr : state.msrs) msrs.push_back(msr.index);
  return facts_with(std::move(msrs), vm);
}

base::Result<VcpuState> save_vcpu(const KvmVcpu& vcpu, const VcpuFacts& facts) {
  VcpuState state;
  kvm_mp_state mp{};
  TRY(kvm_call(vcpu.fd(), KVM_GET_MP_STATE, "KVM_GET_MP_STATE", &mp));
  state.mp_state = mp.mp_state;
  TRY(get<kvm_regs>(vcpu, KVM_GET_REGS, "KVM_GET_REGS", state.regs));
  TRY(save_sregs(vcpu, facts, state.sregs));
  TRY(save_xsave(vcpu, facts, state.xsave));
  TRY(get<kvm_xcrs>(vcpu, KVM_GET_XCRS, "KVM_GET_XCRS", state.xcrs));
  TRY(get<kvm_debugregs>(vcpu, KVM_GET_DEBUGREGS, "KVM_GET_DEBUGREGS", state.debug_regs));
  state.msrs = TRY(read_msrs(vcpu, facts.msrs));
  if (!is_intel(vcpu.cpuid())) drop_unkept_halves(state.msrs);
  TRY(get<kvm_lapic_state>(vcpu, KVM_GET_LAPIC, "KVM_GET_LAPIC", state.lapic));
  correct_priority(state.lapic);
  TRY(get<kvm_vcpu_events>(vcpu, KVM_GET_VCPU_EVENTS, "KVM_GET_VCPU_EVENTS", state.events));
  state.cpuid = to_state(vcpu.cpuid());
  return state;
}

base::Status restore_vcpu(const KvmVcpu& vcpu, const VcpuFacts& facts, const VcpuState& state) {
  kvm_mp_state mp{};
  mp.mp_state = state.mp_state;
  TRY(kvm_call(vcpu.fd(), KVM_SET_MP_STATE, "KVM_SET_MP_STATE", &mp));
  TRY(set<kvm_regs>(vcpu, KVM_SET_REGS, "KVM_SET_REGS", state.regs));
  TRY(restore_sregs(vcpu, facts, state.sregs));
  const auto is_xss = [](const MsrValue& msr) { return msr.index == kMsrXss; };
  TRY(write_msrs(vcpu, select(state.msrs, is_xss)));  // decides what XSAVE may hold (T12)
  TRY(restore_xsave(vcpu, facts, state.xsave));
  TRY(restore_xcrs(vcpu, state.xcrs));
  TRY(set<kvm_debugregs>(vcpu, KVM_SET_DEBUGREGS, "KVM_SET_DEBUGREGS", state.debug_regs));
  TRY(set<kvm_lapic_state>(vcpu, KVM_SET_LAPIC, "KVM_SET_LAPIC", state.lapic));
  return write_msrs(vcpu, select(state.msrs, [](const MsrValue& msr) {
                      return msr.index != kMsrXss && msr.index != kMsrTscDeadline;
                    }));
}

base::Status restore_vcpu_events(const KvmVcpu& vcpu, const VcpuState& state) {
  const auto is_deadline = [](const MsrValue& msr) { return msr.index == kMsrTscDeadline; };
  TRY(write_msrs(vcpu, select(state.msrs, is_deadline)));
  return set<kvm_vcpu_events>(vcpu, KVM_SET_VCPU_EVENTS, "KVM_SET_VCPU_EVENTS", state.events);
}

}  // namespace stasis::vmm
