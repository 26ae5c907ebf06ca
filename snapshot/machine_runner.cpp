#include "snapshot/machine_runner.h"

#include <poll.h>
#include <sys/resource.h>
#include <unistd.h>

#include <array>
#include <utility>

namespace stasis::snapshot {

using vmm::Ending;

namespace {

/// Its niceness is one of threads (setpriority(2), "C library/kernel differences"); the process's
/// is that of its first.
bool gives_way() {
  return ::getpriority(PRIO_PROCESS, 0) >
         ::getpriority(PRIO_PROCESS, static_cast<id_t>(::getpid()));
}

}  // namespace

MachineRunner::Turn::Turn(MachineRunner& runner) : runner_(runner) {
  std::unique_lock lock(runner.mutex_);
  while (runner.is_taken_) {
    if (runner.is_own_thread()) runner.perform_tasks(lock);
    if (runner.is_taken_) runner.changed_.wait(lock);
  }
  runner.is_taken_ = true;
}

MachineRunner::Turn::~Turn() {
  {
    const std::lock_guard lock(runner_.mutex_);
    runner_.is_taken_ = false;
  }
  runner_.changed_.notify_all();
}

void MachineRunner::perform(const std::function<void()>& task) {
  if (is_own_thread() || !gives_way()) return task();
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return task_ == nullptr; });
  task_ = &task;
  changed_.notify_all();
  base::signal_eventfd(wake_);
  changed_.wait(lock, [this, &task] { return task_ != &task; });
}

void MachineRunner::perform_tasks(std::unique_lock<std::mutex>& lock) {
  while (task_ != nullptr) {
    lock.unlock();
    (*task_)();
    lock.lock();
    task_ = nullptr;
    changed_.notify_all();
  }
}

base::Result<std::unique_ptr<MachineRunner>> MachineRunner::create(Wiring wiring) {
  base::Fd wake = TRY(base::make_eventfd());
  std::unique_ptr<MachineRunner> runner(new MachineRunner(std::move(wiring), std::move(wake)));
  runner->watcher_ = std::thread([raw = runner.get()] { raw->watch(); });
  return runner;
}

MachineRunner::~MachineRunner() {
  closing_ = true;
  base::signal_eventfd(wake_);
  watcher_.join();
  if (machine_) drop_machine();
}

int MachineRunner::ended_fd() {
  const Turn turn(*this);
  return machine_ ? machine_->ended_event().get() : -1;
}

void MachineRunner::watch() {
  watcher_id_ = std::this_thread::get_id();
  while (!closing_) {
    // The descriptor stays open: whoever takes the machine away wakes this thread, and a number
    // used anew meanwhile costs one look.
    std::array<pollfd, 2> events = {{{wake_.get(), POLLIN, 0}, {ended_fd(), POLLIN, 0}}};
    ::poll(events.data(), events.size(), -1);
    base::drain_eventfd(wake_);
    {
      std::unique_lock lock(mutex_);
      perform_tasks(lock);
    }
    if (events[1].revents != 0) see_off();
  }
}

/// Whatever the guest's end asks for, if it has come.
void MachineRunner::see_off() {
  const Turn turn(*this);
  if (!machine_ || !machine_->ending()) return;
  Ending ending = *machine_->ending();
  const vmm::SurvivingState survivors = machine_->surviving_state();
  drop_machine();  // its disks and ports are wanted by the next one
  if (ending.kind == Ending::Kind::kReset && wiring_.reboot) {
    return reboot(std::move(ending), survivors);
  }
  state_ = PowerState::kOff;
  wiring_.ended(ending);
}

void MachineRunner::reboot(Ending ending, const vmm::SurvivingState& survivors) {
  auto next = wiring_.reboot(survivors);
  if (next) {
    machine_ = std::move(*next);
    return set_running(false);
  }
  ending = {Ending::Kind::kInternalError, "cannot start anew: " + next.error().message()};
  state_ = PowerState::kOff;
  wiring_.ended(ending);
}

void MachineRunner::drop_machine() {
  wiring_.input.detach();
  paused_.reset();
  machine_.reset();
}

void MachineRunner::set_running(bool paused) {
  with_priority_of_process([this, paused] {
    if (!paused) return machine_->start();
    if (auto rest = machine_->start_paused()) paused_.emplace(std::move(*rest));
  });
  wiring_.input.attach(machine_->console_input());  // while the guest begins
  state_ = paused_ ? PowerState::kPaused : PowerState::kRunning;
  base::signal_eventfd(wake_);
}

void MachineRunner::Session::launch(std::unique_ptr<vmm::Machine> machine, bool paused) {
  runner_.machine_ = std::move(machine);
  runner_.set_running(paused);
}

base::Result<MachineRunner::Session::Rest> MachineRunner::Session::rest() {
  if (machine() == nullptr) {
    return base::fail(base::ErrorKind::kInvalidState, "the machine is off; start it first");
  }
  if (runner_.paused_) return Rest(&*runner_.paused_);
  return Rest(TRY(machine()->pause()));
}

base::Status MachineRunner::Session::pause() {
  if (runner_.paused_) return {};
  auto rest = TRY(this->rest());
  runner_.paused_.emplace(std::move(*rest.own_));
  runner_.state_ = PowerState::kPaused;
  return {};
}

void MachineRunner::Session::resume() {
  if (!runner_.paused_) return;
  runner_.paused_.reset();
  runner_.state_ = PowerState::kRunning;
}

void MachineRunner::Session::end(Ending ending) {
  if (machine() == nullptr) return;
  machine()->end(std::move(ending));
  const Ending first = *machine()->ending();  // the guest may have been quicker
  runner_.drop_machine();
  runner_.state_ = PowerState::kOff;
  base::signal_eventfd(runner_.wake_);
  runner_.wiring_.ended(first);
}

void MachineRunner::Session::replace(std::unique_ptr<vmm::Machine> next, bool paused) {
  runner_.drop_machine();
  launch(std::move(next), paused);
}

}  // namespace stasis::snapshot
