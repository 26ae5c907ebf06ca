#include "cli/vm_view.h"

#include <fmt/format.h>

#include <chrono>

#include "base/log.h"
#include "cimapi/client.h"
#include "cli/power.h"
#include "snapshot/snapshot_store.h"
#include "snapshot/state_root.h"

namespace stasis::cli {
namespace {

using base::Result;
using snapshot::PowerState;
using snapshot::RunEnd;
using snapshot::VmDirectory;

constexpr std::chrono::milliseconds kShortPatience{2'000};

Result<cimapi::Client> connect_shortly(const VmDirectory& directory) {
  cimapi::Client::Options options;
  options.connect_timeout = options.answer_timeout = kShortPatience;
  return cimapi::Client::connect(directory.control_socket_path(), options);
}

/// What the files say of a machine.
Result<VmView> view_files(const VmDirectory& directory, bool has_process) {
  VmView view;
  view.name = directory.name();
  auto config = TRY(directory.config());
  const auto present = TRY(directory.present());
  view.last_run = TRY(has_process ? directory.run_record() : directory.settled_run_record());
  view.info.id = config.id;
  view.info.created_unix_us = config.created_unix_us;
  view.info.config = std::move(config.machine);
  view.info.current = present.current;
  view.info.last_applied = present.last_applied;
  if (!present.saved_from.empty()) view.info.state = PowerState::kSaved;
  const bool is_crash = view.last_run && view.last_run->end == RunEnd::kCrashed;
  if (view.last_run) view.info.last_ending = view.last_run->detail;
  view.state = snapshot::word_for(view.info.state);
  if (is_crash && view.info.state == PowerState::kOff) view.state = "crashed";
  return view;
}

/// The process notes a run's end a moment after it has seen it.
void await_end_of_run(const VmDirectory& directory, VmView& view) {
  if (is_on(view.info.state) || !view.last_run || view.last_run->end != RunEnd::kNone) return;
  wait_for_record(directory, false);
  auto record = directory.run_record();
  if (record && *record) view.last_run = std::move(*record);
}

void ask_process(const VmDirectory& directory, VmView& view) {
  auto client = connect_shortly(directory);
  auto info = client ? client->info() : base::fail(client.error());
  if (!info) {
    view.state = "silent";
    return;
  }
  const bool was_crash = view.state == "crashed";
  view.info = std::move(*info);
  view.state = was_crash && view.info.state == PowerState::kOff
                   ? "crashed"
                   : snapshot::word_for(view.info.state);
  await_end_of_run(directory, view);
}

}  // namespace

Result<VmView> view_machine(const std::string& name) {
  const VmDirectory directory = TRY(VmDirectory::open(snapshot::state_root(), name));
  const auto holder = TRY(directory.holder());
  VmView view = TRY(view_files(directory, holder.has_value()));
  if (!holder) return view;
  view.pid = *holder;
  ask_process(directory, view);
  return view;
}

Result<std::vector<snapshot::SnapshotInfo>> view_snapshots(const std::string& name) {
  const VmDirectory directory = TRY(VmDirectory::open(snapshot::state_root(), name));
  if (TRY(directory.holder())) {
    auto client = connect_shortly(directory);
    auto list = client ? client->snapshots() : base::fail(client.error());
    if (list) return list;
  }
  const auto store = TRY(snapshot::SnapshotStore::open(directory.snapshots_path()));
  auto list = TRY(store.infos());
  for (const auto& broken : list.broken) {
    base::log::warn("snapshot {}: {}", broken.id, broken.error.message());
  }
  return std::move(list.snapshots);
}

}  // namespace stasis::cli
