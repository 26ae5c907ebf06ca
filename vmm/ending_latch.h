#pragma once

#include <functional>
#include <optional>

#include "base/fd.h"
#include "base/guarded.h"
#include "devices/machine_events.h"
#include "vmm/ending.h"
#include "vmm/vcpu_thread.h"

namespace stasis::vmm {

/// Keeps the first ending of a run; later ones are consequences and are dropped.
/// Threads: any.
class EndingLatch final : public devices::MachineEvents, public VcpuObserver {
 public:
  /// `event`: from base::make_eventfd.
  explicit EndingLatch(base::Fd event) : event_(std::move(event)) {}

  /// What to do once, on the thread that brought the ending (a vCPU's, usually): it must not wait
  /// for that thread, nor look at the ending. Set before the first vCPU runs.
  void on_ending(std::function<void()> action) { action_ = std::move(action); }

  /// Readable from the ending on.
  const base::Fd& event() const { return event_; }

  std::optional<Ending> ending() const;

  /// Keeps `ending` if it is the first. On return the action has been carried out, by this call or
  /// an earlier one.
  void end(Ending ending);

  void reset_requested() override;
  void power_off_requested() override;
  void guest_panicked(devices::GuestPanic panic) override;
  void vcpu_ended(unsigned index, VcpuEnd end) override;

 private:
  const base::Fd event_;
  std::function<void()> action_;
  base::Guarded<std::optional<Ending>> ending_;
};

}  // namespace stasis::vmm
