#include "cli/vm_process.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <memory>

#include "base/log.h"
#include "cimapi/server.h"
#include "cli/console_hub.h"
#include "cli/dynamic_program.h"
#include "cli/run_recorder.h"
#include "cli/signals.h"
#include "cli/snapshot_choice.h"
#include "devices/net/shared_library.h"
#include "snapshot/virtual_machine.h"

namespace stasis::cli {
namespace {

using base::Result;
using base::Status;
using snapshot::PowerState;
using snapshot::VirtualMachine;
using snapshot::VmDirectory;

constexpr std::chrono::milliseconds kIdleLimit{2'000};
constexpr int kIdleLookMs = 200;

/// All that the process has while the machine is open; parts go in the reverse order.
class VmProcess {
 public:
  static Result<std::unique_ptr<VmProcess>> open(HeadStart head_start, VmDirectory directory,
                                                 snapshot::VmLock lock, const VmTask& task);
  Status begin();
  Outcome run();
  const std::string& crash() const { return recorder_.crash(); }

 private:
  VmProcess(const VmTask& task, Signals signals, RunRecorder recorder)
      : task_(task), signals_(std::move(signals)), recorder_(std::move(recorder)) {}
  Status start();
  Status open_console(const VmDirectory& directory, const vmm::ConsoleConfig& config);
  std::optional<Outcome> look();
  std::optional<Outcome> obey(int number);
  void note_state();
  void began();
  std::optional<Outcome> end_when_off() const;
  Outcome end(Outcome outcome);

  const VmTask& task_;
  Signals signals_;
  RunRecorder recorder_;
  std::unique_ptr<HostConsole> front_;
  std::unique_ptr<ConsoleHub> hub_;
  std::unique_ptr<VirtualMachine> machine_;
  std::unique_ptr<cimapi::Server> server_;
  std::optional<Outcome> last_;  // of the last run
};

Result<std::unique_ptr<VmProcess>> VmProcess::open(HeadStart head_start, VmDirectory directory,
                                                   snapshot::VmLock lock, const VmTask& task) {
  TRY(lock.name_this_process());
  auto config = TRY(directory.config());
  if (config.machine.net && !devices::SharedLibrary::can_be_loaded()) {
    return base::fail(needs_dynamic_program());
  }
  if (task.starts) TRY(head_start.ahead.give_memory(config.machine.memory_bytes));
  RunRecorder recorder = TRY(RunRecorder::open(TRY(directory.duplicate())));
  std::unique_ptr<VmProcess> process(
      new VmProcess(task, std::move(head_start.signals), std::move(recorder)));
  TRY(process->open_console(directory, config.machine.console));
  process->machine_ = TRY(VirtualMachine::open(std::move(directory), std::move(lock),
                                               {*process->hub_, process->hub_->input()},
                                               {std::move(config), std::move(head_start.ahead)}));
  return process;
}

Status VmProcess::open_console(const VmDirectory& directory, const vmm::ConsoleConfig& config) {
  hub_ = TRY(ConsoleHub::open(directory, config));
  if (!task_.has_front || config.kind != vmm::ConsoleConfig::Kind::kStdio) return {};
  front_ = TRY(HostConsole::open(config));
  hub_->add_front(*front_);
  return {};
}

Status VmProcess::start() {
  if (task_.from.empty()) return machine_->start();
  const auto chosen = TRY(choose_snapshot(machine_->snapshots(), task_.from));
  return machine_->start_from(chosen.id, task_.apply);
}

/// The guest first, so that nobody waits for the sockets.
Status VmProcess::begin() {
  if (task_.starts) TRY(start());
  if (front_) front_->start();
  if (!task_.starts) hub_->set_on(false);
  TRY(hub_->listen());  // before the server: whom it has answered may attach
  server_ = TRY(cimapi::Server::open(machine_->directory().control_socket_path(), *machine_));
  if (task_.starts) began();
  return {};
}

Outcome VmProcess::run() {
  std::array<pollfd, 3> events = {{{machine_->changed_event().get(), POLLIN, 0},
                                   {signals_.event().get(), POLLIN, 0},
                                   {front_ ? front_->quit_event().get() : -1, POLLIN, 0}}};
  for (;;) {
    if (auto outcome = look()) return end(std::move(*outcome));
    ::poll(events.data(), events.size(), recorder_.is_running() ? -1 : kIdleLookMs);
  }
}

/// What has happened; an outcome when it is the process's end.
std::optional<Outcome> VmProcess::look() {
  base::drain_eventfd(machine_->changed_event());
  note_state();
  if (const auto number = signals_.next()) {
    if (auto outcome = obey(*number)) return outcome;
  }
  if (front_ && base::drain_eventfd(front_->quit_event()) != 0) {
    return Outcome{ExitCode::kInterrupted, "ended by Ctrl-] x"};
  }
  return recorder_.is_running() ? std::nullopt : end_when_off();
}

std::optional<Outcome> VmProcess::obey(int number) {
  if (number != SIGPWR) return outcome_of_signal(number);
  const Status pressed = machine_->shut_down();
  if (!pressed) base::log::info("SIGPWR: {}", pressed.error().message());
  return std::nullopt;
}

/// Writes down what the machine does now, when it is another thing than before.
void VmProcess::note_state() {
  const PowerState state = machine_->info().state;
  const bool is_on = state != PowerState::kOff && state != PowerState::kSaved;
  if (is_on && !recorder_.is_running()) began();
  if (is_on || !recorder_.is_running()) return;
  const auto ending = machine_->last_ending().value_or(vmm::Ending{});
  last_ = outcome_of(ending);
  recorder_.ended(ending);
  hub_->set_on(false);  // after the record: who was attached may read it
}

/// The record last: who reads in it that the machine runs may attach.
void VmProcess::began() {
  hub_->set_on(true);
  recorder_.began();
}

std::optional<Outcome> VmProcess::end_when_off() const {
  const bool is_unwanted = task_.has_front || server_->idle_time() >= kIdleLimit;
  if (!is_unwanted) return std::nullopt;
  return last_.value_or(Outcome{ExitCode::kSuccess, "switched off"});
}

/// All that is left is to wait for what is in flight; a second signal may end that too.
Outcome VmProcess::end(Outcome outcome) {
  if (front_) front_->end();
  signals_.give_back();
  server_.reset();
  if (recorder_.is_running()) {
    static_cast<void>(machine_->power_off());
    recorder_.ended_by_signal(outcome.sentence);
  }
  return outcome;
}

/// Each layer of a disk is an open file, and chains may be long. The kernel's table of them is made
/// large here, while there is one thread: with several it waits for an RCU grace period whenever
/// it grows (expand_fdtable), 8 to 24 ms beside a busy vCPU, in which nobody can open a file.
void make_room_for_files() {
  constexpr rlim_t kRoom = 1024;
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
  const auto last = static_cast<int>(std::min(kRoom, limit.rlim_cur)) - 1;
  const base::Fd copy(::fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, last));  // the table does not shrink
}

}  // namespace

/// Signals before other threads, which inherit what is blocked.
Result<HeadStart> HeadStart::begin(const VmTask& task) {
  using Purpose = vmm::GroundAhead::Purpose;
  make_room_for_files();
  HeadStart head_start{TRY(Signals::take_over()), {}};
  const Purpose purpose = task.from.empty() ? Purpose::kBoot : Purpose::kRestore;
  if (task.starts) head_start.ahead = vmm::GroundAhead::begin(purpose);
  return head_start;
}

Result<Outcome> run_vm_process(HeadStart head_start, VmDirectory directory, snapshot::VmLock lock,
                               const VmTask& task, const ReadyCall& ready) {
  const auto process =
      TRY(VmProcess::open(std::move(head_start), std::move(directory), std::move(lock), task));
  TRY(process->begin());
  ready(process->crash());
  return process->run();
}

}  // namespace stasis::cli
