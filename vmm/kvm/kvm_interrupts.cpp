#include "vmm/kvm/kvm_interrupts.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/log.h"
#include "vmm/kvm/kvm_list.h"
#include "vmm/machine_layout.h"

namespace stasis::vmm {
namespace {

constexpr unsigned kPicPins = 16;
constexpr unsigned kIoApicPins = 24;

kvm_irq_routing_entry pin_route(unsigned gsi, unsigned chip, unsigned pin) {
  kvm_irq_routing_entry entry{};
  entry.gsi = gsi;
  entry.type = KVM_IRQ_ROUTING_IRQCHIP;
  entry.u.irqchip.irqchip = chip;
  entry.u.irqchip.pin = pin;
  return entry;
}

/// The table KVM starts with: GSI n is pin n of the IOAPIC, and of the two PICs below 16. It has to
/// be repeated in every update.
std::vector<kvm_irq_routing_entry> default_routes() {
  std::vector<kvm_irq_routing_entry> routes;
  for (unsigned gsi = 0; gsi < kIoApicPins; ++gsi) {
    routes.push_back(pin_route(gsi, KVM_IRQCHIP_IOAPIC, gsi));
    if (gsi < kPicPins) {
      routes.push_back(
          pin_route(gsi, gsi < 8 ? KVM_IRQCHIP_PIC_MASTER : KVM_IRQCHIP_PIC_SLAVE, gsi % 8));
    }
  }
  return routes;
}

}  // namespace

/// One GSI with an eventfd that raises it. The irqfd is assigned with the first route: before, a
/// signal has nowhere to go.
class KvmMsiVectors::Vector final : public devices::MsiVector {
 public:
  Vector(KvmMsiVectors& owner, unsigned gsi, base::Fd eventfd)
      : owner_(owner), gsi_(gsi), eventfd_(std::move(eventfd)) {}

  ~Vector() override {
    if (assigned_) static_cast<void>(set_irqfd(KVM_IRQFD_FLAG_DEASSIGN));
  }

  void route(const devices::MsiMessage& message) override {
    auto routed = owner_.set_route(gsi_, message);
    if (routed && !assigned_) {
      routed = set_irqfd(0);
      assigned_ = routed.has_value();
    }
    if (!routed) base::log::error("interrupt {}: {}", gsi_, routed.error().message());
  }

  void signal() override { base::signal_eventfd(eventfd_); }

 private:
  base::Status set_irqfd(unsigned flags) const {
    kvm_irqfd request{};
    request.fd = static_cast<__u32>(eventfd_.get());
    request.gsi = gsi_;
    request.flags = flags;
    return kvm_call(owner_.vm_.fd(), KVM_IRQFD, "KVM_IRQFD", &request);
  }

  KvmMsiVectors& owner_;
  const unsigned gsi_;
  const base::Fd eventfd_;
  bool assigned_ = false;
};

KvmMsiVectors::KvmMsiVectors(const KvmVm& vm)
    : vm_(vm),
      gsi_limit_(static_cast<unsigned>(vm.check(KVM_CAP_IRQ_ROUTING))),
      next_gsi_(layout::kFirstMsiGsi),
      routes_(default_routes()) {}

base::Result<std::unique_ptr<devices::MsiVector>> KvmMsiVectors::make_vector() {
  if (next_gsi_ >= gsi_limit_) {
    return base::fail(base::ErrorKind::kOutOfResources,
                      fmt::format("all {} interrupts of this host's KVM are in use; use fewer "
                                  "devices or vCPUs",
                                  gsi_limit_));
  }
  return std::make_unique<Vector>(*this, next_gsi_++, TRY(base::make_eventfd()));
}

base::Status KvmMsiVectors::set_route(unsigned gsi, const devices::MsiMessage& message) {
  kvm_irq_routing_entry entry{};
  entry.gsi = gsi;
  entry.type = KVM_IRQ_ROUTING_MSI;
  entry.u.msi.address_lo = static_cast<__u32>(message.address);
  entry.u.msi.address_hi = static_cast<__u32>(message.address >> 32);
  entry.u.msi.data = message.data;
  return routes_.with([&](std::vector<kvm_irq_routing_entry>& routes) {
    std::erase_if(routes, [gsi](const auto& route) { return route.gsi == gsi; });
    routes.push_back(entry);
    KvmList<kvm_irq_routing_entry> table{std::span<const kvm_irq_routing_entry>(routes)};
    return kvm_call(vm_.fd(), kKvmSetGsiRouting, "KVM_SET_GSI_ROUTING", table.data());
  });
}

namespace {

kvm_ioeventfd doorbell(base::GuestAddress address, const base::Fd& eventfd, unsigned flags) {
  kvm_ioeventfd request{};
  request.addr = address.value;
  request.len = 0;  // any width
  request.fd = eventfd.get();
  request.flags = flags;
  return request;
}

}  // namespace

base::Status KvmDoorbells::attach(base::GuestAddress address, const base::Fd& eventfd) {
  const auto request = doorbell(address, eventfd, 0);
  return kvm_call(vm_.fd(), KVM_IOEVENTFD, "KVM_IOEVENTFD", &request);
}

void KvmDoorbells::detach(base::GuestAddress address, const base::Fd& eventfd) {
  const auto request = doorbell(address, eventfd, KVM_IOEVENTFD_FLAG_DEASSIGN);
  static_cast<void>(kvm_call(vm_.fd(), KVM_IOEVENTFD, "KVM_IOEVENTFD", &request));
}

}  // namespace stasis::vmm
