#pragma once

namespace stasis::snapshot {

/// Has the kernel find as much memory as this process's page tables take, use it and have it back,
/// so that a fork which follows soon on this thread, and copies them, need not look for it: not
/// reclaim it from a full page cache, nor, in a virtual machine, have it from the host below. Up to
/// 16 MiB, and of huge pages' tables (4 KiB for 2 MiB) that is what 8 GiB need. A wish: where
/// nothing can be had, nothing is done.
void find_page_tables();

}  // namespace stasis::snapshot
