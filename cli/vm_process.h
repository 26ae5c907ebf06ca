#pragma once

#include <functional>
#include <optional>
#include <string>

#include "base/result.h"
#include "cli/foreground.h"
#include "snapshot/vm_control.h"
#include "snapshot/vm_directory.h"

namespace stasis::cli {

/// What the process of a named machine is there for.
struct VmTask {
  bool starts = true;  ///< else it waits, switched off, for requests
  std::string from;    ///< snapshot to start from, by name or id; empty: boots, or resumes
  snapshot::ApplyOptions apply;
  bool has_front = false;  ///< standard input and output are its console; it ends with the guest
};

/// What the caller does on the way.
struct VmProcessCalls {
  /// Once KVM has begun with the VM, before anything is read. Its error ends the process.
  std::function<base::Status()> settle = [] { return base::Status{}; };
  /// Once, when the guest runs, or when requests can come; with RunRecorder::crash().
  std::function<void(const std::string& crash)> ready = [](const std::string&) {};
};

/// Is the process of a machine until it ends: opens it, starts it, serves its control socket and
/// its console, obeys signals as `run_in_foreground` does. Without a front it stays while the
/// machine is off as long as somebody asked for something in the last two seconds.
///
/// An error means that `ready` was not called: nothing ran. Call before any other thread is made.
base::Result<Outcome> run_vm_process(snapshot::VmDirectory directory, snapshot::VmLock lock,
                                     const VmTask& task, const VmProcessCalls& calls);

}  // namespace stasis::cli
