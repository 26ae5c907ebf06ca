#pragma once

#include <memory>
#include <vector>

#include "devices/io_bus.h"
#include "vmm/boot/boot_plan.h"
#include "vmm/ending_latch.h"
#include "vmm/guest_ram.h"
#include "vmm/kvm/kvm_interrupts.h"
#include "vmm/kvm/kvm_system.h"
#include "vmm/kvm/kvm_vcpu.h"
#include "vmm/kvm/kvm_vm.h"
#include "vmm/kvm/tsc.h"
#include "vmm/kvm/vcpu_state.h"
#include "vmm/machine.h"
#include "vmm/pci_devices.h"
#include "vmm/platform_devices.h"
#include "vmm/vcpu_thread.h"

namespace stasis::vmm {

/// What a machine is made of, in the order in which the parts depend on each other: each uses only
/// those above it, and they go in reverse. Never moved, because parts refer to each other.
struct MachineParts {
  MachineParts(MachineConfig machine_config, KvmSystem kvm_system, KvmVm kvm_vm, GuestRam guest_ram,
               base::Fd ended)
      : config(std::move(machine_config)),
        kvm(std::move(kvm_system)),
        vm(std::move(kvm_vm)),
        ram(std::move(guest_ram)),
        memory(ram.view()),
        latch(std::move(ended)),
        msi_vectors(vm),
        doorbells(vm) {}

  const MachineConfig config;
  const KvmSystem kvm;
  KvmVm vm;
  GuestRam ram;
  base::GuestMemory memory;
  EndingLatch latch;
  KvmMsiVectors msi_vectors;
  KvmDoorbells doorbells;
  devices::IoBus ports;
  devices::IoBus mmio;
  std::unique_ptr<PlatformDevices> platform;
  std::unique_ptr<PciDevices> pci;
  BootPlan boot;
  std::vector<KvmVcpu> vcpus;
  VcpuFacts vcpu_facts;
  TscFacts tsc_facts;
  std::vector<std::unique_ptr<VcpuThread>> threads;
};

}  // namespace stasis::vmm
