#pragma once

#include <sched.h>
#include <sys/types.h>

#include <chrono>
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

/// The set of that CPU alone.
cpu_set_t only_cpu(int cpu);

/// Which CPUs a thread may use, and by which of the policies without priorities (sched(7)) it is
/// scheduled.
class Scheduling {
 public:
  static Scheduling of_caller();

  /// For the caller, as far as it can be done.
  void take() const;

 private:
  std::optional<cpu_set_t> cpus_;
  std::optional<int> policy_;
};

/// Binds the caller to the CPU where it is, and with it a process or thread that it begins
/// meanwhile: that would else begin on an idle CPU, which somebody more important may be about to
/// come back to, or on that of somebody who works, and who would have to wait for it. Nor does who
/// is begun take the CPU from the caller at once (SCHED_BATCH).
/// Threads: one. Makes system calls only.
class Stay {
 public:
  Stay();
  ~Stay() { end(); }
  Stay(const Stay&) = delete;
  Stay& operator=(const Stay&) = delete;

  /// The caller is scheduled again as before. For the process that was begun, too.
  void end();

  /// What a thread that is begun has to take, to be scheduled as the caller was before.
  const Scheduling& before() const { return before_; }

 private:
  Scheduling before_;
  bool is_over_ = false;
};

/// Tells where a thread of this process is. Opens a file for that once: a process that opens one
/// while another of its threads makes its table of descriptors larger waits for milliseconds.
/// Threads: any.
class ThreadWatch {
 public:
  /// `clock`: of its CPU time (pthread_getcpuclockid(3)).
  explicit ThreadWatch(pid_t thread, std::optional<clockid_t> clock = std::nullopt);

  pid_t id() const { return thread_; }

  /// The CPU on which it runs, or ran last; nothing when it is gone.
  std::optional<int> cpu() const;

  /// The CPU on which it runs or waits to; nothing while it sleeps.
  std::optional<int> cpu_in_use() const;

  /// How long it has run so far; nothing when it is gone, or there is no clock.
  std::optional<std::chrono::nanoseconds> cpu_time() const;

  /// What has to stay open in a forked child that is to watch, too.
  int file() const { return stat_.get(); }

 private:
  struct Sight {
    bool is_awake = false;
    int cpu = -1;
  };
  std::optional<Sight> look() const;

  pid_t thread_;
  std::optional<clockid_t> clock_;
  Fd stat_;  // proc(5)
};
using ThreadWatches = std::vector<ThreadWatch>;

/// Takes the caller off his CPU if one of `others` runs or ran last there and another CPU that he
/// may use is free of them; he will be woken there from then on. For who is woken by `others`: the
/// kernel described above never parts those that were once put together.
void leave_cpus_of(std::span<const ThreadWatch> others);

/// Takes a thread that waits for its CPU to one on which none of `others`, of which it may be one,
/// runs or waits; false when there is none that it may use.
bool take_to_free_cpu(const ThreadWatch& thread, std::span<const ThreadWatch> others);

/// Keeps a thread on the CPUs that are free of others, for one that is woken by them all the time:
/// the kernel described above puts who is woken on the waker's CPU, behind him, when its own is in
/// use for a moment. What the thread may use is what it was bound to by anybody else.
/// Threads: the one that is kept. Makes system calls only, so it is fit for a forked child.
class Separation {
 public:
  /// Which of the others count: for who is woken by them all; for who only must not stand in the
  /// way of those that work, as long as they do.
  enum class From { kAll, kAwake };

  /// `others`: null, and `look` does nothing.
  explicit Separation(std::shared_ptr<const ThreadWatches> others, From from = From::kAll)
      : others_(std::move(others)), from_(from) {}

  /// Where the others are now, the thread is not to run; where no CPU is free of them, it may run
  /// on all.
  void look();

 private:
  cpu_set_t free_of_others() const;

  std::shared_ptr<const ThreadWatches> others_;
  From from_;
  cpu_set_t all_{};    // what it may use
  cpu_set_t bound_{};  // what it was bound to last
};

/// Binds the caller, whose maker may be under a Separation, as the process's first thread is.
void take_cpus_of_process();

}  // namespace stasis::base
