#pragma once

#include <span>
#include <string>

#include "base/fd.h"
#include "base/result.h"
#include "snapshot/file_ops.h"
#include "snapshot/manifest.h"

namespace stasis::snapshot {

inline constexpr const char* kNewPrefix = ".new-";    ///< of folders being written
inline constexpr const char* kGonePrefix = ".gone-";  ///< of folders being removed

/// A snapshot that is being written under a hidden name. Dropped without `commit`, nothing of it
/// remains; when the process dies, the next one that opens the store removes it.
class PendingSnapshot {
 public:
  PendingSnapshot(PendingSnapshot&& other) noexcept;
  PendingSnapshot& operator=(PendingSnapshot&&) = delete;
  ~PendingSnapshot();

  const std::string& id() const { return id_; }
  /// The hidden folder, to create files in (`prepare_ram_capture`).
  const base::Fd& folder() const { return folder_; }

  /// Writes a whole file; its record is for the manifest. Durable by `commit`.
  base::Result<FileRecord> write_file(const std::string& name,
                                      std::span<const std::uint8_t> bytes) const;

  /// Makes every file of `manifest.files` durable, writes the manifest last, and gives the folder
  /// its visible name: the snapshot is there if and only if this succeeds. After an error nothing
  /// of it is.
  base::Status commit(const Manifest& manifest);

 private:
  friend class SnapshotStore;
  PendingSnapshot(std::string id, int store, base::Fd folder, const FileOps& ops)
      : id_(std::move(id)), store_(store), folder_(std::move(folder)), ops_(&ops) {}

  std::string hidden_name() const;
  base::Status make_durable(const Manifest& manifest) const;
  base::Status publish() const;

  std::string id_;
  int store_;  // the store's folder; the store outlives this
  base::Fd folder_;
  const FileOps* ops_;
  bool is_committed_ = false;
};

/// Creates `name` in `folder` with these contents and makes it durable.
base::Status write_durable_file(const base::Fd& folder, const std::string& name,
                                std::span<const std::byte> bytes, const FileOps& ops);

/// Removes a folder of the store and the files in it. Errors name what could not be removed.
base::Status remove_snapshot_folder(int store, const std::string& name, const FileOps& ops);

}  // namespace stasis::snapshot
