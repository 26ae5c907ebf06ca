#pragma once

#include <sys/stat.h>

#include <cstdint>
#include <ctime>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/guarded.h"
#include "snapshot/vm_control.h"

namespace stasis::snapshot {

/// What was read from manifests before, so that a list of many snapshots costs a look at each file
/// and no reading. Manifests are replaced by a rename, never changed in place, so a file with the
/// same number and times is the same manifest.
/// Threads: any.
class KnownInfos {
 public:
  /// Which file it is, and of when.
  struct Identity {
    explicit Identity(const struct stat& status);
    bool operator==(const Identity&) const = default;

    std::uint64_t device, inode, size_bytes;
    std::int64_t changed_s, changed_ns;
  };

  /// Nothing unless `identity` is what it was read from.
  std::optional<SnapshotInfo> find(const std::string& id, const Identity& identity) const;
  void keep(const Identity& identity, const SnapshotInfo& info);
  void forget(const std::string& id);
  /// Forgets all but those.
  void keep_only(const std::vector<SnapshotInfo>& infos);

 private:
  struct Known {
    Identity identity;
    SnapshotInfo info;
  };
  base::Guarded<std::map<std::string, Known>> known_;
};

}  // namespace stasis::snapshot
