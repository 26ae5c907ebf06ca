#pragma once

#include <cstdint>
#include <functional>
#include <optional>

#include "cimapi/answer.h"

namespace stasis::cimapi {

struct ChangeStateIn {
  Ref system;  ///< the object of the call
  std::optional<std::uint16_t> requested_state;
};

/// Msvm_ComputerSystem.RequestStateChange. Return values are of the V1 family in both versions, as
/// documented; what each requested state does and answers: docs/cim.md.
/// Threads: any, all at once.
class ComputerSystem {
 public:
  /// Both outlive this.
  ComputerSystem(snapshot::VmControl& vm, SnapshotWork& work, JobTable& jobs)
      : vm_(vm), work_(work), jobs_(jobs) {}

  /// 2 start or resume, 3 off, 4 shut down, 9 pause, 10 reboot (a job: shut down, then start),
  /// 11 reset; 6 and others are not supported.
  JobAnswer request_state_change(const ChangeStateIn& in);
  /// V1: 2, 3, 10 hard reset, 32768 pause; 32769 save and 11 are not supported.
  JobAnswer request_state_change_v1(const ChangeStateIn& in);

 private:
  enum class Action { kStart, kOff, kShutDown, kPause, kReboot, kReset, kUnsupported, kInvalid };
  static Action action_of(std::uint16_t requested);
  static Action action_of_v1(std::uint16_t requested);

  JobAnswer change(const ChangeStateIn& in, Space space, Action (*choose)(std::uint16_t));
  Checked<Outcome> perform(Action action);
  Checked<Outcome> reboot();
  base::Status reboot_now(snapshot::WorkObserver& observer);

  snapshot::VmControl& vm_;
  SnapshotWork& work_;
  JobTable& jobs_;
};

}  // namespace stasis::cimapi
