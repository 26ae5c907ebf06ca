#include "snapshot/snapshot_store.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <set>

#include "base/log.h"
#include "snapshot/names.h"
#include "snapshot/ram_capture.h"
#include "snapshot/ram_image.h"
#include "snapshot/snapshot_files.h"
#include "snapshot/uuid.h"
#include "snapshot/verify_progress.h"

namespace stasis::snapshot {
namespace {

using base::ErrorKind;
using base::fail;

constexpr const char* kNewManifestFile = ".manifest.new";

std::string describe(const std::string& id) {
  return fmt::format("snapshot {}", id);
}

base::Result<Manifest> load_from(const base::Fd& folder, const std::string& id) {
  const auto file = TRY(open_snapshot_file(folder, kManifestFile));
  const auto in_file = [](const base::Error& error) {
    return fail(error.with_context(fmt::format("\"{}\"", kManifestFile)));
  };
  if (file.size_bytes > kMaxManifestBytes) {
    return fail(ErrorKind::kCorrupt,
                fmt::format("\"{}\": is {} bytes long; at most {}", kManifestFile, file.size_bytes,
                            kMaxManifestBytes));
  }
  std::string text(file.size_bytes, '\0');
  TRY(read_at(file.fd, kManifestFile, 0, std::as_writable_bytes(std::span(text))));
  auto manifest = decode_manifest(text);
  if (!manifest) return in_file(manifest.error());
  if (manifest->info.id == id) return manifest;
  return in_file({ErrorKind::kCorrupt, fmt::format("belongs to snapshot {}", manifest->info.id)});
}

const SnapshotInfo& info_in(const SnapshotInfo& info) {
  return info;
}
const SnapshotInfo& info_in(const Manifest& manifest) {
  return manifest.info;
}

/// What `load` makes of each id among the names of folders, oldest first.
template <typename List, typename Load>
List load_all(const std::vector<std::string>& names, const Load& load) {
  List list;
  for (const auto& name : names) {
    if (!is_uuid(name)) continue;
    auto one = load(name);
    if (one) {
      list.snapshots.push_back(std::move(*one));
    } else if (one.error().kind() != ErrorKind::kNotFound) {  // else it has just been removed
      list.broken.push_back({name, one.error()});
    }
  }
  std::sort(list.snapshots.begin(), list.snapshots.end(), [](const auto& left, const auto& right) {
    const SnapshotInfo& a = info_in(left);
    const SnapshotInfo& b = info_in(right);
    return std::tie(a.created_unix_us, a.id) < std::tie(b.created_unix_us, b.id);
  });
  return list;
}

/// A new manifest that a writer which was killed did not put in place.
void remove_new_manifest(const base::Fd& folder, const FileOps& ops) {
  struct stat status {};
  if (::fstatat(folder.get(), kNewManifestFile, &status, AT_SYMLINK_NOFOLLOW) == 0) {
    ops.remove(folder.get(), kNewManifestFile, 0);
  }
}

base::Status verify_file(const base::Fd& folder, const Manifest& manifest, const FileRecord& record,
                         VerifyProgress& progress) {
  const bool is_ram = record.name == kRawRamFile || record.name == kZstdRamFile;
  if (is_ram) {
    const auto image = TRY(RamImage::open(folder, manifest));
    TRY(image.verify(progress));
  }
  if (!record.digest.empty()) return verify_recorded_file(folder, record, progress);
  if (is_ram) return {};
  return fail(ErrorKind::kCorrupt, fmt::format("\"{}\": has no checksum", record.name));
}

}  // namespace

base::Result<SnapshotStore> SnapshotStore::open(const std::string& folder, const FileOps& ops) {
  if (ops.make_folder(AT_FDCWD, folder.c_str()) < 0 && errno != EEXIST) {
    return fail(base::errno_error(fmt::format("snapshots in \"{}\"", folder)));
  }
  auto fd = base::open_file(folder, O_RDONLY | O_DIRECTORY);
  if (!fd) return fail(fd.error().with_context("snapshots"));
  SnapshotStore store(folder, std::move(*fd), ops);
  TRY(store.remove_leftovers());
  return store;
}

base::Result<std::vector<std::string>> SnapshotStore::names() const {
  std::vector<std::string> names;
  std::error_code error;
  for (std::filesystem::directory_iterator entry(path_, error), end; !error && entry != end;
       entry.increment(error)) {
    names.push_back(entry->path().filename());
  }
  if (error) return fail(base::errno_error(error.value(), fmt::format("\"{}\"", path_)));
  return names;
}

base::Result<base::Fd> SnapshotStore::open_folder(const std::string& name) const {
  base::Fd folder(
      ::openat(folder_.get(), name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (folder.is_open()) return folder;
  if (errno == ENOENT)
    return fail(ErrorKind::kNotFound, "does not exist; see: stasis snapshot list");
  return fail(base::errno_error("opening its folder"));
}

base::Status SnapshotStore::remove_leftovers() const {
  for (const auto& name : TRY(names())) {
    if (name.starts_with(kNewPrefix) || name.starts_with(kGonePrefix)) {
      remove_if_abandoned(name);
    } else if (is_uuid(name)) {
      const auto folder = open_folder(name);
      if (folder) remove_new_manifest(*folder, *ops_);
    }
  }
  return {};
}

void SnapshotStore::remove_if_abandoned(const std::string& name) const {
  {
    const auto folder = open_folder(name);
    // Who writes it holds the lock, and loses it by dying.
    if (!folder || ::flock(folder->get(), LOCK_EX | LOCK_NB) < 0) return;
  }
  const auto removed = remove_folder(name);
  if (!removed) base::log::warn("snapshots in {}: {}", path_, removed.error().message());
}

base::Status SnapshotStore::remove_folder(const std::string& name) const {
  return remove_snapshot_folder(folder_.get(), name, *ops_);
}

base::Result<PendingSnapshot> SnapshotStore::begin(const std::string& id) const {
  if (!is_uuid(id)) {
    return fail(ErrorKind::kInvalidArgument, fmt::format("\"{}\" is not an identifier", id));
  }
  const std::string name = kNewPrefix + id;
  struct stat status {};
  const bool is_used = ::fstatat(folder_.get(), id.c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0;
  if (is_used || ops_->make_folder(folder_.get(), name.c_str()) < 0) {
    return fail(base::errno_error(is_used ? EEXIST : errno, describe(id)));
  }
  auto folder = open_folder(name);
  if (!folder) return fail(folder.error().with_context(describe(id)));
  if (::flock(folder->get(), LOCK_EX | LOCK_NB) < 0) {
    return fail(base::errno_error(fmt::format("{}: locking it", describe(id))));
  }
  return PendingSnapshot(id, folder_.get(), std::move(*folder), *ops_);
}

base::Result<SnapshotList> SnapshotStore::list() const {
  return load_all<SnapshotList>(TRY(names()), [this](const std::string& id) { return load(id); });
}

std::optional<FileIdentity> SnapshotStore::identity_of(const std::string& id) const {
  struct stat status {};
  const std::string path = fmt::format("{}/{}", id, kManifestFile);
  if (::fstatat(folder_.get(), path.c_str(), &status, AT_SYMLINK_NOFOLLOW) < 0) return std::nullopt;
  return FileIdentity(status);
}

base::Result<SnapshotInfo> SnapshotStore::info_of(const std::string& id) const {
  const auto identity = identity_of(id);
  auto known = identity ? known_->find(id, *identity) : std::nullopt;
  if (known) return std::move(*known);
  auto manifest = TRY(load(id));
  // Unless it was replaced meanwhile.
  if (identity && identity_of(id) == identity) known_->keep(id, *identity, manifest.info);
  return std::move(manifest.info);
}

void SnapshotStore::remember(const SnapshotInfo& info) const {
  if (const auto identity = identity_of(info.id)) known_->keep(info.id, *identity, info);
}

base::Result<SnapshotInfoList> SnapshotStore::infos() const {
  auto list = load_all<SnapshotInfoList>(TRY(names()),
                                         [this](const std::string& id) { return info_of(id); });
  std::set<std::string_view> ids;
  for (const SnapshotInfo& info : list.snapshots) ids.insert(info.id);
  known_->keep_only([&](const std::string& id) { return ids.contains(id); });
  return list;
}

base::Result<OpenSnapshot> SnapshotStore::open_snapshot(const std::string& id) const {
  if (!is_uuid(id)) {
    return fail(ErrorKind::kNotFound, fmt::format("snapshot \"{}\": is not an identifier", id));
  }
  auto folder = open_folder(id);
  if (!folder) return fail(folder.error().with_context(describe(id)));
  auto manifest = load_from(*folder, id);
  if (!manifest) return fail(manifest.error().with_context(describe(id)));
  return OpenSnapshot{std::move(*manifest), std::move(*folder)};
}

base::Result<Manifest> SnapshotStore::load(const std::string& id) const {
  auto snapshot = TRY(open_snapshot(id));
  return std::move(snapshot.manifest);
}

base::Status SnapshotStore::rewrite(const Manifest& manifest) const {
  const std::string& id = manifest.info.id;
  const auto write = [&]() -> base::Status {
    const auto folder = TRY(open_folder(id));
    remove_new_manifest(folder, *ops_);
    const std::string text = TRY(encode_manifest(manifest));
    TRY(write_durable_file(folder, kNewManifestFile, std::as_bytes(std::span(text)), *ops_));
    if (ops_->rename(folder.get(), kNewManifestFile, kManifestFile) < 0 ||
        ops_->sync(folder.get()) < 0) {
      return fail(base::errno_error(fmt::format("replacing \"{}\"", kManifestFile)));
    }
    return {};
  };
  known_->forget(id);
  const auto written = write();
  return written ? written : fail(written.error().with_context(describe(id)));
}

base::Status SnapshotStore::reparent_children(const std::string& id,
                                              const std::string& parent) const {
  for (const auto& info : TRY(infos()).snapshots) {
    if (info.parent != id) continue;
    auto manifest = TRY(load(info.id));
    manifest.info.parent = parent;
    TRY(rewrite(manifest));
  }
  return {};
}

base::Status SnapshotStore::remove(const std::string& id) const {
  const auto manifest = load(id);
  if (!manifest && manifest.error().kind() == ErrorKind::kNotFound && !open_folder(id)) {
    return fail(manifest.error());
  }
  TRY(reparent_children(id, manifest ? manifest->info.parent : ""));
  const std::string gone = kGonePrefix + id;
  if (ops_->rename(folder_.get(), id.c_str(), gone.c_str()) < 0) {
    return fail(base::errno_error(fmt::format("{}: removing it", describe(id))));
  }
  if (ops_->sync(folder_.get()) < 0) {
    const int error = errno;
    ops_->rename(folder_.get(), gone.c_str(), id.c_str());  // it may come back by itself otherwise
    return fail(base::errno_error(error, fmt::format("{}: removing it", describe(id))));
  }
  const auto removed = remove_folder(gone);
  if (!removed) base::log::warn("{}: {}", describe(id), removed.error().message());
  return {};
}

base::Status SnapshotStore::rename(const std::string& id, const std::string& name,
                                   const std::string& notes) const {
  TRY(check_snapshot_name(name));
  auto manifest = TRY(load(id));
  manifest.info.name = name;
  manifest.info.notes = notes;
  return rewrite(manifest);
}

base::Status SnapshotStore::verify(const std::string& id, WorkObserver* observer) const {
  const auto snapshot = TRY(open_snapshot(id));
  std::uint64_t total = 0;
  for (const FileRecord& file : snapshot.manifest.files) {
    const bool is_read_twice = file.name == kZstdRamFile;  // decoded, then as a whole
    total += is_read_twice ? 2 * file.size_bytes : file.size_bytes;
  }
  VerifyProgress progress(observer, total);
  for (const FileRecord& file : snapshot.manifest.files) {
    const auto verified = verify_file(snapshot.folder, snapshot.manifest, file, progress);
    if (!verified) return fail(verified.error().with_context(describe(id)));
  }
  return {};
}

}  // namespace stasis::snapshot
