#pragma once

#include <string_view>

namespace stasis::cli {

/// What `stasis` ends with. Part of the interface: the numbers never change their meaning. The same
/// table is in docs/man/stasis.1 and README.md; tests/cli compares them.
enum class ExitCode : int {
  kSuccess = 0,         ///< `run`: the guest powered off
  kFailed = 1,          ///< the host failed while the guest ran, or while it did what was asked
  kUsage = 2,           ///< unknown verb or option, or a value that cannot be
  kRefused = 3,         ///< refused before the guest started, or before anything was done
  kHostUnfit = 4,       ///< `doctor`: this host cannot run stock guests
  kNotFound = 5,        ///< no such machine or snapshot
  kWrongState = 6,      ///< not while the machine is what it is: off, running, there already, ...
  kBusy = 7,            ///< the machine is at other work, which the message names
  kTimedOut = 8,        ///< not done in time; the machine is as before
  kDamaged = 9,         ///< a snapshot or a machine's file is not what was written
  kGuestPanicked = 20,  ///< the guest reported a kernel panic (pvpanic)
  kTripleFault = 21,    ///< the guest shut its processor down by a triple fault
  kKvmError = 22,       ///< KVM gave up: internal error or an instruction it cannot run
  kGuestRebooted = 24,  ///< the guest rebooted, under --on-reboot exit
  kHungUp = 129,        ///< ended by SIGHUP
  kInterrupted = 130,   ///< ended by SIGINT, or by the escape key on the console
  kTerminated = 143,    ///< ended by SIGTERM
};

struct ExitCodeMeaning {
  ExitCode code;
  std::string_view meaning;
};

/// One line of `stasis --help` a code, in numeric order.
inline constexpr ExitCodeMeaning kExitCodes[] = {
    {ExitCode::kSuccess, "success; run: the guest powered off"},
    {ExitCode::kFailed, "the host failed while the guest ran, or while it did what was asked"},
    {ExitCode::kUsage, "unknown verb or option, or a value that cannot be"},
    {ExitCode::kRefused, "refused before the guest started: file, permission, lock, port, kernel"},
    {ExitCode::kHostUnfit, "doctor: this host cannot run stock guests"},
    {ExitCode::kNotFound, "no such machine or snapshot"},
    {ExitCode::kWrongState, "not in the machine's present state: off, running, there already"},
    {ExitCode::kBusy, "the machine is at other work, which the message names"},
    {ExitCode::kTimedOut, "not done in time; the machine is as before"},
    {ExitCode::kDamaged, "a snapshot or a machine's file is damaged"},
    {ExitCode::kGuestPanicked, "the guest's kernel panicked"},
    {ExitCode::kTripleFault, "the guest stopped in a triple fault"},
    {ExitCode::kKvmError, "KVM could not go on, often at an instruction it cannot emulate"},
    {ExitCode::kGuestRebooted, "the guest rebooted, under --on-reboot exit"},
    {ExitCode::kHungUp, "ended by SIGHUP"},
    {ExitCode::kInterrupted, "ended by SIGINT or by the console's escape key"},
    {ExitCode::kTerminated, "ended by SIGTERM"},
};

}  // namespace stasis::cli
