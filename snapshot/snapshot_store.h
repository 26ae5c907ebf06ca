#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/fd.h"
#include "base/result.h"
#include "snapshot/file_ops.h"
#include "snapshot/known_files.h"
#include "snapshot/manifest.h"
#include "snapshot/pending_snapshot.h"

namespace stasis::snapshot {

/// A snapshot that is there and cannot be used, with the reason.
struct BrokenSnapshot {
  std::string id;
  base::Error error;
};

struct SnapshotList {
  std::vector<Manifest> snapshots;  ///< oldest first
  std::vector<BrokenSnapshot> broken;
};

/// As above, without what only its use needs.
struct SnapshotInfoList {
  std::vector<SnapshotInfo> snapshots;  ///< oldest first
  std::vector<BrokenSnapshot> broken;
};

/// A snapshot opened for use.
struct OpenSnapshot {
  Manifest manifest;
  base::Fd folder;
};

/// The snapshots of one machine: a folder with one folder each, `ID/`, complete and durable. What
/// is being written or removed has a hidden name, `.new-ID` or `.gone-ID`.
///
/// Threads: any may read; changes one at a time (the machine's work lock). Processes: one, which
/// holds the machine's lock; others may read.
class SnapshotStore {
 public:
  /// Makes the folder when it is not there (its parent must be), and removes what writers that are
  /// gone left behind. `ops` must outlive the store. Errors name the folder.
  static base::Result<SnapshotStore> open(const std::string& folder,
                                          const FileOps& ops = host_file_ops());

  /// Begins a snapshot of that id (`make_uuid`); visible once it is committed.
  base::Result<PendingSnapshot> begin(const std::string& id) const;

  base::Result<SnapshotList> list() const;

  /// Reads only those manifests that it did not read before: for lists that are asked for often.
  base::Result<SnapshotInfoList> infos() const;

  /// kNotFound, kCorrupt, kUnsupported; the message names snapshot and file.
  base::Result<Manifest> load(const std::string& id) const;

  /// As above, with the folder to read the files by.
  base::Result<OpenSnapshot> open_snapshot(const std::string& id) const;

  /// Spares `infos` the reading of what was just committed; `info` is as the manifest has it.
  void remember(const SnapshotInfo& info) const;

  /// Its children become children of its parent; then it goes. kNotFound, kIo. After an error it is
  /// still there, whole. A broken snapshot can be removed, too: its children become roots.
  base::Status remove(const std::string& id) const;

  /// Replaces name and notes, in one step.
  base::Status rename(const std::string& id, const std::string& name,
                      const std::string& notes) const;

  /// Checks every byte of every file; the message names snapshot, file and place. kCancelled.
  /// `observer` may be null.
  base::Status verify(const std::string& id, WorkObserver* observer) const;

 private:
  SnapshotStore(std::string path, base::Fd folder, const FileOps& ops)
      : path_(std::move(path)),
        folder_(std::move(folder)),
        ops_(&ops),
        known_(std::make_unique<KnownFiles<SnapshotInfo>>()) {}

  base::Result<std::vector<std::string>> names() const;
  std::optional<FileIdentity> identity_of(const std::string& id) const;
  base::Result<SnapshotInfo> info_of(const std::string& id) const;
  base::Status remove_leftovers() const;
  void remove_if_abandoned(const std::string& name) const;
  base::Status remove_folder(const std::string& name) const;
  base::Status reparent_children(const std::string& id, const std::string& parent) const;
  base::Status rewrite(const Manifest& manifest) const;
  base::Result<base::Fd> open_folder(const std::string& name) const;

  std::string path_;
  base::Fd folder_;
  const FileOps* ops_;
  std::unique_ptr<KnownFiles<SnapshotInfo>> known_;  // by id
};

}  // namespace stasis::snapshot
