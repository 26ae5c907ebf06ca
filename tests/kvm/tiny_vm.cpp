#include "tests/kvm/tiny_vm.h"

#include "base/check.h"
#include "vmm/kvm/tsc.h"

namespace stasis::vmm {

TinyVm::TinyVm(std::initializer_list<std::uint8_t> code) {
  STASIS_CHECK(vm.set_memory_slot(0, {0}, ram.regions()[0].bytes));
  STASIS_CHECK(vm.create_interrupt_controllers());
  vcpu = KvmVcpu::create(system, vm, 0, system.supported_cpuid().value()).value();
  const std::vector<std::uint8_t> bytes(code);
  ram.view().write({kCode}, std::as_bytes(std::span(bytes)));
  STASIS_CHECK(ports.add(0x10, 8, device));
  STASIS_CHECK(memory.add(0xD000'0000, 8, device));
  kvm_sregs sregs{};
  STASIS_CHECK(kvm_call(vcpu->fd(), KVM_GET_SREGS, "KVM_GET_SREGS", &sregs));
  sregs.cs.base = sregs.cs.selector = 0;
  STASIS_CHECK(kvm_call(vcpu->fd(), KVM_SET_SREGS, "KVM_SET_SREGS", &sregs));
  kvm_regs start{};
  start.rip = kCode;
  start.rsp = 0x8000;
  start.rflags = 2;
  STASIS_CHECK(kvm_call(vcpu->fd(), KVM_SET_REGS, "KVM_SET_REGS", &start));
}

kvm_regs TinyVm::regs() const {
  kvm_regs read{};
  STASIS_CHECK(kvm_call(vcpu->fd(), KVM_GET_REGS, "KVM_GET_REGS", &read));
  return read;
}

bool TinyVm::can_set_tsc() const {
  const auto facts = probe_tsc(vm, *vcpu).value();
  const std::uint64_t moment = host_tsc();
  const std::uint64_t before = read_tsc(*vcpu, facts, moment)->value;
  STASIS_CHECK(
      write_tsc(*vcpu, facts, {facts.host_khz, before + (std::uint64_t{1} << 40)}, moment));
  return read_tsc(*vcpu, facts, moment)->value - before > std::uint64_t{1} << 39;
}

}  // namespace stasis::vmm
