#pragma once

#include <sys/types.h>

#include <functional>
#include <optional>
#include <span>
#include <thread>

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

/// The CPU on which a thread of this process runs, or ran last.
std::optional<int> cpu_of(pid_t thread);

/// Takes the caller off his CPU if one of `others` runs or ran last there and another CPU that he
/// may use is free of them; he will be woken there from then on. For who is woken by `others`: the
/// kernel described above never parts those that were once put together.
void leave_cpus_of(std::span<const pid_t> others);

}  // namespace stasis::base
