#include "vmm/ending_latch.h"

#include "base/log.h"

namespace stasis::vmm {

std::optional<Ending> EndingLatch::ending() const {
  return ending_.with([](const auto& ending) { return ending; });
}

void EndingLatch::end(Ending ending) {
  ending_.with([&](std::optional<Ending>& kept) {
    if (kept) return;
    kept = std::move(ending);
    // Under the lock, so that whoever calls `end` next knows that the action is over.
    if (action_) action_();
    base::signal_eventfd(event_);
  });
}

void EndingLatch::reset_requested() {
  end({Ending::Kind::kReset, "the guest asked for a reset"});
}

void EndingLatch::power_off_requested() {
  end({Ending::Kind::kPowerOff, "the guest powered off"});
}

void EndingLatch::guest_panicked(devices::GuestPanic panic) {
  if (panic == devices::GuestPanic::kCrashLoaded) {
    base::log::warn("the guest's kernel crashed and goes on to its crash kernel");
    return;
  }
  end({Ending::Kind::kPanic, "the guest's kernel panicked"});
}

void EndingLatch::vcpu_ended(unsigned, VcpuEnd vcpu_end) {
  const auto kind = vcpu_end.kind == VcpuEnd::Kind::kTripleFault ? Ending::Kind::kTripleFault
                                                                 : Ending::Kind::kInternalError;
  end({kind, std::move(vcpu_end.detail)});
}

}  // namespace stasis::vmm
