#include "snapshot/known_infos.h"

#include <set>

namespace stasis::snapshot {

KnownInfos::Identity::Identity(const struct stat& status)
    : device(status.st_dev),
      inode(status.st_ino),
      size_bytes(static_cast<std::uint64_t>(status.st_size)),
      changed_s(status.st_ctim.tv_sec),
      changed_ns(status.st_ctim.tv_nsec) {}

std::optional<SnapshotInfo> KnownInfos::find(const std::string& id,
                                             const Identity& identity) const {
  return known_.with([&](const auto& known) -> std::optional<SnapshotInfo> {
    const auto found = known.find(id);
    if (found == known.end() || found->second.identity != identity) return std::nullopt;
    return found->second.info;
  });
}

void KnownInfos::keep(const Identity& identity, const SnapshotInfo& info) {
  known_.with([&](auto& known) { known.insert_or_assign(info.id, Known{identity, info}); });
}

void KnownInfos::forget(const std::string& id) {
  known_.with([&](auto& known) { known.erase(id); });
}

void KnownInfos::keep_only(const std::vector<SnapshotInfo>& infos) {
  std::set<std::string_view> ids;
  for (const SnapshotInfo& info : infos) ids.insert(info.id);
  known_.with([&](auto& known) {
    std::erase_if(known, [&](const auto& entry) { return !ids.contains(entry.first); });
  });
}

}  // namespace stasis::snapshot
