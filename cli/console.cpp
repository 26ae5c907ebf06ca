#include <fmt/format.h>

#include "cli/console_client.h"
#include "cli/management_verb.h"
#include "cli/power.h"
#include "cli/say.h"
#include "snapshot/state_root.h"

namespace stasis::cli {
namespace {

constexpr std::string_view kConsoleNotes =
    "Shows the last of what the guest printed, then all that comes. Ctrl-] x detaches\n"
    "and leaves the machine running, Ctrl-] ? lists such keys. Several may be attached.\n"
    "\nExamples:\n"
    "  stasis console web1\n"
    "  echo reboot | stasis console web1\n";

base::Result<Detachment> attach_to_running(const std::string& name) {
  const auto directory = TRY(snapshot::VmDirectory::open(snapshot::state_root(), name));
  if (!TRY(directory.holder())) return base::fail(is_off_error(name));
  TRY(session_of_running(name));  // it listens when this has its answer
  return attach_console(name, directory.console_socket_path());
}

ExitCode run_console(const CommandLine& line) {
  const std::string& name = vm_name(line);
  const auto detachment = attach_to_running(name);
  if (!detachment) return say_failure("console", detachment.error());
  say(fmt::format("{}: {}", name,
                  *detachment == Detachment::kByUser ? "detached; it runs on" : "is off"));
  return ExitCode::kSuccess;
}

}  // namespace

const Verb kConsoleVerb = {
    "console", "Attaches to a machine's console.", {}, kConsoleNotes, run_console, kVmArgument};

}  // namespace stasis::cli
