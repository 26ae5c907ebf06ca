#include <fmt/format.h>

#include "cli/command_line.h"
#include "cli/foreground.h"
#include "cli/run_request.h"
#include "cli/say.h"
#include "vmm/host_probe.h"

namespace stasis::cli {
namespace {

constexpr std::string_view kNotes =
    "On a terminal every key goes to the guest, Ctrl-C too. Ctrl-] x ends it, Ctrl-] ?\n"
    "lists such keys. SIGTERM ends the guest at once, SIGPWR presses its power button.\n"
    "\nExamples:\n"
    "  stasis run --kernel vmlinuz --initrd initrd.img --memory 512M\n"
    "  stasis run --kernel vmlinuz --disk root.img --cmdline root=/dev/vda --cpus 2\n"
    "  stasis run --kernel vmlinuz --disk root.img,ro --net user,forward=tcp:2222:22\n"
    "  stasis run --kernel vmlinux --console file=guest.log --on-reboot exit\n";

ExitCode run_verb(const CommandLine& line) {
  const auto request = make_run_request(line, {vmm::host_memory_bytes()});
  if (!request) return say_usage_error(request.error().with_context("run"));
  const auto outcome = run_in_foreground(*request);
  if (!outcome) {
    say(outcome.error().with_context("run").message());
    return ExitCode::kRefused;
  }
  say(fmt::format("{}: {}", request->machine.name, outcome->sentence));
  return outcome->code;
}

}  // namespace

const Verb kRunVerb = {"run", "Boots a guest and stays until it ends.", run_options(), kNotes,
                       run_verb};

}  // namespace stasis::cli
