#pragma once

#include <cstdint>
#include <span>

#include "base/result.h"
#include "cli/verb.h"
#include "vmm/machine_config.h"

namespace stasis::cli {

/// What a guest's reboot does.
enum class OnReboot {
  kRestart,  ///< the machine starts anew with the same configuration
  kExit,     ///< `stasis run` ends with ExitCode::kGuestRebooted
};

/// `stasis run`, understood.
struct RunRequest {
  vmm::MachineConfig machine;
  OnReboot on_reboot = OnReboot::kRestart;
  bool is_named = false;  ///< it is kept, in a folder of its own
  bool detaches = false;  ///< `run` returns when the guest runs
};

/// What this host can give at most.
struct HostLimits {
  std::uint64_t memory_bytes;
};

/// The options of `stasis run`.
std::span<const OptionSpec> run_options();

/// Checks every value, files excepted: those are opened, and refused, with the machine. Errors
/// begin with the option and name value, reason and remedy:
/// `--memory "12Q": unknown unit "Q"; write ...`.
base::Result<RunRequest> make_run_request(const CommandLine& line, const HostLimits& host);

}  // namespace stasis::cli
