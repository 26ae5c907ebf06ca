#pragma once

#include <chrono>
#include <string>

#include "base/result.h"
#include "cli/vm_session.h"

namespace stasis::cli {

/// Pulls the plug of `name`; a process that does not answer is killed. kInvalidState: it is off.
base::Status kill_machine(const std::string& name);

/// Waits until the machine is off. kTimeout: it is not, after `limit`.
base::Status wait_until_off(const std::string& name, VmSession& session,
                            std::chrono::milliseconds limit);

/// Waits until `status.json` says so, too: a moment later than the machine's process. Not for long:
/// a process that was killed says nothing.
void wait_for_record(const snapshot::VmDirectory& directory, bool runs);

/// "machine "web1": is off; start it with: stasis start web1".
base::Error is_off_error(const std::string& name);

/// The session of a machine that must have a process.
base::Result<VmSession> session_of_running(const std::string& name);

/// Whether a machine in this state has a guest.
bool is_on(snapshot::PowerState state);

}  // namespace stasis::cli
