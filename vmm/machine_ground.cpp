#include "vmm/machine_ground.h"

#include <utility>

namespace stasis::vmm {

base::Result<MachineGround> lay_ground(GuestRam ram) {
  KvmSystem kvm = TRY(KvmSystem::open());
  KvmVm vm = TRY(KvmVm::create(kvm));
  std::uint32_t slot = 0;
  for (const auto& region : ram.regions()) {
    TRY(vm.set_memory_slot(slot++, region.start, region.bytes));
  }
  TRY(vm.create_interrupt_controllers());
  auto supported = TRY(kvm.supported_cpuid());
  return MachineGround{std::move(kvm), std::move(supported), std::move(vm), std::move(ram)};
}

base::Result<MachineGround> lay_ground(std::uint64_t memory_bytes, RamSource& source) {
  GuestRam ram = TRY(GuestRam::allocate(memory_bytes));
  TRY(source.fill(ram.regions()));
  return lay_ground(std::move(ram));
}

}  // namespace stasis::vmm
