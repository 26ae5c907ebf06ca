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
  std::string from;    ///< snapshot to start from; empty: boots, or resumes what is saved
  snapshot::ApplyOptions apply;
  bool has_front = false;  ///< standard input and output are its console; it ends with the guest
};

/// Is the process of a machine until it ends: opens it, starts it, serves its control socket and
/// its console, obeys signals as `run_in_foreground` does. Without a front it stays while the
/// machine is off as long as somebody asked for something in the last two seconds.
///
/// `ready` is called once, when the guest runs, or when requests can come. An error means that it
/// was not called: nothing ran. Call before any other thread is made.
base::Result<Outcome> run_vm_process(snapshot::VmDirectory directory, snapshot::VmLock lock,
                                     const VmTask& task, const std::function<void()>& ready);

}  // namespace stasis::cli
