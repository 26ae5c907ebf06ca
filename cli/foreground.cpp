#include "cli/foreground.h"

#include <fmt/format.h>
#include <poll.h>
#include <signal.h>

#include <array>
#include <memory>
#include <optional>

#include "base/log.h"
#include "cli/host_console.h"
#include "cli/say.h"
#include "cli/signals.h"
#include "vmm/machine.h"

namespace stasis::cli {
namespace {

using base::Result;

/// What the run has besides the machine of the moment.
struct Surroundings {
  const RunRequest& request;
  const Signals& signals;
  HostConsole& console;
};

/// SIGPWR is the power button, as for containers; any other signal is the end.
std::optional<Outcome> obey_signal(int number, vmm::Machine& machine) {
  if (number != SIGPWR) return outcome_of_signal(number);
  machine.press_power_button();
  return std::nullopt;
}

/// The first of: the machine's end, a signal, the escape key. Nothing for the machine's end.
std::optional<Outcome> wait_for_interruption(const Surroundings& around, vmm::Machine& machine) {
  std::array<pollfd, 3> events = {{{machine.ended_event().get(), POLLIN, 0},
                                   {around.signals.event().get(), POLLIN, 0},
                                   {around.console.quit_event().get(), POLLIN, 0}}};
  while (!machine.ending()) {
    ::poll(events.data(), events.size(), -1);
    if (const auto number = around.signals.next()) {
      if (auto outcome = obey_signal(*number, machine)) return outcome;
    }
    if (base::drain_eventfd(around.console.quit_event()) != 0) {
      return Outcome{ExitCode::kInterrupted, "ended by Ctrl-] x"};
    }
  }
  return std::nullopt;
}

void say_hello(const Surroundings& around, const vmm::Machine& machine) {
  const std::string& name = around.request.machine.name;
  if (around.console.is_terminal()) {
    say(fmt::format("{}: {}; leave with Ctrl-] x", name, machine.kernel_description()));
  } else {
    base::log::info("{}: {}", name, machine.kernel_description());
  }
}

/// One machine, from its start to its end. Nothing when the guest is to be started anew.
std::optional<Outcome> run_machine(const Surroundings& around, vmm::Machine& machine) {
  around.console.input().attach(machine.console_input());
  machine.start();
  around.console.start();
  auto outcome = wait_for_interruption(around, machine);
  if (!outcome) {
    const vmm::Ending ending = machine.wait();
    const bool restarts =
        ending.kind == vmm::Ending::Kind::kReset && around.request.on_reboot == OnReboot::kRestart;
    if (!restarts) outcome = outcome_of(ending);
  }
  around.console.input().detach();
  if (outcome) {
    // All that is left is to wait for what is in flight; a second signal may end that too.
    around.console.end();
    around.signals.give_back();
  }
  return outcome;
}

}  // namespace

Result<Outcome> run_in_foreground(const RunRequest& request) {
  const Signals signals = TRY(Signals::take_over());
  const auto console = TRY(HostConsole::open(request.machine.console));
  const Surroundings around{request, signals, *console};
  auto machine = TRY(vmm::Machine::create(request.machine, {console->output()}));
  say_hello(around, *machine);
  for (;;) {
    auto outcome = run_machine(around, *machine);
    if (outcome) return *outcome;
    base::log::info("{}: rebooting", request.machine.name);
    const vmm::SurvivingState survivors = machine->surviving_state();
    machine.reset();  // its disks and ports are wanted by the next one
    auto next = vmm::Machine::create(request.machine, {console->output()}, {}, survivors);
    if (!next) return Outcome{ExitCode::kFailed, "cannot restart: " + next.error().message()};
    machine = std::move(*next);
  }
}

Outcome outcome_of(const vmm::Ending& ending) {
  using Kind = vmm::Ending::Kind;
  const auto outcome = [&](ExitCode code, std::string_view sentence) {
    return Outcome{code, ending.detail.empty() ? std::string(sentence) : ending.detail};
  };
  switch (ending.kind) {
    case Kind::kPowerOff:
      return outcome(ExitCode::kSuccess, "the guest powered off");
    case Kind::kReset:
      return outcome(ExitCode::kGuestRebooted, "the guest rebooted");
    case Kind::kPanic:
      return outcome(ExitCode::kGuestPanicked, "the guest's kernel panicked");
    case Kind::kTripleFault:
      return outcome(ExitCode::kTripleFault, "the guest stopped in a triple fault");
    case Kind::kInternalError:
      return outcome(ExitCode::kKvmError, "KVM could not go on");
    case Kind::kStopped:
      break;
  }
  return outcome(ExitCode::kFailed, "stopped by the host");
}

ExitCode exit_code_of_run(const snapshot::RunRecord& record) {
  using snapshot::RunEnd;
  switch (record.end) {
    case RunEnd::kPowerOff:
      return ExitCode::kSuccess;
    case RunEnd::kReboot:
      return ExitCode::kGuestRebooted;
    case RunEnd::kPanic:
      return ExitCode::kGuestPanicked;
    case RunEnd::kTripleFault:
      return ExitCode::kTripleFault;
    case RunEnd::kInternalError:
      return ExitCode::kKvmError;
    case RunEnd::kSignal:
      return ExitCode::kTerminated;
    default:
      return ExitCode::kFailed;
  }
}

Outcome outcome_of_signal(int number) {
  switch (number) {
    case SIGHUP:
      return {ExitCode::kHungUp, "ended by SIGHUP"};
    case SIGINT:
      return {ExitCode::kInterrupted, "ended by SIGINT"};
    default:
      return {ExitCode::kTerminated, "ended by SIGTERM"};
  }
}

}  // namespace stasis::cli
