#pragma once

#include <linux/kvm.h>

#include <memory>
#include <vector>

#include "base/guarded.h"
#include "devices/interrupts.h"
#include "vmm/kvm/kvm_vm.h"

namespace stasis::vmm {

/// A pin of the in-kernel interrupt controllers.
class KvmInterruptLine final : public devices::InterruptLine {
 public:
  /// `vm` must outlive the line.
  KvmInterruptLine(const KvmVm& vm, unsigned gsi) : vm_(vm), gsi_(gsi) {}
  void set_level(bool asserted) override { vm_.set_irq_line(gsi_, asserted); }

 private:
  const KvmVm& vm_;
  const unsigned gsi_;
};

/// Message-signalled interrupts by irqfd: one GSI and one eventfd a vector, from
/// layout::kFirstMsiGsi on in the order they are made.
/// KVM keeps one routing table for the VM and has no call to read it, so it is kept here.
class KvmMsiVectors final : public devices::MsiVectors {
 public:
  /// `vm` must outlive this and every vector; this must outlive the vectors.
  explicit KvmMsiVectors(const KvmVm& vm);

  base::Result<std::unique_ptr<devices::MsiVector>> make_vector() override;

 private:
  class Vector;
  base::Status set_route(unsigned gsi, const devices::MsiMessage& message);

  const KvmVm& vm_;
  const unsigned gsi_limit_;
  unsigned next_gsi_;
  base::Guarded<std::vector<kvm_irq_routing_entry>> routes_;
};

/// ioeventfds in memory space. Threads: any.
class KvmDoorbells final : public devices::Doorbells {
 public:
  explicit KvmDoorbells(const KvmVm& vm) : vm_(vm) {}
  base::Status attach(base::GuestAddress address, const base::Fd& eventfd) override;
  void detach(base::GuestAddress address, const base::Fd& eventfd) override;

 private:
  const KvmVm& vm_;
};

}  // namespace stasis::vmm
