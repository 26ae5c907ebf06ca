#include <fmt/format.h>

#include "cli/console_client.h"
#include "cli/daemon.h"
#include "cli/json_output.h"
#include "cli/management_verb.h"
#include "cli/power.h"
#include "cli/progress.h"
#include "cli/say.h"
#include "cli/snapshot_choice.h"
#include "cli/snapshot_options.h"
#include "snapshot/state_root.h"

namespace stasis::cli {
namespace {

using base::ErrorKind;
using base::fail;
using base::Result;
using base::Status;
using snapshot::VmDirectory;

constexpr OptionSpec kOptions[] = {
    {"from", "SNAP", "Starts from this snapshot: its name or id."},
    kClockOption,
    kSameGenerationOption,
    {"attach", "", "Stays, as console does, and ends as the guest does."},
    kJsonOption,
};

constexpr std::string_view kNotes =
    "One that is off boots; one that is saved goes on from the snapshot that was applied.\n"
    "\nExamples:\n"
    "  stasis start web1\n"
    "  stasis start web1 --from clean --attach\n";

Result<VmTask> make_task(const CommandLine& line) {
  VmTask task;
  task.apply = TRY(apply_options_of(line));
  const std::string* from = line.value("from");
  if (from != nullptr) {
    task.from = *from;
  } else if (line.has("clock") || line.has("same-generation")) {
    return fail(ErrorKind::kInvalidArgument,
                "--clock and --same-generation: are for --from; add --from SNAP");
  }
  return task;
}

/// In a process that is there and has no guest.
Status start_in(VmSession session, const VmTask& task, const std::string& name) {
  if (is_on(session.info().state) && !task.from.empty()) {
    return fail(ErrorKind::kInvalidState,
                fmt::format("machine \"{0}\": runs; stop it first, or apply the snapshot in place "
                            "with: stasis snapshot apply {0} {1}",
                            name, task.from));
  }
  if (!task.from.empty()) {
    const auto chosen = TRY(choose_snapshot(TRY(view_snapshots(name)), task.from));
    Progress progress = TRY(Progress::begin("applying the snapshot"));
    TRY(session.client().apply_snapshot(chosen.id, task.apply, progress));
  }
  const auto directory = TRY(VmDirectory::open(snapshot::state_root(), name));
  if (!is_on(session.info().state)) wait_for_record(directory, false);  // of the run before
  TRY(session.client().start());
  wait_for_record(directory, true);
  return {};
}

void say_any_crash(const std::string& name) {
  const auto view = view_machine(name);
  if (view && view->state == "crashed") say_crash(name, view->last_run->detail);
}

Status start(const CommandLine& line) {
  const std::string& name = vm_name(line);
  const VmTask task = TRY(make_task(line));
  const auto spawned = try_spawn_vm_process(name, task);
  if (spawned && *spawned) return {};  // a new process, which has told of a crash itself
  auto session = spawned ? VmSession::find_or_spawn(name, task) : fail(spawned.error());
  if (session && !*session) return {};
  say_any_crash(name);
  if (!session) return fail(session.error());
  return start_in(std::move(**session), task, name);
}

/// How the guest's end, which was just seen, is to be told.
ExitCode report_end(const std::string& name) {
  const auto view = view_machine(name);
  if (!view || !view->last_run) return ExitCode::kFailed;
  say(fmt::format("{}: {}", name, view->last_run->detail));
  return exit_code_of_run(*view->last_run);
}

ExitCode attach(const std::string& name) {
  const auto directory = VmDirectory::open(snapshot::state_root(), name);
  if (!directory) return say_failure("start", directory.error());
  const auto detachment = attach_console(name, directory->console_socket_path());
  if (!detachment) return say_failure("start", detachment.error());
  if (*detachment == Detachment::kByEnd) return report_end(name);
  say(fmt::format("{}: detached; it runs on", name));
  return ExitCode::kSuccess;
}

/// What a machine needs and does not find is a refusal; what the caller named is not found.
ExitCode exit_code_of_start(const base::Error& error) {
  const bool is_named =
      error.message().starts_with("machine \"") || error.message().starts_with("snapshot \"");
  if (error.kind() == ErrorKind::kNotFound && !is_named) return ExitCode::kRefused;
  return exit_code_of(error.kind());
}

ExitCode run_verb(const CommandLine& line) {
  const Status started = start(line);
  if (!started) {
    say(started.error().with_context("start").message());
    return exit_code_of_start(started.error());
  }
  if (line.has("attach")) return attach(vm_name(line));
  if (!line.has("json")) return ExitCode::kSuccess;
  const auto view = view_machine(vm_name(line));
  if (!view) return say_failure("start", view.error());
  return print_result(json_record({{"machine", machine_json(*view)}}));
}

}  // namespace

const Verb kStartVerb = {"start",    "Starts a machine that is off.", kOptions, kNotes, run_verb,
                         kVmArgument};

}  // namespace stasis::cli
