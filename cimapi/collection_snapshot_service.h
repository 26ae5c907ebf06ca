#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "cimapi/answer.h"

namespace stasis::cimapi {

struct CreateCollectionSnapshotIn {
  Ref collection;
  std::optional<std::string> snapshot_settings;
  std::optional<std::uint16_t> snapshot_type;  ///< 1 standard, 2 recovery
};

/// Msvm_CollectionSnapshotService: snapshots of several machines at one instant. There are no
/// collections yet: parameters are checked, and what is left is "not supported" (1). V2 family.
/// Threads: any, all at once.
class CollectionSnapshotService {
 public:
  JobAnswer create_snapshot(const CreateCollectionSnapshotIn& in) const;
  /// ApplySnapshot and DestroySnapshot of a collection's snapshot.
  JobAnswer use_snapshot(const Ref& snapshot_collection, const char* parameter) const;
};

}  // namespace stasis::cimapi
