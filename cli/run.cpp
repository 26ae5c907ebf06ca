#include "cli/command_line.h"
#include "cli/run_request.h"
#include "cli/say.h"
#include "vmm/host_probe.h"

namespace stasis::cli {
namespace {

constexpr std::string_view kNotes =
    "On the console, Ctrl-] x ends the guest and Ctrl-] Ctrl-] sends one Ctrl-].\n"
    "\nExamples:\n"
    "  stasis run --kernel vmlinuz --initrd initrd.img --memory 512M\n"
    "  stasis run --kernel vmlinuz --disk root.img --cmdline root=/dev/vda --cpus 2\n"
    "  stasis run --kernel vmlinuz --disk root.img,ro --net user,forward=tcp:2222:22\n"
    "  stasis run --kernel vmlinux --console file=guest.log --on-reboot exit\n";

ExitCode run_machine(const CommandLine& line) {
  const auto request = make_run_request(line, {vmm::host_memory_bytes()});
  if (!request) return say_usage_error(request.error().with_context("run"));
  say("run: this build cannot run machines yet");
  return ExitCode::kFailed;
}

}  // namespace

const Verb kRunVerb = {"run", "Boots a guest and stays until it ends.", run_options(), kNotes,
                       run_machine};

}  // namespace stasis::cli
