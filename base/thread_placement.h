#pragma once

#include <sched.h>
#include <sys/types.h>

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <thread>
#include <utility>
#include <vector>

#include "base/fd.h"

namespace stasis::base {

/// Takes `thread`, which the caller has just made or woken and which is to work beside him, off his
/// CPU, if the scheduler has put it there. On virtual CPUs a kernel may leave new threads where
/// they were made, to wait until their maker sleeps or the next tick, with idle CPUs beside them.
/// Binds nobody to any CPU, and who was bound stays so: does nothing when there is no other CPU
/// that the thread may use.
void work_elsewhere(std::thread& thread);

/// Calls `wake`, which wakes `thread`, so that it does not come to the caller's CPU, where the same
/// kernel likes to put it.
void wake_elsewhere(std::thread& thread, const std::function<void()>& wake);

/// Calls `wake`, which wakes the process or thread `id`, so that it goes on where the caller is,
/// who is about to sleep or does nothing urgent, and not where it went to sleep, which somebody
/// more important may have come to meanwhile.
void wake_here(pid_t id, const std::function<void()>& wake);

/// Tells where a thread of this process is. Opens a file for that once: a process that opens one
/// while another of its threads makes its table of descriptors larger waits for milliseconds.
/// Threads: any.
class ThreadWatch {
 public:
  explicit ThreadWatch(pid_t thread);

  /// The CPU on which it runs, or ran last; nothing when it is gone.
  std::optional<int> cpu() const;

 private:
  Fd stat_;  // proc(5)
};
using ThreadWatches = std::vector<ThreadWatch>;

/// Takes the caller off his CPU if one of `others` runs or ran last there and another CPU that he
/// may use is free of them; he will be woken there from then on. For who is woken by `others`: the
/// kernel described above never parts those that were once put together.
void leave_cpus_of(std::span<const ThreadWatch> others);

/// Keeps a thread on the CPUs that are free of others, for one that is woken by them all the time:
/// the kernel described above puts who is woken on the waker's CPU, behind him, when its own is in
/// use for a moment. What the thread may use is what it was bound to by anybody else.
/// Threads: the one that is kept.
class Separation {
 public:
  explicit Separation(std::shared_ptr<const ThreadWatches> others) : others_(std::move(others)) {}

  /// Where the others are now, the thread is not to run; where no CPU is free of them, it may run
  /// on all.
  void look();

 private:
  std::shared_ptr<const ThreadWatches> others_;
  cpu_set_t all_{};    // what it may use
  cpu_set_t bound_{};  // what it was bound to last
};

/// Binds the caller, whose maker may be under a Separation, as the process's first thread is.
void take_cpus_of_process();

}  // namespace stasis::base
