#pragma once

#include <memory>
#include <vector>

#include "devices/io_bus.h"
#include "vmm/boot/boot_plan.h"
#include "vmm/ending_latch.h"
#include "vmm/kvm/kvm_interrupts.h"
#include "vmm/kvm/kvm_vcpu.h"
#include "vmm/kvm/tsc.h"
#include "vmm/kvm/vcpu_state.h"
#include "vmm/machine.h"
#include "vmm/machine_ground.h"
#include "vmm/pci_devices.h"
#include "vmm/platform_devices.h"
#include "vmm/vcpu_thread.h"

namespace stasis::vmm {

/// What a machine is made of, in the order in which the parts depend on each other: each uses only
/// those above it, and they go in reverse. Never moved, because parts refer to each other.
struct MachineParts {
  MachineParts(MachineConfig machine_config, MachineGround ground, base::Fd ended)
      : config(std::move(machine_config)),
        host(std::move(ground.host)),
        kvm(std::move(ground.kvm)),
        supported_cpuid(std::move(ground.supported_cpuid)),
        vm(std::move(ground.vm)),
        ram(std::move(ground.ram)),
        memory(ram.view()),
        first_vcpu(std::move(ground.first_vcpu)),
        latch(std::move(ended)),
        msi_vectors(vm),
        doorbells(vm) {}

  const MachineConfig config;
  const std::string host;
  const KvmSystem kvm;
  const std::vector<kvm_cpuid_entry2> supported_cpuid;
  KvmVm vm;
  GuestRam ram;
  base::GuestMemory memory;
  base::Fd first_vcpu;  ///< until it is one of `vcpus`
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
