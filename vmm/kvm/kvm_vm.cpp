#include "vmm/kvm/kvm_vm.h"

#include <fmt/format.h>

#include "vmm/machine_layout.h"

namespace stasis::vmm {

base::Result<KvmVm> KvmVm::create(const KvmSystem& system) {
  KvmVm vm(TRY(system.create_vm()));
  const std::uint64_t identity_map = layout::kKvmIdentityMap;
  TRY(kvm_call(vm.fd_, KVM_SET_IDENTITY_MAP_ADDR, "KVM_SET_IDENTITY_MAP_ADDR", &identity_map));
  if (kvm_ioctl(vm.fd_, KVM_SET_TSS_ADDR, static_cast<unsigned long>(layout::kKvmTss)) < 0) {
    return base::fail(base::errno_error("KVM_SET_TSS_ADDR"));
  }
  TRY(vm.enable_optional_capabilities());
  vm.take_host_tsc_rate();
  return vm;
}

void KvmVm::take_host_tsc_rate() const {
  // Refused by a kernel that knows this request of vCPUs only, and then as if it were not here.
  kvm_ioctl(fd_, KVM_SET_TSC_KHZ, 0UL);
}

int KvmVm::check(int capability) const {
  const int result = kvm_ioctl(fd_, KVM_CHECK_EXTENSION, static_cast<unsigned long>(capability));
  return result < 0 ? 0 : result;
}

base::Status KvmVm::enable_capability(std::uint32_t capability, std::uint64_t argument,
                                      const char* what) const {
  kvm_enable_cap request{};
  request.cap = capability;
  request.args[0] = argument;
  return kvm_call(fd_, KVM_ENABLE_CAP, what, &request);
}

/// What makes a later save complete: pending exceptions keep their payload (CR2, DR6), a pending
/// triple fault is not lost, and APIC ids keep their 32-bit layout in saved local APICs.
base::Status KvmVm::enable_optional_capabilities() {
  if (check(KVM_CAP_EXCEPTION_PAYLOAD) > 0) {
    TRY(enable_capability(KVM_CAP_EXCEPTION_PAYLOAD, 1, "KVM_CAP_EXCEPTION_PAYLOAD"));
  }
  if (check(KVM_CAP_X86_TRIPLE_FAULT_EVENT) > 0) {
    TRY(enable_capability(KVM_CAP_X86_TRIPLE_FAULT_EVENT, 1, "KVM_CAP_X86_TRIPLE_FAULT_EVENT"));
  }
  if (check(KVM_CAP_X2APIC_API) > 0) {
    TRY(enable_capability(KVM_CAP_X2APIC_API,
                          KVM_X2APIC_API_USE_32BIT_IDS | KVM_X2APIC_API_DISABLE_BROADCAST_QUIRK,
                          "KVM_CAP_X2APIC_API"));
    wide_apic_ids_ = true;
  }
  return {};
}

base::Status KvmVm::set_memory_slot(std::uint32_t slot, base::GuestAddress start,
                                    std::span<std::byte> bytes) const {
  kvm_userspace_memory_region region{};
  region.slot = slot;
  region.guest_phys_addr = start.value;
  region.memory_size = bytes.size();
  region.userspace_addr = reinterpret_cast<std::uint64_t>(bytes.data());
  auto set = kvm_call(fd_, KVM_SET_USER_MEMORY_REGION, "KVM_SET_USER_MEMORY_REGION", &region);
  if (!set) {
    return base::fail(set.error().with_context(
        fmt::format("giving the guest {} MiB at {:#x}", bytes.size() >> 20, start.value)));
  }
  return {};
}

/// As firmware leaves a PIC: its interrupts on vectors of their own, and all of them masked. KVM's
/// is open at first, and so is the boot processor's way to it: a kernel that does not know the chip
/// (hardware-reduced ACPI) would take a device's interrupt for exception 0 or 1.
base::Status KvmVm::mask_pic(std::uint32_t chip_id, std::uint8_t first_vector) const {
  kvm_irqchip chip{};
  chip.chip_id = chip_id;
  TRY(kvm_call(fd_, KVM_GET_IRQCHIP, "KVM_GET_IRQCHIP", &chip));
  chip.chip.pic.imr = 0xFF;
  chip.chip.pic.irq_base = first_vector;
  return kvm_call(fd_, KVM_SET_IRQCHIP, "KVM_SET_IRQCHIP", &chip);
}

base::Status KvmVm::create_interrupt_controllers() const {
  TRY(kvm_call(fd_, KVM_CREATE_IRQCHIP, "KVM_CREATE_IRQCHIP"));
  TRY(mask_pic(KVM_IRQCHIP_PIC_MASTER, 0x08));
  TRY(mask_pic(KVM_IRQCHIP_PIC_SLAVE, 0x70));
  kvm_pit_config pit{};
  pit.flags = KVM_PIT_SPEAKER_DUMMY;
  return kvm_call(fd_, KVM_CREATE_PIT2, "KVM_CREATE_PIT2", &pit);
}

void KvmVm::set_irq_line(unsigned gsi, bool asserted) const {
  kvm_irq_level line{};
  line.irq = gsi;
  line.level = asserted ? 1 : 0;
  // Fails only without an irqchip or for a bad argument: not in a machine that was assembled.
  kvm_ioctl(fd_, KVM_IRQ_LINE, &line);
}

base::Result<base::Fd> KvmVm::create_vcpu(unsigned id) const {
  base::Fd vcpu(kvm_ioctl(fd_, KVM_CREATE_VCPU, static_cast<unsigned long>(id)));
  if (!vcpu.is_open()) return base::fail(base::errno_error(fmt::format("creating vCPU {}", id)));
  return vcpu;
}

}  // namespace stasis::vmm
