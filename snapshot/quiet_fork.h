#pragma once

#include <sys/types.h>

#include <span>

namespace stasis::snapshot {

/// A child process that the rest of this program does not notice: no SIGCHLD, and only a wait that
/// names it (`reap`) finds it, so a program around us that waits for any child is left in peace. No
/// fork handler and no lock is taken. In the child (0 is returned) only the calling thread exists:
/// no malloc, no locks, nothing but system calls. -1 and `errno` on failure.
/// `pidfd`, when not null, becomes a descriptor that polls readable when the child has ended.
pid_t quiet_fork(int* pidfd);

/// Waits for the end of a child of `quiet_fork`; its status as of waitpid(2), or -1.
int reap(pid_t child);

/// Whether the child has ended already; it stays to be reaped.
bool has_ended(pid_t child);

/// Closes all descriptors but 0..2 and `kept`: locks and KVM's virtual machines live as long as any
/// process has them open.
void close_all_but(std::span<const int> kept);

}  // namespace stasis::snapshot
