#include "cimapi/snapshot_service.h"

#include <fmt/format.h>

#include "cimapi/snapshot_settings.h"

namespace stasis::cimapi {
namespace {

using snapshot::SnapshotKind;

constexpr std::uint16_t kFullSnapshot = 2;
constexpr std::uint16_t kDiskSnapshot = 3;
constexpr std::uint16_t kFirstVendorType = 32'768;

Checked<SnapshotKind> snapshot_kind_of(std::uint16_t type) {
  if (type == kFullSnapshot) return SnapshotKind::kFull;
  if (type == kDiskSnapshot) return SnapshotKind::kDisk;
  if (type >= kFirstVendorType) {
    return refuse(
        Verdict::kNotSupported,
        fmt::format("SnapshotType {}: no such type here; use 2 (full) or 3 (disk)", type));
  }
  return refuse(Verdict::kInvalidType,
                fmt::format("SnapshotType {}: use 2 (full) or 3 (disk)", type));
}

}  // namespace

CreateAnswer SnapshotService::create_snapshot(const CreateSnapshotIn& in) {
  return create_answer_of(Family::kV2, create(in));
}

Checked<Outcome> SnapshotService::create(const CreateSnapshotIn& in) {
  constexpr const char* kSystem = "AffectedSystem";
  if (!in.affected_system) {
    return refuse(Verdict::kInvalidParameter, fmt::format("{}: is missing", kSystem));
  }
  if (!in.snapshot_type) {
    return refuse(Verdict::kInvalidParameter, "SnapshotType: is missing; use 2 (full) or 3 (disk)");
  }
  if (auto vm = work_.find_vm(in.affected_system, kSystem, Space::kV2); !vm) return pass_on(vm);
  const auto kind = snapshot_kind_of(*in.snapshot_type);
  if (!kind) return pass_on(kind);
  const auto settings = decode_snapshot_settings(in.snapshot_settings.value_or(""));
  if (!settings) return pass_on(settings);
  return work_.create(
      {*kind, settings->name, settings->notes, settings->engine, settings->compression_level});
}

JobAnswer SnapshotService::apply_snapshot(const ApplySnapshotIn& in) {
  return job_answer_of(Family::kV2, work_.find_snapshot(in.snapshot, "Snapshot", Space::kV2)
                                        .and_then([&](const snapshot::SnapshotInfo& info) {
                                          return work_.apply(info, SnapshotWork::Manner::kJob);
                                        }));
}

JobAnswer SnapshotService::destroy_snapshot(const DestroySnapshotIn& in) {
  return job_answer_of(
      Family::kV2,
      work_.find_snapshot(in.affected_snapshot, "AffectedSnapshot", Space::kV2)
          .and_then([&](const snapshot::SnapshotInfo& info) { return work_.destroy(info); }));
}

JobAnswer SnapshotService::destroy_snapshot_tree(const SnapshotTreeIn& in) {
  return job_answer_of(
      Family::kV1,
      work_.find_snapshot(in.snapshot_setting_data, "SnapshotSettingData", Space::kV2)
          .and_then([&](const snapshot::SnapshotInfo& info) { return work_.destroy_tree(info); }));
}

JobAnswer SnapshotService::clear_snapshot_state(const SnapshotTreeIn& in) {
  const auto info =
      work_.find_snapshot(in.snapshot_setting_data, "SnapshotSettingData", Space::kV2);
  if (!info) return job_answer_of(Family::kV1, pass_on(info));
  return job_answer_of(
      Family::kV1, refuse(Verdict::kNotSupported,
                          "ClearSnapshotState: a snapshot is never changed; delete it instead"));
}

JobAnswer SnapshotService::convert_to_reference_point(const ConvertToReferencePointIn& in) {
  const auto info = work_.find_snapshot(in.affected_snapshot, "AffectedSnapshot", Space::kV2);
  if (!info) return job_answer_of(Family::kV2, pass_on(info));
  return job_answer_of(Family::kV2, refuse(Verdict::kNotSupported,
                                           "ConvertToReferencePoint: there are no reference "
                                           "points and no recovery snapshots"));
}

Answer SnapshotService::change_service() const {
  return answer_of(
      Family::kV2,
      refuse(Verdict::kNotSupported, "the service runs as long as its machine's process").value());
}

JobAnswer SnapshotService::apply_snapshot_in_place(const ApplySnapshotInPlaceIn& in) {
  return job_answer_of(Family::kV2, apply_in_place(in));
}

Checked<Outcome> SnapshotService::apply_in_place(const ApplySnapshotInPlaceIn& in) {
  const auto info = work_.find_snapshot(in.snapshot, "Snapshot", Space::kV2);
  if (!info) return pass_on(info);
  const std::uint16_t policy = in.clock_policy.value_or(0);
  if (policy > 1) {
    return refuse(Verdict::kInvalidParameter,
                  fmt::format("ClockPolicy {}: use 0 (catch up) or 1 (freeze)", policy));
  }
  return work_.apply_in_place(
      *info, {static_cast<snapshot::ClockPolicy>(policy), in.new_generation.value_or(true)});
}

JobAnswer SnapshotService::verify_snapshot(const VerifySnapshotIn& in) {
  return job_answer_of(Family::kV2, work_.find_snapshot(in.snapshot, "Snapshot", Space::kV2)
                                        .and_then([&](const snapshot::SnapshotInfo& info) {
                                          return work_.verify(info);
                                        }));
}

Answer SnapshotService::rename_snapshot(const RenameSnapshotIn& in) {
  return job_answer_of(Family::kV2, rename(in));
}

Checked<Outcome> SnapshotService::rename(const RenameSnapshotIn& in) {
  const auto info = work_.find_snapshot(in.snapshot, "Snapshot", Space::kV2);
  if (!info) return pass_on(info);
  return work_.rename(*info, in.new_name.value_or(info->name), in.notes.value_or(info->notes));
}

SelfTestAnswer SnapshotService::self_test(const SelfTestIn& in) {
  const auto report = work_.find_vm(in.affected_system, "AffectedSystem", Space::kV2).and_then([&] {
    return work_.selftest();
  });
  if (!report) return {answer_of(Family::kV2, report.error()), {}};
  return {answer_of(Family::kV2, Verdict::kCompleted), *report};
}

}  // namespace stasis::cimapi
