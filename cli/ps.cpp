#include <fmt/format.h>

#include "cli/json_output.h"
#include "cli/management_verb.h"
#include "cli/run_recorder.h"
#include "cli/say.h"
#include "cli/size_text.h"
#include "cli/time_text.h"
#include "snapshot/state_root.h"

namespace stasis::cli {
namespace {

constexpr OptionSpec kPsOptions[] = {
    {"all", "", "Also those that are off, saved or crashed.", false, 'a'},
    kJsonOption,
};

constexpr std::string_view kPsNotes =
    "\nExamples:\n"
    "  stasis ps\n"
    "  stasis ps -a --json | jq -r '.machines[].name'\n";

bool is_shown_as_on(const VmView& view) {
  return view.state != "off" && view.state != "saved" && view.state != "crashed";
}

std::string since_text(const VmView& view) {
  const std::uint64_t now = snapshot::unix_us_now();
  const auto since = [&](std::uint64_t then) { return then > now ? 0 : now - then; };
  if (view.info.started_unix_us != 0) {
    return "up " + duration_text(since(view.info.started_unix_us));
  }
  if (!view.last_run || view.last_run->ended_unix_us == 0) return view.info.last_ending;
  return fmt::format("{} ago: {}", duration_text(since(view.last_run->ended_unix_us)),
                     view.last_run->detail);
}

std::string table(const std::vector<VmView>& views) {
  std::size_t width = 4;
  for (const VmView& view : views) width = std::max(width, view.name.size());
  std::string text = fmt::format("{:{}}  {:8}  {:>4}  {:>10}  {}\n", "NAME", width, "STATE", "CPUS",
                                 "MEMORY", "SINCE");
  for (const VmView& view : views) {
    text += fmt::format("{:{}}  {:8}  {:>4}  {:>10}  {}\n", view.name, width, view.state,
                        view.info.config.cpus, format_size(view.info.config.memory_bytes),
                        since_text(view));
  }
  return text;
}

/// One that cannot be read is said, and the others are shown.
base::Result<std::string> list_machines(const CommandLine& line) {
  std::vector<VmView> views;
  for (const std::string& name : TRY(snapshot::VmDirectory::list(snapshot::state_root()))) {
    auto view = view_machine(name);
    if (!view) {
      say(view.error().with_context("ps").message());
    } else if (line.has("all") || is_shown_as_on(*view)) {
      views.push_back(std::move(*view));
    }
  }
  if (!line.has("json")) return table(views);
  nlohmann::ordered_json machines = nlohmann::ordered_json::array();
  for (const VmView& view : views) machines.push_back(machine_json(view));
  return json_record({{"machines", std::move(machines)}});
}

ExitCode run_ps(const CommandLine& line) {
  return finish_verb("ps", list_machines(line));
}

}  // namespace

const Verb kPsVerb = {"ps", "Lists machines that run.", kPsOptions, kPsNotes, run_ps};

}  // namespace stasis::cli
