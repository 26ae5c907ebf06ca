#pragma once

#include <functional>
#include <optional>
#include <string>

#include "base/result.h"
#include "cli/foreground.h"
#include "cli/signals.h"
#include "snapshot/vm_control.h"
#include "snapshot/vm_directory.h"
#include "vmm/machine_ground.h"

namespace stasis::cli {

/// What the process of a named machine is there for.
struct VmTask {
  bool starts = true;  ///< else it waits, switched off, for requests
  std::string from;    ///< snapshot to start from, by name or id; empty: boots, or resumes
  snapshot::ApplyOptions apply;
  bool has_front = false;  ///< standard input and output are its console; it ends with the guest
};

/// What the process of a machine can begin with before it knows of which one it is.
struct HeadStart {
  /// Call before any other thread is made.
  static base::Result<HeadStart> begin(const VmTask& task);

  Signals signals;
  vmm::GroundAhead ahead;
};

/// Called once, when the guest runs, or when requests can come; with RunRecorder::crash().
using ReadyCall = std::function<void(const std::string& crash)>;

/// Is the process of a machine until it ends: opens it, starts it, serves its control socket and
/// its console, obeys signals as `run_in_foreground` does. Without a front it stays while the
/// machine is off as long as somebody asked for something in the last two seconds.
///
/// An error means that `ready` was not called: nothing ran.
base::Result<Outcome> run_vm_process(HeadStart head_start, snapshot::VmDirectory directory,
                                     snapshot::VmLock lock, const VmTask& task,
                                     const ReadyCall& ready);

}  // namespace stasis::cli
