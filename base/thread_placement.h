#pragma once

#include <sys/types.h>

#include <functional>
#include <thread>

namespace stasis::base {

/// Takes `thread`, which the caller has just made and which is to work beside it, off the caller's
/// CPU, if the scheduler has left it there. Where a kernel does not know which CPUs share caches,
/// on virtual ones often, it leaves new threads where they were made, to wait until their maker
/// sleeps or the next tick, with idle CPUs beside them. Does nothing when there is no other CPU
/// that the caller may use, and binds nobody to any.
void work_elsewhere(std::thread& thread);

/// Calls `wake`, which wakes the process or thread `id`, so that it goes on where the caller is,
/// who is about to sleep or does nothing urgent, and not where it went to sleep, which somebody
/// more important may have come to meanwhile.
void wake_here(pid_t id, const std::function<void()>& wake);

}  // namespace stasis::base
