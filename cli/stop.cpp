#include "cli/management_verb.h"
#include "cli/power.h"
#include "cli/time_text.h"

namespace stasis::cli {
namespace {

constexpr OptionSpec kStopOptions[] = {
    {"timeout", "TIME", "How long the guest may take, such as 90s. Default: 60s."},
    {"force", "", "Pulls the plug when it takes longer."},
    kJsonOption,
};

constexpr std::string_view kStopNotes =
    "Presses the power button: the guest shuts down by itself, or does not listen.\n"
    "\nExamples:\n"
    "  stasis stop web1\n"
    "  stasis stop web1 --timeout 2m --force\n";

base::Result<std::string> stop(const CommandLine& line) {
  const std::string* limit_text = line.value("timeout");
  const auto limit = parse_duration(limit_text == nullptr ? "60" : *limit_text);
  if (!limit) return base::fail(limit.error().with_context("--timeout"));
  auto session = TRY(session_of_running(vm_name(line)));
  const base::Status pressed = session.client().shut_down();
  if (!pressed && !line.has("force")) return base::fail(pressed.error());
  const auto patience = pressed ? *limit : std::chrono::seconds(0);
  base::Status off = wait_until_off(vm_name(line), session, patience);
  if (!off && off.error().kind() == base::ErrorKind::kTimeout && line.has("force")) {
    off = kill_machine(vm_name(line));
  }
  if (!off) return base::fail(off.error());
  return done_text(line, "off");
}

ExitCode run_stop(const CommandLine& line) {
  return finish_verb("stop", stop(line));
}

}  // namespace

const Verb kStopVerb = {
    "stop", "Shuts a machine's guest down.", kStopOptions, kStopNotes, run_stop, kVmArgument};

}  // namespace stasis::cli
