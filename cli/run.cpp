#include <fmt/format.h>

#include <filesystem>

#include "cli/command_line.h"
#include "cli/daemon.h"
#include "cli/dynamic_program.h"
#include "cli/foreground.h"
#include "cli/json_output.h"
#include "cli/management_verb.h"
#include "cli/run_recorder.h"
#include "cli/run_request.h"
#include "cli/say.h"
#include "snapshot/state_root.h"
#include "snapshot/uuid.h"
#include "vmm/host_probe.h"

namespace stasis::cli {
namespace {

using base::Result;
using snapshot::VmDirectory;

constexpr std::string_view kRunNotes =
    "On a terminal every key goes to the guest, Ctrl-C too. Ctrl-] x ends it, Ctrl-] ?\n"
    "lists such keys. SIGTERM ends the guest at once, SIGPWR presses its power button.\n"
    "\nExamples:\n"
    "  stasis run --kernel vmlinuz --initrd initrd.img --memory 512M\n"
    "  stasis run --kernel vmlinuz --disk root.img --cmdline root=/dev/vda --cpus 2\n"
    "  stasis run --kernel vmlinuz --disk root.img,ro --net user,forward=tcp:2222:22\n"
    "  stasis run --kernel vmlinux --console file=guest.log --on-reboot exit\n"
    "  stasis run --name web1 --detach --kernel vmlinuz --disk root.img\n";

ExitCode refuse(const base::Error& error) {
  if (error.kind() == base::ErrorKind::kInvalidArgument) {
    return say_usage_error(error.with_context("run"));
  }
  say(error.with_context("run").message());
  return ExitCode::kRefused;
}

ExitCode report(const std::string& name, const Result<Outcome>& outcome) {
  if (!outcome) {
    say(outcome.error().with_context("run").message());
    return ExitCode::kRefused;
  }
  say(fmt::format("{}: {}", name, outcome->sentence));
  return outcome->code;
}

/// Later starts are from other folders.
void make_absolute(std::string& path) {
  std::error_code ignored;
  if (!path.empty()) path = std::filesystem::absolute(path, ignored);
}

Result<snapshot::VmConfig> config_of(const RunRequest& request) {
  snapshot::VmConfig config;
  config.id = TRY(snapshot::make_uuid());
  config.created_unix_us = snapshot::unix_us_now();
  config.restart_on_reboot = request.on_reboot == OnReboot::kRestart;
  config.machine = request.machine;
  make_absolute(config.machine.kernel);
  make_absolute(config.machine.initrd);
  make_absolute(config.machine.console.file);
  for (vmm::DiskConfig& disk : config.machine.disks) {
    make_absolute(disk.path);
    for (devices::ImageLayer& layer : disk.backing) make_absolute(layer.path);
  }
  return config;
}

/// One that never ran is none.
void forget(const std::string& name) {
  auto directory = VmDirectory::open(snapshot::state_root(), name);
  if (!directory) return;
  auto lock = directory->lock();
  if (lock) static_cast<void>(std::move(*directory).remove(std::move(*lock)));
}

ExitCode print_started(const CommandLine& line, const std::string& name) {
  if (!line.has("json")) return print_result(name + '\n');
  const auto view = view_machine(name);
  if (!view) return say_failure("run", view.error());
  return print_result(json_record({{"machine", machine_json(*view)}}));
}

Result<Outcome> run_with_front(VmDirectory directory, snapshot::VmLock lock) {
  VmTask task;
  task.has_front = true;
  return run_vm_process(TRY(HeadStart::begin(task)), std::move(directory), std::move(lock), task,
                        [](const std::string&) {});
}

ExitCode run_named(const CommandLine& line, const RunRequest& request) {
  const std::string& name = request.machine.name;
  const auto config = config_of(request);
  if (!config) return refuse(config.error());
  auto made = VmDirectory::create(snapshot::state_root(), *config);
  if (!made) return say_failure("run", made.error());
  if (request.detaches) {
    const auto spawned =
        spawn_vm_process(std::move(made->first), std::move(made->second), VmTask{});
    if (spawned) return print_started(line, name);
    forget(name);
    return refuse(spawned.error());
  }
  const auto outcome = run_with_front(std::move(made->first), std::move(made->second));
  if (!outcome) forget(name);
  return report(name, outcome);
}

ExitCode boot(const CommandLine& line) {
  const auto request = make_run_request(line, {vmm::host_memory_bytes()});
  if (!request) return say_usage_error(request.error().with_context("run"));
  if (request->machine.net) {
    const auto became = become_dynamic_program();
    if (!became) return refuse(became.error());
  }
  if (request->is_named) return run_named(line, *request);
  return report(request->machine.name, run_in_foreground(*request));
}

}  // namespace

const Verb kRunVerb = {"run", "Boots a guest and stays until it ends.", run_options(), kRunNotes,
                       boot};

}  // namespace stasis::cli
