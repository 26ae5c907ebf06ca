#include <unistd.h>

#include "cli/command_line.h"
#include "cli/doctor_checks.h"
#include "cli/dynamic_program.h"
#include "cli/say.h"
#include "snapshot/state_root.h"

namespace stasis::cli {
namespace {

constexpr OptionSpec kDoctorOptions[] = {
    {"json", "", "Prints one JSON record instead of lines."},
};

constexpr std::string_view kDoctorNotes =
    "Each line is ok, warn (stock guests run, something is slower or missing) or\n"
    "FAIL (they do not run), with a command that helps. Ends with 0 when nothing\n"
    "fails, else with 4.\n"
    "\nExamples:\n"
    "  stasis doctor\n"
    "  stasis doctor --json | jq .stock_guests\n";

ExitCode run_doctor(const CommandLine& line) {
  // Which libraries there are, a static program cannot know. Without its twin: none.
  static_cast<void>(become_dynamic_program());
  const vmm::HostFacts facts = vmm::probe_host(snapshot::state_root());
  const auto checks = judge_host(facts);
  const std::string text = line.has("json") ? doctor_json(checks, facts.kvm.kind)
                                            : doctor_text(checks, ::isatty(STDOUT_FILENO) == 1);
  if (!print(text)) return ExitCode::kFailed;
  return is_fit(checks) ? ExitCode::kSuccess : ExitCode::kHostUnfit;
}

}  // namespace

const Verb kDoctorVerb = {"doctor", "Says whether this host can run guests, and what helps.",
                          kDoctorOptions, kDoctorNotes, run_doctor};

}  // namespace stasis::cli
