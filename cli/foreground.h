#pragma once

#include <string>

#include "base/result.h"
#include "cli/exit_codes.h"
#include "cli/run_request.h"
#include "snapshot/vm_run_record.h"
#include "vmm/ending.h"

namespace stasis::cli {

/// How a run came to its end.
struct Outcome {
  ExitCode code = ExitCode::kFailed;
  std::string sentence;  ///< for people
};

/// Runs the machine until it ends for good: until the guest's end, a signal (SIGINT, SIGTERM,
/// SIGHUP) or the console's escape key; SIGPWR presses the power button. A guest's reboot starts it
/// anew, if so wished. An error means that no guest instruction ran. Call before any other thread
/// is made.
base::Result<Outcome> run_in_foreground(const RunRequest& request);

/// What a guest's end means to the caller of `stasis run`.
Outcome outcome_of(const vmm::Ending& ending);

/// As above for a run of a named machine that has ended.
ExitCode exit_code_of_run(const snapshot::RunRecord& record);

/// As above for a signal that ended the run.
Outcome outcome_of_signal(int number);

}  // namespace stasis::cli
