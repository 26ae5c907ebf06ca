#include <fmt/format.h>

#include "cli/json_output.h"
#include "cli/management_verb.h"
#include "cli/progress.h"
#include "cli/size_text.h"
#include "cli/snapshot_choice.h"
#include "cli/spelling.h"
#include "cli/vm_session.h"
#include "snapshot/names.h"

namespace stasis::cli {
namespace {

using base::ErrorKind;
using base::fail;
using base::Result;
using snapshot::CreateOptions;
using snapshot::Engine;
using snapshot::SnapshotKind;

constexpr OptionSpec kSnapshotCreateOptions[] = {
    {"type", "full|disk",
     "full: memory, devices and disks. disk: the disks only; the\n"
     "guest boots from it. Default: full."},
    {"engine", "auto|fork|stop-and-copy",
     "How memory is captured: fork lets the guest run on while it\n"
     "is written, stop-and-copy does not. Default: auto (fork)."},
    {"compress", "LEVEL", "Compresses memory by zstd, level 1 to 19. Default level: 3.", false, 0,
     true},
    {"notes", "TEXT", "Free text that is kept with it."},
    kJsonOption,
};

constexpr ArgumentSpec kSnapshotCreateArguments[] = {{"VM"}, {"NAME", true}};

constexpr std::string_view kSnapshotCreateNotes =
    "All disks and the memory are of one instant; the guest runs on. Without NAME the\n"
    "date is its name. Ctrl-C takes it back, and leaves nothing behind.\n"
    "\nExamples:\n"
    "  stasis snapshot create web1\n"
    "  stasis snapshot create web1 clean --notes \"before the upgrade\"\n"
    "  stasis snapshot create web1 --type disk\n"
    "  stasis snapshot create web1 small --compress=9\n";

tl::unexpected<base::Error> unknown(std::string_view option, const std::string& word,
                                    std::span<const std::string_view> words) {
  return fail(ErrorKind::kInvalidArgument,
              fmt::format("--{}: \"{}\": unknown{}", option, word, spelling_hint(word, words)));
}

Result<SnapshotKind> kind_of(const CommandLine& line) {
  const std::string* word = line.value("type");
  if (word == nullptr || *word == "full") return SnapshotKind::kFull;
  if (*word == "disk") return SnapshotKind::kDisk;
  const std::string_view words[] = {"full", "disk"};
  return unknown("type", *word, words);
}

Result<Engine> engine_of(const CommandLine& line) {
  const std::string* word = line.value("engine");
  if (word == nullptr || *word == "auto") return Engine::kAuto;
  if (*word == "fork") return Engine::kFork;
  if (*word == "stop-and-copy") return Engine::kStopAndCopy;
  const std::string_view words[] = {"auto", "fork", "stop-and-copy"};
  return unknown("engine", *word, words);
}

Result<std::optional<int>> level_of(const CommandLine& line) {
  constexpr int kUsual = 3;
  constexpr std::uint64_t kHighest = 19;
  if (!line.has("compress")) return std::nullopt;
  const std::string* text = line.value("compress");
  if (text == nullptr) return kUsual;
  const auto level = parse_number(*text, 1, kHighest);
  if (!level) return fail(level.error().with_context("--compress"));
  return static_cast<int>(*level);
}

Result<CreateOptions> options_of(const CommandLine& line) {
  CreateOptions options;
  options.kind = TRY(kind_of(line));
  options.engine = TRY(engine_of(line));
  options.compression_level = TRY(level_of(line));
  const bool is_disk = options.kind == SnapshotKind::kDisk;
  if (is_disk && (line.has("engine") || line.has("compress"))) {
    return fail(ErrorKind::kInvalidArgument,
                "--engine and --compress: are for memory; leave them out, or take --type full");
  }
  if (const std::string* name = line.argument("NAME")) {
    TRY(snapshot::check_snapshot_name(*name));
    options.name = *name;
  }
  if (const std::string* notes = line.value("notes")) options.notes = *notes;
  return options;
}

Result<std::string> create(const CommandLine& line) {
  const CreateOptions options = TRY(options_of(line));
  auto session = TRY(VmSession::open(vm_name(line)));
  Progress progress = TRY(Progress::begin("creating a snapshot"));
  const auto made = TRY(session.client().create_snapshot(options, progress));
  if (line.has("json")) {
    return json_record({{"machine", vm_name(line)}, {"snapshot", snapshot_json(made)}});
  }
  return fmt::format("{}  {}\n{}\n", made.id, made.name, capture_text(made.capture));
}

ExitCode run_snapshot_create(const CommandLine& line) {
  return finish_verb("snapshot create", create(line));
}

}  // namespace

const Verb kSnapshotCreateVerb = {"snapshot create",      "Captures a machine as it is now.",
                                  kSnapshotCreateOptions, kSnapshotCreateNotes,
                                  run_snapshot_create,    kSnapshotCreateArguments};

}  // namespace stasis::cli
