#include <fmt/format.h>
#include <signal.h>

#include <chrono>
#include <thread>

#include "cli/management_verb.h"
#include "cli/power.h"
#include "snapshot/state_root.h"

namespace stasis::cli {
namespace {

using base::ErrorKind;
using base::fail;
using snapshot::VmDirectory;

constexpr OptionSpec kRmOptions[] = {
    {"force", "", "Also one that runs: pulls its plug first."},
    kJsonOption,
};

constexpr std::string_view kRmNotes =
    "Its snapshots, overlays and logs go, too; disks it was given by --disk stay.\n"
    "\nExamples:\n"
    "  stasis rm web1\n"
    "  stasis rm web1 --force\n";

/// The lock of a machine that is off; a process that is only idle is asked to end.
base::Result<snapshot::VmLock> lock_when_idle(const VmDirectory& directory) {
  constexpr std::chrono::milliseconds kLook{20};
  constexpr int kLooks = 250;
  for (int look = 0;; ++look) {
    auto lock = directory.lock();
    if (lock || lock.error().kind() != ErrorKind::kBusy || look == kLooks) return lock;
    const auto holder = TRY(directory.holder());
    if (look == 0 && holder && *holder > 0) ::kill(*holder, SIGTERM);
    std::this_thread::sleep_for(kLook);
  }
}

base::Result<std::string> remove(const CommandLine& line) {
  const std::string& name = vm_name(line);
  auto directory = TRY(VmDirectory::open(snapshot::state_root(), name));
  const auto session = VmSession::find(name);
  const bool is_silent = !session && session.error().kind() == ErrorKind::kTimeout;
  if (is_silent || (session && *session && is_on((*session)->info().state))) {
    if (!line.has("force")) {
      return fail(
          ErrorKind::kInvalidState,
          fmt::format("machine \"{0}\": runs; stop it with: stasis stop {0}, or add --force",
                      name));
    }
    TRY(kill_machine(name));
  }
  auto lock = TRY(lock_when_idle(directory));
  TRY(std::move(directory).remove(std::move(lock)));
  return done_text(line, "removed");
}

ExitCode run_rm(const CommandLine& line) {
  return finish_verb("rm", remove(line));
}

}  // namespace

const Verb kRmVerb = {
    "rm", "Removes a machine with its snapshots.", kRmOptions, kRmNotes, run_rm, kVmArgument};

}  // namespace stasis::cli
