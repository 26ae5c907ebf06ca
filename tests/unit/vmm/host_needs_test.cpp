#include "vmm/host_needs.h"

#include <linux/kvm.h>

#include <catch2/catch.hpp>
#include <cstring>

#include "tests/unit/vmm/machine_state_sample.h"

namespace stasis::vmm {
namespace {

TEST_CASE("what a machine needs follows from its state alone") {
  MachineState state = sample_machine();
  kvm_vcpu_events events{};
  kvm_sregs2 sregs{};
  std::memcpy(state.vcpus[0].events.data(), &events, sizeof events);
  for (auto& vcpu : state.vcpus) std::memcpy(vcpu.sregs.data(), &sregs, sizeof sregs);
  state.vm.wide_apic_ids = false;
  const HostNeeds plain = host_needs(state);
  CHECK(plain.cpuid == state.vcpus[0].cpuid);
  CHECK(plain.msrs == std::vector<std::uint32_t>{0x1A0, 0x6E0});
  CHECK(plain.xsave_bytes == 4096);
  CHECK(plain.tsc_khz == 2'600'000);
  CHECK(plain.capabilities.empty());

  events.flags = KVM_VCPUEVENT_VALID_PAYLOAD | KVM_VCPUEVENT_VALID_TRIPLE_FAULT;
  sregs.flags = KVM_SREGS2_FLAGS_PDPTRS_VALID;
  std::memcpy(state.vcpus[0].events.data(), &events, sizeof events);
  std::memcpy(state.vcpus[1].sregs.data(), &sregs, sizeof sregs);
  state.vcpus[0].xsave.resize(8192);
  state.vcpus[0].cpuid.push_back({1, 0, 0, 0, 0, 1U << 24, 0});
  state.vm.wide_apic_ids = true;
  CHECK(host_needs(state).capabilities ==
        std::vector<std::string>{"KVM_CAP_SREGS2", "KVM_CAP_XSAVE2", "KVM_CAP_EXCEPTION_PAYLOAD",
                                 "KVM_CAP_X86_TRIPLE_FAULT_EVENT", "KVM_CAP_X2APIC_API",
                                 "KVM_CAP_TSC_DEADLINE_TIMER"});
}

}  // namespace
}  // namespace stasis::vmm
