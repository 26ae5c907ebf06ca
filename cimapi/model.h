#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "cimapi/jobs.h"
#include "cimapi/names.h"
#include "cimapi/value.h"
#include "snapshot/vm_control.h"

namespace stasis::cimapi {

/// Everything that instances are made of, taken at one moment.
struct ModelView {
  Space space = Space::kV2;
  snapshot::VmInfo vm;
  std::vector<snapshot::SnapshotInfo> snapshots;  ///< for providers that read them
  std::vector<JobInfo> jobs;
};

/// Makes the instances of one class out of a view. Paths have no namespace.
struct Provider {
  const char* class_name;
  std::vector<Instance> (*make)(const ModelView& view);
  bool reads_snapshots = false;  ///< there may be hundreds
};

/// The classes of a space that have instances.
std::vector<Provider> object_providers(Space space);
std::vector<Provider> association_providers(Space space);

}  // namespace stasis::cimapi
