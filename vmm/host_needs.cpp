#include "vmm/host_needs.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "vmm/kvm/cpuid_check.h"
#include "vmm/kvm/kvm_list.h"
#include "vmm/kvm/kvm_vm.h"
#include "vmm/kvm/tsc.h"

namespace stasis::vmm {
namespace {

using base::ErrorKind;

constexpr const char* kRemedy = "restore on a host like the one it was saved on";

struct Capability {
  const char* name;
  int number;
};

constexpr Capability kOptional[] = {
    {"KVM_CAP_SREGS2", KVM_CAP_SREGS2},
    {"KVM_CAP_XSAVE2", KVM_CAP_XSAVE2},
    {"KVM_CAP_EXCEPTION_PAYLOAD", KVM_CAP_EXCEPTION_PAYLOAD},
    {"KVM_CAP_X86_TRIPLE_FAULT_EVENT", KVM_CAP_X86_TRIPLE_FAULT_EVENT},
    {"KVM_CAP_X2APIC_API", KVM_CAP_X2APIC_API},
    {"KVM_CAP_TSC_DEADLINE_TIMER", KVM_CAP_TSC_DEADLINE_TIMER},
};

template <typename T>
T from_raw(const Raw<T>& raw) {
  T value;
  std::memcpy(&value, raw.data(), sizeof value);
  return value;
}

bool has_deadline_timer(const std::vector<CpuidEntry>& cpuid) {
  return std::any_of(cpuid.begin(), cpuid.end(), [](const CpuidEntry& entry) {
    return entry.function == 1 && (entry.ecx >> 24 & 1) != 0;
  });
}

std::vector<std::string> used_capabilities(const MachineState& state) {
  const VcpuState& vcpu = state.vcpus.front();
  const auto events = from_raw<kvm_vcpu_events>(vcpu.events).flags;
  const bool has_pdptrs =
      std::any_of(state.vcpus.begin(), state.vcpus.end(), [](const VcpuState& each) {
        return (from_raw<kvm_sregs2>(each.sregs).flags & KVM_SREGS2_FLAGS_PDPTRS_VALID) != 0;
      });
  std::vector<std::string> used;
  const auto add_if = [&used](bool is_used, const char* name) {
    if (is_used) used.emplace_back(name);
  };
  add_if(has_pdptrs, "KVM_CAP_SREGS2");
  add_if(vcpu.xsave.size() > sizeof(KvmXsaveArea), "KVM_CAP_XSAVE2");
  add_if((events & KVM_VCPUEVENT_VALID_PAYLOAD) != 0, "KVM_CAP_EXCEPTION_PAYLOAD");
  add_if((events & KVM_VCPUEVENT_VALID_TRIPLE_FAULT) != 0, "KVM_CAP_X86_TRIPLE_FAULT_EVENT");
  add_if(state.vm.wide_apic_ids, "KVM_CAP_X2APIC_API");
  add_if(has_deadline_timer(vcpu.cpuid), "KVM_CAP_TSC_DEADLINE_TIMER");
  return used;
}

base::Status check_capability(const KvmSystem& system, const std::string& name) {
  const auto* known =
      std::find_if(std::begin(kOptional), std::end(kOptional),
                   [&name](const Capability& capability) { return name == capability.name; });
  if (known == std::end(kOptional)) {
    return base::fail(
        ErrorKind::kUnsupported,
        fmt::format("{}: not known to this build; use the build that saved it", name));
  }
  if (system.check(known->number) > 0) return {};
  return base::fail(ErrorKind::kUnsupported,
                    fmt::format("{}: this host's KVM lacks it; {}", name, kRemedy));
}

base::Status check_msrs(const KvmSystem& system, const std::vector<std::uint32_t>& needed) {
  const auto there = TRY(list_state_msrs(system));
  for (const std::uint32_t index : needed) {
    if (std::binary_search(there.begin(), there.end(), index)) continue;
    return base::fail(
        ErrorKind::kUnsupported,
        fmt::format("MSR {:#x}: this host's KVM does not have it; {}", index, kRemedy));
  }
  return {};
}

base::Status check_xsave(const KvmSystem& system, std::uint64_t needed) {
  const auto there = std::max<std::uint64_t>(
      static_cast<std::uint64_t>(system.check(KVM_CAP_XSAVE2)), sizeof(KvmXsaveArea));
  if (there == needed) return {};
  return base::fail(ErrorKind::kUnsupported,
                    fmt::format("XSAVE area: {} bytes were saved, this host's KVM takes {}; {}",
                                needed, there, kRemedy));
}

base::Status check_tsc(const KvmSystem& system, std::uint32_t khz) {
  const KvmVm vm = TRY(KvmVm::create(system));
  const KvmVcpu vcpu = TRY(KvmVcpu::create(system, vm, 0, TRY(system.supported_cpuid())));
  return set_tsc_rate(vcpu, TRY(probe_tsc(vm, vcpu)), khz);
}

}  // namespace

HostNeeds host_needs(const MachineState& state) {
  HostNeeds needs;
  if (state.vcpus.empty()) return needs;
  const VcpuState& vcpu = state.vcpus.front();
  needs.cpuid = vcpu.cpuid;
  for (const MsrValue& msr : vcpu.msrs) needs.msrs.push_back(msr.index);
  needs.xsave_bytes = vcpu.xsave.size();
  needs.tsc_khz = vcpu.tsc_khz;
  needs.capabilities = used_capabilities(state);
  return needs;
}

base::Status check_kvm(const KvmSystem& system, const HostNeeds& needs) {
  for (const std::string& name : needs.capabilities) TRY(check_capability(system, name));
  TRY(check_msrs(system, needs.msrs));
  return check_xsave(system, needs.xsave_bytes);
}

base::Status check_host(const HostNeeds& needs) {
  const KvmSystem system = TRY(KvmSystem::open());
  TRY(check_cpuid(needs.cpuid, to_state(TRY(system.supported_cpuid()))));
  TRY(check_kvm(system, needs));
  return check_tsc(system, needs.tsc_khz);
}

}  // namespace stasis::vmm
