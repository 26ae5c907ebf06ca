#pragma once

namespace stasis::snapshot {

/// Has the kernel find the memory that a fork on this thread, which follows soon, and the threads
/// that run on beside the child will need, use it and have it back, so that nobody need look for it
/// then: not reclaim it from a full page cache, nor, in a virtual machine, have it from the host
/// below. That is as much as this process's page tables take, up to 16 MiB (of huge pages' tables,
/// 4 KiB for 2 MiB, that is what 8 GiB need), a megabyte of ordinary pages for those that are
/// copied when they are written first, and the next pages of this thread's stack and heap. A wish:
/// where nothing can be had, nothing is done.
void have_memory_at_hand();

}  // namespace stasis::snapshot
