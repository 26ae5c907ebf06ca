#pragma once

#include <linux/kvm.h>

#include <cstring>
#include <numeric>

#include "vmm/machine_layout.h"
#include "vmm/machine_state.h"

namespace stasis::vmm {

/// Bytes that differ from each other and from zero, to a length that a structure has.
template <typename Bytes>
void number(Bytes& bytes, std::uint8_t first) {
  std::iota(bytes.begin(), bytes.end(), first);
}

/// Every field away from its reset value, or a lost one would not be missed.
inline VcpuState sample_vcpu() {
  VcpuState vcpu;
  vcpu.cpuid = {{0, 0, 0, 0x16, 0x756E6547, 0x6C65746E, 0x49656E69},
                {7, 0, KVM_CPUID_FLAG_SIGNIFCANT_INDEX, 0, 0x219C07AB, 0, 0}};
  vcpu.mp_state = KVM_MP_STATE_HALTED;
  vcpu.xsave.resize(4096);
  number(vcpu.regs, 1);
  number(vcpu.sregs, 2);
  number(vcpu.xsave, 3);
  number(vcpu.xcrs, 4);
  number(vcpu.debug_regs, 5);
  number(vcpu.lapic, 6);
  number(vcpu.events, 7);
  vcpu.msrs = {{0x1A0, 1}, {0x6E0, 0x1'2345'6789}};
  vcpu.tsc_khz = 2'600'000;
  vcpu.tsc = 0xFEDC'BA98'7654'3210;
  return vcpu;
}

inline VmState sample_vm() {
  VmState vm;
  vm.clock = {1'000'000'001, 1'700'000'000'000'000'002, 3};
  number(vm.pit, 1);
  number(vm.pic_master, 2);
  number(vm.pic_slave, 3);
  number(vm.ioapic, 4);
  vm.wide_apic_ids = true;
  return vm;
}

inline devices::VirtioPciState sample_transport() {
  devices::VirtioPciState state;
  number(state.config.written, 1);
  state.msix.enabled = true;
  state.msix.function_masked = true;
  state.msix.entries = {{0xFEE0'0000, 0x4021, false, true}};
  state.registers = {15, 1, 2, 3, 4, 5, 6, 7, {}};
  state.registers.queues.push_back(
      {1, {256, true, 0x1000, 0x2000, 0x3000, 4, 5, 6, true, true, true}});
  return state;
}

/// Two vCPUs, all kinds of devices.
inline MachineState sample_machine() {
  MachineState state;
  state.layout = layout::kVersion;
  state.memory_bytes = std::uint64_t{256} << 20;
  state.vm = sample_vm();
  state.vcpus = {sample_vcpu(), sample_vcpu()};
  state.vcpus[1].mp_state = KVM_MP_STATE_UNINITIALIZED;
  state.platform.uart.scr = 0x5A;
  state.platform.vm_gen_id.guid[3] = 3;
  state.pci.root.config_address = 0x8000'1000;
  state.pci.root.host_bridge.written[4] = 6;
  state.pci.functions = {{devices::VirtioRngState{}, sample_transport()},
                         {devices::VirtioBlkState{}, sample_transport()},
                         {devices::VirtioNetState{{2, 0, 0, 0, 0, 9}, 1, 1400}, sample_transport()},
                         {devices::VirtioConsoleState{132, 50, {'h', 'i'}}, sample_transport()}};
  return state;
}

}  // namespace stasis::vmm
