#include <fmt/format.h>

#include "cli/json_output.h"
#include "cli/management_verb.h"
#include "cli/size_text.h"
#include "cli/time_text.h"

namespace stasis::cli {
namespace {

constexpr std::string_view kInfoNotes =
    "\nExamples:\n"
    "  stasis info web1\n"
    "  stasis info web1 --json | jq -r .machine.state\n";

std::string last_run_text(const VmView& view) {
  if (!view.last_run) return "never";
  const snapshot::RunRecord& run = *view.last_run;
  if (run.end == snapshot::RunEnd::kNone) {
    return fmt::format("since {}", local_text(run.started_unix_us));
  }
  return fmt::format("{} to {}: {}", local_text(run.started_unix_us), local_text(run.ended_unix_us),
                     run.detail);
}

std::string text_of(const VmView& view) {
  const vmm::MachineConfig& config = view.info.config;
  std::string text;
  const auto add = [&](std::string_view key, std::string_view value) {
    if (!value.empty()) text += fmt::format("{:15} {}\n", key, value);
  };
  add("name", view.name);
  add("id", view.info.id);
  add("state", view.state);
  add("process", view.pid == 0 ? "" : fmt::format("{}", view.pid));
  add("created", local_text(view.info.created_unix_us));
  add("last run", last_run_text(view));
  add("snapshot", view.info.current);
  add("last applied", view.info.last_applied);
  add("kernel", config.kernel);
  add("initrd", config.initrd);
  add("command line", config.cmdline);
  add("processors", fmt::format("{}", config.cpus));
  add("memory", format_size(config.memory_bytes));
  for (const vmm::DiskConfig& disk : config.disks) {
    add("disk " + disk.id, disk.path + (disk.read_only ? " (read only)" : ""));
  }
  for (const auto& forward : config.net ? config.net->forwards : std::vector<vmm::PortForward>{}) {
    add("forward", fmt::format("{} {} to {}", forward.udp ? "udp" : "tcp", forward.host_port,
                               forward.guest_port));
  }
  return text;
}

base::Result<std::string> info(const CommandLine& line) {
  const VmView view = TRY(view_machine(vm_name(line)));
  if (line.has("json")) return json_record({{"machine", machine_json(view)}});
  return text_of(view);
}

ExitCode run_info(const CommandLine& line) {
  return finish_verb("info", info(line));
}

}  // namespace

const Verb kInfoVerb = {"info",   "Shows one machine.", kJsonOptions, kInfoNotes,
                        run_info, kVmArgument};

}  // namespace stasis::cli
