#pragma once

#include <poll.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "base/fd.h"
#include "base/result.h"
#include "base/thread_placement.h"

namespace stasis::devices {

/// Adds descriptors that change from round to round (a user-mode network stack).
/// Threads: called on the loop's thread.
class PollHook {
 public:
  virtual ~PollHook() = default;
  /// Appends what to wait for and may lower `timeout_ms` (-1: no limit).
  virtual void before_poll(std::vector<pollfd>& fds, int& timeout_ms) = 0;
  /// `fds` are the entries of `before_poll`, answered.
  virtual void after_poll(std::span<const pollfd> fds) = 0;
};

/// A thread that waits for descriptors and runs callbacks, for the device side of a VM.
/// It can be parked between two callbacks, so that a snapshot finds it at rest.
/// Threads: `watch`, `unwatch` and the hooks on the loop's thread, while parked, or before it
/// started; everything else from any thread.
class EventLoop {
 public:
  using Callback = std::function<void()>;

  /// Does not start a thread yet; `start` does. `name` (at most 15 characters) names the thread.
  static base::Result<std::unique_ptr<EventLoop>> create(std::string name);

  EventLoop(const EventLoop&) = delete;
  EventLoop& operator=(const EventLoop&) = delete;

  /// Stops and joins. What was posted and did not run yet is dropped.
  ~EventLoop();

  /// From here on tasks are for the loop's thread, and wait until `start` has made it: for users
  /// who begin earlier than it.
  void open();
  void start();

  /// Calls `callback` whenever `fd` shows one of `events` (POLLIN, ...). One watch a descriptor.
  void watch(int fd, short events, Callback callback);

  /// On return the loop has no reference to `fd`: one that is closed is closed.
  void unwatch(int fd);
  void add_hook(PollHook& hook);
  void remove_hook(PollHook& hook);

  /// Runs `task` on the loop's thread, later, in order. While parked: after `resume`.
  void post(Callback task);

  /// Runs `task` on the loop's thread and waits for it. On the loop's own thread, or when the loop
  /// is parked or not started, it runs at once in the caller; what `task` changes of what the hooks
  /// wait for, the loop then knows when it goes on.
  void run_sync(const Callback& task);

  /// Parks the loop: on return what was posted before has run, no callback runs, and none will
  /// before `resume`. A loop that waits for its descriptors goes on sleeping.
  void pause();
  void resume();

  /// From here on the loop's thread keeps to the CPUs where it finds none of `others`, threads of
  /// this process that wake it (base::Separation). It looks now and then, while it has work.
  void keep_off(std::shared_ptr<const base::ThreadWatches> others);

  bool on_loop_thread() const { return std::this_thread::get_id() == thread_id_.load(); }

 private:
  enum class Phase { kIdle, kRunning, kPausing, kParked, kStopping };
  struct Watch {
    short events;
    std::shared_ptr<Callback> callback;  // shared: a callback may unwatch itself
  };

  EventLoop(std::string name, base::Fd wake);
  void run();
  bool park_or_stop();
  void run_posted();
  bool fall_asleep();
  bool wake_up();
  void leave_poll();
  void poll_once();
  void dispatch(std::span<const pollfd> fds);
  void look_for_others();

  const std::string name_;
  const base::Fd wake_;
  std::map<int, Watch> watches_;
  std::vector<PollHook*> hooks_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  Phase phase_ = Phase::kIdle;    // guarded by mutex_
  bool is_asleep_ = false;        // guarded by mutex_: waits, and has nothing in its hands
  std::vector<Callback> posted_;  // guarded by mutex_
  std::atomic<std::thread::id> thread_id_{};
  std::optional<base::Separation> others_;  // loop thread only, as the next
  std::chrono::steady_clock::time_point next_look_;
  int cpu_ = -1;        // where the last look left it
  std::thread thread_;  // last: joined before the rest goes
};

}  // namespace stasis::devices
