#include "cimapi/computer_system.h"

#include <fmt/format.h>

#include <chrono>
#include <thread>

namespace stasis::cimapi {
namespace {

using base::ErrorKind;
using snapshot::PowerState;

constexpr std::chrono::seconds kShutDownTimeout{60};
constexpr std::chrono::milliseconds kPoll{20};

Checked<Outcome> outcome_of(const base::Status& status) {
  if (!status) return refuse(status.error());
  return Outcome{};
}

}  // namespace

ComputerSystem::Action ComputerSystem::action_of(std::uint16_t requested) {
  switch (requested) {
    case 2:
      return Action::kStart;
    case 3:
      return Action::kOff;
    case 4:
      return Action::kShutDown;
    case 9:
      return Action::kPause;
    case 10:
      return Action::kReboot;
    case 11:
      return Action::kReset;
    case 6:  // save
    case 7:  // test
    case 8:  // defer
      return Action::kUnsupported;
    default:
      return requested >= 32'768 ? Action::kUnsupported : Action::kInvalid;
  }
}

ComputerSystem::Action ComputerSystem::action_of_v1(std::uint16_t requested) {
  switch (requested) {
    case 2:
      return Action::kStart;
    case 3:
      return Action::kOff;
    case 10:
      return Action::kReset;
    case 32'768:
      return Action::kPause;
    case 11:      // documented for later use
    case 32'769:  // save
      return Action::kUnsupported;
    default:
      return requested > 32'769 ? Action::kUnsupported : Action::kInvalid;
  }
}

JobAnswer ComputerSystem::request_state_change(const ChangeStateIn& in) {
  return change(in, Space::kV2, action_of);
}

JobAnswer ComputerSystem::request_state_change_v1(const ChangeStateIn& in) {
  return change(in, Space::kV1, action_of_v1);
}

JobAnswer ComputerSystem::change(const ChangeStateIn& in, Space space,
                                 Action (*choose)(std::uint16_t)) {
  const auto wrong = [](std::string text) {
    return job_answer_of(Family::kV1, refuse(Verdict::kInvalidParameter, std::move(text)));
  };
  if (!in.requested_state) return wrong("RequestedState: is missing");
  const auto vm = work_.find_vm(in.system, "the object", space);
  if (!vm) return job_answer_of(Family::kV1, tl::unexpected<Fault>(vm.error()));
  const Action action = choose(*in.requested_state);
  if (action == Action::kInvalid) {
    return wrong(fmt::format("RequestedState {}: no such state", *in.requested_state));
  }
  if (action == Action::kUnsupported) {
    return job_answer_of(Family::kV1, refuse(Verdict::kNotSupported,
                                             fmt::format("RequestedState {}: is not supported",
                                                         *in.requested_state)));
  }
  return job_answer_of(Family::kV1, perform(action));
}

Checked<Outcome> ComputerSystem::perform(Action action) {
  switch (action) {
    case Action::kStart:
      return outcome_of(work_.state() == PowerState::kPaused ? vm_.resume() : vm_.start());
    case Action::kOff:
      return outcome_of(vm_.power_off());
    case Action::kShutDown:
      return outcome_of(vm_.shut_down());
    case Action::kPause:
      return outcome_of(vm_.pause());
    case Action::kReset:
      return outcome_of(vm_.reset());
    case Action::kReboot:
      return reboot();
    case Action::kUnsupported:
    case Action::kInvalid:
      break;
  }
  return refuse(Verdict::kNotSupported, "is not supported");
}

Checked<Outcome> ComputerSystem::reboot() {
  if (work_.state() != PowerState::kRunning) {
    return refuse(Verdict::kInvalidState, fmt::format("machine is {}: only a running one reboots",
                                                      snapshot::word_for(work_.state())));
  }
  auto id = jobs_.start({JobType::kReboot, "reboot"},
                        [this](snapshot::WorkObserver& observer) -> base::Result<std::string> {
                          TRY(reboot_now(observer));
                          return std::string();
                        });
  if (!id) return refuse(id.error());
  return Outcome{Verdict::kStarted, {}, *id};
}

base::Status ComputerSystem::reboot_now(snapshot::WorkObserver& observer) {
  const auto deadline = std::chrono::steady_clock::now() + kShutDownTimeout;
  TRY(vm_.shut_down());
  while (work_.state() != PowerState::kOff) {
    if (observer.is_cancelled()) {
      return base::fail(ErrorKind::kCancelled, "reboot: cancelled; the guest was asked to go down");
    }
    if (std::chrono::steady_clock::now() > deadline) {
      return base::fail(ErrorKind::kTimeout,
                        "reboot: the guest did not go down within 60 s; reset it instead");
    }
    std::this_thread::sleep_for(kPoll);
  }
  observer.committing();
  return vm_.start();
}

}  // namespace stasis::cimapi
