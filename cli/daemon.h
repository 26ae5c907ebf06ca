#pragma once

#include <functional>
#include <string>

#include "base/result.h"
#include "cli/vm_process.h"

namespace stasis::cli {

/// Forks a process of its own session for the machine, away from terminal and folder, and waits
/// until it is ready; what it says later goes to `process.log` in the machine's folder. Errors are
/// the new process's, which has ended then. Call while this process has one thread.
base::Status spawn_vm_process(snapshot::VmDirectory directory, snapshot::VmLock lock,
                              const VmTask& task);

/// As above for a machine that most likely has no process yet: forks first and lets the child find
/// that out, so that nothing is waited for that can be done meanwhile. False: nothing was done, as
/// the machine has a process, or something about it cannot be used; the caller looks for himself.
base::Result<bool> try_spawn_vm_process(const std::string& name, const VmTask& task);

}  // namespace stasis::cli
