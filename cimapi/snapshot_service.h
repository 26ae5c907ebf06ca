#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "cimapi/answer.h"

namespace stasis::cimapi {

/// CIM_VirtualSystemSnapshotService.CreateSnapshot and its namesake of Msvm_. What is absent was
/// not sent or NULL.
struct CreateSnapshotIn {
  Ref affected_system;
  std::optional<std::string> snapshot_settings;
  std::optional<std::uint16_t> snapshot_type;  ///< 2 full, 3 disk
};

struct ApplySnapshotIn {
  Ref snapshot;
};

struct DestroySnapshotIn {
  Ref affected_snapshot;
};

/// DestroySnapshotTree and ClearSnapshotState.
struct SnapshotTreeIn {
  Ref snapshot_setting_data;
};

struct ConvertToReferencePointIn {
  Ref affected_snapshot;
};

struct ApplySnapshotInPlaceIn {
  Ref snapshot;
  std::optional<std::uint16_t> clock_policy;  ///< 0 catch up (default), 1 freeze
  std::optional<bool> new_generation;         ///< default: true
};

struct VerifySnapshotIn {
  Ref snapshot;
};

struct RenameSnapshotIn {
  Ref snapshot;
  std::optional<std::string> new_name;  ///< absent: as it is
  std::optional<std::string> notes;     ///< absent: as they are
};

struct SelfTestIn {
  Ref affected_system;
};
struct SelfTestAnswer : Answer {
  std::string report{};
};

/// The V2 snapshot service: CIM_VirtualSystemSnapshotService (create, apply, destroy),
/// Msvm_VirtualSystemSnapshotService (all with Microsoft's pages) and our additions of
/// Stasis_VirtualSystemSnapshotService. Return values are of the V2 family but where said; every
/// code and its condition: docs/cim.md.
/// Threads: any, all at once.
class SnapshotService {
 public:
  explicit SnapshotService(SnapshotWork& work) : work_(work) {}

  CreateAnswer create_snapshot(const CreateSnapshotIn& in);
  /// Always a job.
  JobAnswer apply_snapshot(const ApplySnapshotIn& in);
  JobAnswer destroy_snapshot(const DestroySnapshotIn& in);

  /// V1 family.
  JobAnswer destroy_snapshot_tree(const SnapshotTreeIn& in);
  /// V1 family; not supported (32770).
  JobAnswer clear_snapshot_state(const SnapshotTreeIn& in);
  /// Not supported (1).
  JobAnswer convert_to_reference_point(const ConvertToReferencePointIn& in);
  /// RequestStateChange, StartService and StopService: not supported (1), as documented.
  Answer change_service() const;

  /// Of a machine in any state; a running one goes on from the snapshot.
  JobAnswer apply_snapshot_in_place(const ApplySnapshotInPlaceIn& in);
  JobAnswer verify_snapshot(const VerifySnapshotIn& in);
  Answer rename_snapshot(const RenameSnapshotIn& in);
  SelfTestAnswer self_test(const SelfTestIn& in);

 private:
  Checked<Outcome> create(const CreateSnapshotIn& in);
  Checked<Outcome> apply_in_place(const ApplySnapshotInPlaceIn& in);
  Checked<Outcome> rename(const RenameSnapshotIn& in);

  SnapshotWork& work_;
};

}  // namespace stasis::cimapi
