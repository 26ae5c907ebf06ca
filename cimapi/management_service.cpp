#include "cimapi/management_service.h"

namespace stasis::cimapi {
namespace {
constexpr const char* kSnapshotParameter = "SnapshotSettingData";
}  // namespace

CreateAnswer ManagementService::create_virtual_system_snapshot(
    const CreateVirtualSystemSnapshotIn& in) {
  const auto vm = work_.find_vm(in.source_system, "SourceSystem", Space::kV1);
  if (!vm) return create_answer_of(Family::kV1, tl::unexpected<Fault>(vm.error()));
  if (work_.state() == snapshot::PowerState::kPaused) {
    return create_answer_of(
        Family::kV1,
        refuse(Verdict::kInvalidState, "machine is paused: resume it, or use the V2 service"));
  }
  return create_answer_of(Family::kV1, work_.create({}));
}

Checked<Outcome> ManagementService::apply(const ApplyVirtualSystemSnapshotIn& in,
                                          SnapshotWork::Manner manner) {
  const auto vm = work_.find_vm(in.computer_system, "ComputerSystem", Space::kV1);
  if (!vm) return tl::unexpected<Fault>(vm.error());
  return work_.find_snapshot(in.snapshot_setting_data, kSnapshotParameter, Space::kV1)
      .and_then([&](const snapshot::SnapshotInfo& info) { return work_.apply(info, manner); });
}

Answer ManagementService::apply_virtual_system_snapshot(const ApplyVirtualSystemSnapshotIn& in) {
  return job_answer_of(Family::kV1, apply(in, SnapshotWork::Manner::kAtOnce));
}

JobAnswer ManagementService::apply_virtual_system_snapshot_ex(
    const ApplyVirtualSystemSnapshotIn& in) {
  return job_answer_of(Family::kV1, apply(in, SnapshotWork::Manner::kJob));
}

JobAnswer ManagementService::remove_virtual_system_snapshot(
    const RemoveVirtualSystemSnapshotIn& in) {
  return job_answer_of(
      Family::kV1,
      work_.find_snapshot(in.snapshot_setting_data, kSnapshotParameter, Space::kV1)
          .and_then([&](const snapshot::SnapshotInfo& info) { return work_.destroy(info); }));
}

JobAnswer ManagementService::remove_virtual_system_snapshot_tree(
    const RemoveVirtualSystemSnapshotIn& in) {
  return job_answer_of(
      Family::kV1,
      work_.find_snapshot(in.snapshot_setting_data, kSnapshotParameter, Space::kV1)
          .and_then([&](const snapshot::SnapshotInfo& info) { return work_.destroy_tree(info); }));
}

Answer ManagementService::not_supported() const {
  return answer_of(Family::kV1,
                   refuse(Verdict::kNotSupported, "the service does not do that").value());
}

}  // namespace stasis::cimapi
