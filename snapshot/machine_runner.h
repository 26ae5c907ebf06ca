#pragma once

#include <atomic>
#include <condition_variable>
#include <functional>
#include <future>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>

#include "base/fd.h"
#include "base/result.h"
#include "devices/byte_stream.h"
#include "snapshot/vm_control.h"
#include "vmm/machine.h"

namespace stasis::snapshot {

/// The host's end of a console's input: outlives the machines that take it.
class ConsoleInput {
 public:
  virtual ~ConsoleInput() = default;
  /// From now on to `receiver`, which lives until `detach`.
  virtual void attach(devices::ByteReceiver& receiver) = 0;
  /// On return the receiver is not being called and never will be.
  virtual void detach() = 0;
};

/// Holds the machine of the moment and sees it through its life: start, reboot, end.
/// Threads: any; one of its own waits for the machine's end.
class MachineRunner {
 public:
  struct Wiring {
    ConsoleInput& input;
    /// Makes the machine that a reboot of the guest leads to, with what is left of the one before;
    /// absent: a reboot is an end.
    std::function<base::Result<std::unique_ptr<vmm::Machine>>(const vmm::SurvivingState&)> reboot;
    /// Told how a run ended, on any thread, once the machine is gone. Must not call back.
    std::function<void(const vmm::Ending&)> ended;
  };

  static base::Result<std::unique_ptr<MachineRunner>> create(Wiring wiring);

  MachineRunner(const MachineRunner&) = delete;
  MachineRunner& operator=(const MachineRunner&) = delete;
  ~MachineRunner();

  /// What `make` returns, which it makes where the threads that it begins have the priority of this
  /// process: here, unless the caller's is lower, else on the runner's own thread. For machines
  /// that are made on behalf of somebody who gives way to guests: without privilege no thread's
  /// priority rises again (setpriority(2)). `make` must not open a session.
  template <class Make>
  auto with_priority_of_process(Make make) {
    std::packaged_task<decltype(make())()> task(std::move(make));
    auto made = task.get_future();
    perform([&task] { task(); });
    return made.get();
  }

  /// kOff, kRunning or kPaused; does not wait for anything.
  PowerState state() const { return state_; }

  /// Of one user at a time; the runner's own thread performs tasks while it waits for its.
  class Turn {
   public:
    explicit Turn(MachineRunner& runner);
    ~Turn();
    Turn(const Turn&) = delete;
    Turn& operator=(const Turn&) = delete;

   private:
    MachineRunner& runner_;
  };

  /// The machine, for one user at a time: nobody else starts, ends or replaces it meanwhile.
  class Session {
   public:
    /// Null while there is none. It may have ended already.
    vmm::Machine* machine() const { return runner_.machine_.get(); }

    /// Takes a machine that never ran and lets it run, or leaves it paused. There is none now.
    void launch(std::unique_ptr<vmm::Machine> machine, bool paused = false);

    /// The machine at rest for as long as the returned value lives; then as before. kInvalidState:
    /// none, or one that has ended.
    class Rest;
    base::Result<Rest> rest();

    /// Paused until `resume`; again has no effect.
    base::Status pause();
    void resume();

    /// Ends the machine, if there is one.
    void end(vmm::Ending ending);

    /// Puts `next`, which never ran, in the place of the machine, which is at rest and goes without
    /// an ending.
    void replace(std::unique_ptr<vmm::Machine> next, bool paused);

   private:
    friend class MachineRunner;
    explicit Session(MachineRunner& runner) : runner_(runner), turn_(runner) {}
    MachineRunner& runner_;
    Turn turn_;
  };

  Session session() { return Session(*this); }

 private:
  MachineRunner(Wiring wiring, base::Fd wake)
      : wiring_(std::move(wiring)), wake_(std::move(wake)) {}
  void perform(const std::function<void()>& task);
  void perform_tasks(std::unique_lock<std::mutex>& lock);
  bool is_own_thread() const { return std::this_thread::get_id() == watcher_id_; }
  void watch();
  void see_off();
  void reboot(vmm::Ending ending, const vmm::SurvivingState& survivors);
  void drop_machine();
  void set_running(bool paused);
  int ended_fd();

  const Wiring wiring_;
  const base::Fd wake_;  // the watcher looks anew at what there is to watch
  std::atomic<PowerState> state_ = PowerState::kOff;
  std::atomic<bool> closing_ = false;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool is_taken_ = false;                        // there is a Turn; guarded by mutex_
  const std::function<void()>* task_ = nullptr;  // to be performed; guarded by mutex_
  std::unique_ptr<vmm::Machine> machine_;        // of whose turn it is, as the next
  std::optional<vmm::PausedMachine> paused_;     // by the user; goes before the machine
  std::atomic<std::thread::id> watcher_id_{};
  std::thread watcher_;
};

class MachineRunner::Session::Rest {
 public:
  const vmm::PausedMachine& paused() const { return own_ ? *own_ : *users_; }

 private:
  friend class Session;
  explicit Rest(vmm::PausedMachine own) : own_(std::move(own)) {}
  explicit Rest(const vmm::PausedMachine* users) : users_(users) {}
  std::optional<vmm::PausedMachine> own_;
  const vmm::PausedMachine* users_ = nullptr;
};

}  // namespace stasis::snapshot
