#include "cimapi/snapshot_work.h"

#include <fmt/format.h>

#include <algorithm>

namespace stasis::cimapi {
namespace {

using snapshot::PowerState;
using snapshot::SnapshotInfo;
using snapshot::WorkObserver;

bool is_settled(PowerState state) {
  return state != PowerState::kStarting && state != PowerState::kStopping;
}

bool is_in_memory(PowerState state) {
  return state == PowerState::kRunning || state == PowerState::kPaused;
}

/// What has no result but success, as work.
base::Result<std::string> done(const base::Status& status) {
  if (!status) return base::fail(status.error());
  return std::string();
}

/// A host that cannot take the state is a failure of the work, not of the method.
base::Result<std::string> applied(const base::Status& status) {
  if (!status && status.error().kind() == base::ErrorKind::kUnsupported) {
    return base::fail(base::ErrorKind::kIo, status.error().message());
  }
  return done(status);
}

}  // namespace

Checked<void> SnapshotWork::find_vm(const Ref& ref, std::string_view parameter, Space space) const {
  const auto id = computer_system_of(ref, parameter, space);
  if (!id) return pass_on(id);
  if (same_name(*id, vm_.info().id)) return {};
  return refuse(Verdict::kInvalidParameter, fmt::format("{}: no machine \"{}\"", parameter, *id));
}

Checked<SnapshotInfo> SnapshotWork::find_snapshot(const Ref& ref, std::string_view parameter,
                                                  Space space) const {
  const auto id = setting_data_of(ref, parameter, space);
  if (!id) return pass_on(id);
  const auto infos = vm_.snapshots();
  const auto found = std::find_if(infos.begin(), infos.end(), [&](const SnapshotInfo& info) {
    return same_name(info.id, *id);
  });
  if (found != infos.end()) return *found;
  const char* why = same_name(*id, vm_.info().id)
                        ? "names the machine's current settings, which are no snapshot"
                        : "not found";
  return refuse(Verdict::kInvalidParameter,
                fmt::format("{}: snapshot {}: {}", parameter, *id, why));
}

Checked<void> SnapshotWork::check_settled() const {
  const PowerState now = state();
  if (is_settled(now)) return {};
  return refuse(Verdict::kInvalidState,
                fmt::format("machine is {}: wait until it is not", snapshot::word_for(now)));
}

Checked<Outcome> SnapshotWork::start_job(JobTable::Order order, JobTable::Work work) {
  auto id = jobs_.start(std::move(order), std::move(work));
  if (!id) return refuse(id.error());
  return Outcome{Verdict::kStarted, {}, *id};
}

Checked<Outcome> SnapshotWork::run_now(const JobTable::Order& order, const JobTable::Work& work) {
  auto made = jobs_.run(order, work);
  if (!made) return refuse(made.error());
  return Outcome{Verdict::kCompleted, *made, {}};
}

Checked<Outcome> SnapshotWork::create(const snapshot::CreateOptions& options) {
  if (auto fine = check_settled(); !fine) return pass_on(fine);
  JobTable::Order order{JobType::kSnapshot,
                        options.name.empty() ? std::string("create snapshot")
                                             : fmt::format("create snapshot \"{}\"", options.name)};
  JobTable::Work work = [this, options](WorkObserver& observer) -> base::Result<std::string> {
    return TRY(vm_.create_snapshot(options, observer)).id;
  };
  const bool is_long = options.kind == snapshot::SnapshotKind::kFull && state() != PowerState::kOff;
  return is_long ? start_job(std::move(order), std::move(work)) : run_now(order, work);
}

Checked<Outcome> SnapshotWork::apply(const SnapshotInfo& info, Manner manner) {
  if (auto fine = check_settled(); !fine) return pass_on(fine);
  if (is_in_memory(state())) {
    return refuse(Verdict::kInvalidState,
                  fmt::format("machine is {}: turn it off first", snapshot::word_for(state())));
  }
  JobTable::Order order{JobType::kApply, fmt::format("apply snapshot \"{}\"", info.name), info.id};
  JobTable::Work work = [this, id = info.id](WorkObserver& observer) {
    return applied(vm_.apply_snapshot(id, {}, observer));
  };
  return manner == Manner::kJob ? start_job(std::move(order), std::move(work))
                                : run_now(order, work);
}

Checked<Outcome> SnapshotWork::apply_in_place(const SnapshotInfo& info,
                                              const snapshot::ApplyOptions& options) {
  if (auto fine = check_settled(); !fine) return pass_on(fine);
  return start_job({JobType::kApply, fmt::format("apply snapshot \"{}\"", info.name), info.id},
                   [this, id = info.id, options](WorkObserver& observer) {
                     return applied(vm_.apply_snapshot(id, options, observer));
                   });
}

Checked<Outcome> SnapshotWork::destroy(const SnapshotInfo& info) {
  if (auto fine = check_settled(); !fine) return pass_on(fine);
  return run_now({JobType::kDelete, fmt::format("delete snapshot \"{}\"", info.name), info.id},
                 [&](WorkObserver& /*observer*/) { return done(vm_.destroy_snapshot(info.id)); });
}

Checked<Outcome> SnapshotWork::destroy_tree(const SnapshotInfo& info) {
  if (auto fine = check_settled(); !fine) return pass_on(fine);
  return run_now(
      {JobType::kDelete, fmt::format("delete snapshots below \"{}\"", info.name), info.id},
      [&](WorkObserver& /*observer*/) { return done(vm_.destroy_snapshot_tree(info.id)); });
}

Checked<Outcome> SnapshotWork::verify(const SnapshotInfo& info) {
  return start_job({JobType::kVerify, fmt::format("verify snapshot \"{}\"", info.name), info.id},
                   [this, id = info.id](WorkObserver& observer) {
                     return done(vm_.verify_snapshot(id, observer));
                   });
}

Checked<Outcome> SnapshotWork::rename(const SnapshotInfo& info, const std::string& name,
                                      const std::string& notes) {
  return run_now(
      {JobType::kSnapshot, fmt::format("rename snapshot \"{}\"", info.name), info.id},
      [&](WorkObserver& /*observer*/) { return done(vm_.rename_snapshot(info.id, name, notes)); });
}

Checked<std::string> SnapshotWork::selftest() {
  auto report = jobs_.run({JobType::kSelfTest, "self-test"},
                          [&](WorkObserver& /*observer*/) { return vm_.selftest(); });
  if (!report) return refuse(report.error());
  return *report;
}

}  // namespace stasis::cimapi
