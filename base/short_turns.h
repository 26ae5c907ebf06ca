#pragma once

namespace stasis::base {

/// Asks the scheduler to let this thread run in turns of 0.1 ms where it would give it about 3, for
/// a thread that is waited for: once woken it runs before the threads with long turns that are on
/// its CPU, and they do not interrupt it when they are; it gets no more time in all than it would.
/// Needs no privilege. Threads that it makes have it too. A wish: nothing happens before
/// Linux 6.12, nor to a thread that is not SCHED_OTHER. Source: sched_setattr(2), kernel
/// Documentation/scheduler/sched-eevdf.rst.
void take_short_turns();

}  // namespace stasis::base
