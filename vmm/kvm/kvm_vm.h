#pragma once

#include <linux/kvm.h>

#include <cstdint>

#include "base/fd.h"
#include "base/guest_memory.h"
#include "base/result.h"
#include "vmm/kvm/kvm_system.h"

namespace stasis::vmm {

/// One KVM virtual machine: memory slots, interrupt controllers, timer.
///
/// Order matters (measured): memory slots come before the irqchip, PIT, irqfd, ioeventfd and every
/// other bus registration, because a slot change soon after one waits 5-7 ms for a grace period.
/// Threads: set-up on one thread; `set_irq_line` from any.
class KvmVm {
 public:
  /// Creates the VM and places KVM's private pages (layout::kKvmTss, kKvmIdentityMap).
  static base::Result<KvmVm> create(const KvmSystem& system);

  /// New vCPUs count at the rate of the host's time stamp counter as its kernel knows it now; part
  /// of `create` (KVM_SET_TSC_KHZ on a VM, Linux 5.18). KVM's own idea is from when its module was
  /// loaded, perhaps before the kernel had measured that rate well (decision 17): more than 250 ppm
  /// off and on a CPU that cannot scale, a guest's timers go off a whole uptime of the host late.
  void take_host_tsc_rate() const;

  /// Gives the guest `bytes` at `start` as slot `slot`. `bytes` must outlive the VM.
  base::Status set_memory_slot(std::uint32_t slot, base::GuestAddress start,
                               std::span<std::byte> bytes) const;

  /// PIC (all interrupts masked), IOAPIC and local APICs in the kernel, then the PIT (with a dummy
  /// speaker port).
  base::Status create_interrupt_controllers() const;

  /// Drives GSI `gsi` (KVM_IRQ_LINE). Threads: any.
  void set_irq_line(unsigned gsi, bool asserted) const;

  /// KVM_CREATE_VCPU with APIC id `id`.
  base::Result<base::Fd> create_vcpu(unsigned id) const;

  /// Whether saved local APICs have 32-bit ids (KVM_CAP_X2APIC_API, T16).
  bool has_wide_apic_ids() const { return wide_apic_ids_; }

  /// KVM_CHECK_EXTENSION on the VM; 0 when absent.
  int check(int capability) const;

  const base::Fd& fd() const { return fd_; }

 private:
  explicit KvmVm(base::Fd fd) : fd_(std::move(fd)) {}
  base::Status enable_capability(std::uint32_t capability, std::uint64_t argument,
                                 const char* what) const;
  base::Status enable_optional_capabilities();
  base::Status mask_pic(std::uint32_t chip_id, std::uint8_t first_vector) const;

  base::Fd fd_;
  bool wide_apic_ids_ = false;
};

}  // namespace stasis::vmm
