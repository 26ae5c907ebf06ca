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

}  // namespace stasis::cli
