#pragma once

#include <memory>

#include "base/thread_placement.h"

namespace stasis::base {

/// Takes threads that wait for their CPU to another one, once they have waited for half a
/// millisecond, for as long as this lives. A kernel that does not know which CPUs share caches, as
/// in many virtual machines, may leave them behind somebody else's work until the tick, for
/// milliseconds, with CPUs beside them that are idle or do what can wait. For times when others
/// than usual are at work. A thread of its own looks, which takes at most a twentieth of a CPU.
/// Binds nobody. Threads: made and destroyed by one.
class ThreadRescue {
 public:
  /// `threads`, which have clocks. Null, or no thread to be had: nothing is done.
  explicit ThreadRescue(std::shared_ptr<const ThreadWatches> threads);
  ~ThreadRescue();
  ThreadRescue(const ThreadRescue&) = delete;
  ThreadRescue& operator=(const ThreadRescue&) = delete;

 private:
  class Rescuer;
  std::unique_ptr<Rescuer> rescuer_;
};

}  // namespace stasis::base
