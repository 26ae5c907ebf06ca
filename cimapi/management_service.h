#pragma once

#include "cimapi/answer.h"

namespace stasis::cimapi {

struct CreateVirtualSystemSnapshotIn {
  Ref source_system;
};
/// ApplyVirtualSystemSnapshot and ...Ex.
struct ApplyVirtualSystemSnapshotIn {
  Ref computer_system;
  Ref snapshot_setting_data;
};
/// RemoveVirtualSystemSnapshot and ...Tree.
struct RemoveVirtualSystemSnapshotIn {
  Ref snapshot_setting_data;
};

/// The snapshot methods of V1's CIM_/Msvm_VirtualSystemManagementService. Return values are of the
/// V1 family: 0, 4096, 32768..32778; every code and its condition: docs/cim.md.
/// Threads: any, all at once.
class ManagementService {
 public:
  explicit ManagementService(SnapshotWork& work) : work_(work) {}

  /// Memory, devices and disks; a paused machine is refused (32775), as documented.
  CreateAnswer create_virtual_system_snapshot(const CreateVirtualSystemSnapshotIn& in);
  /// At once: the method has no Job parameter.
  Answer apply_virtual_system_snapshot(const ApplyVirtualSystemSnapshotIn& in);
  /// As a job.
  JobAnswer apply_virtual_system_snapshot_ex(const ApplyVirtualSystemSnapshotIn& in);
  JobAnswer remove_virtual_system_snapshot(const RemoveVirtualSystemSnapshotIn& in);
  JobAnswer remove_virtual_system_snapshot_tree(const RemoveVirtualSystemSnapshotIn& in);
  /// The methods that V1 lists and never supports: 32770.
  Answer not_supported() const;

 private:
  Checked<Outcome> apply(const ApplyVirtualSystemSnapshotIn& in, SnapshotWork::Manner manner);

  SnapshotWork& work_;
};

}  // namespace stasis::cimapi
