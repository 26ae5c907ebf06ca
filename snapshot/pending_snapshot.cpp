#include "snapshot/pending_snapshot.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include <cerrno>
#include <filesystem>
#include <utility>
#include <vector>

#include "base/log.h"
#include "snapshot/capture_support.h"
#include "snapshot/digest.h"
#include "snapshot/snapshot_files.h"
#include "snapshot/snapshot_store.h"

namespace stasis::snapshot {
namespace {

tl::unexpected<base::Error> io_error(int number, std::string_view doing, const std::string& name) {
  return base::fail(base::errno_error(number, fmt::format("{} \"{}\"", doing, name)));
}

base::Result<base::Fd> create_file(const base::Fd& folder, const std::string& name,
                                   std::span<const std::byte> bytes, const FileOps& ops) {
  base::Fd file(ops.create(folder.get(), name.c_str()));
  if (!file.is_open()) return io_error(errno, "creating", name);
  const int error = write_fully(ops, file.get(), bytes.data(), bytes.size(), 0);
  if (error != 0) return io_error(error, "writing", name);
  return file;
}

base::Result<std::vector<std::string>> files_in(int folder) {
  std::vector<std::string> names;
  std::error_code error;
  // By descriptor: a path could mean another folder by now.
  for (std::filesystem::directory_iterator entry(fmt::format("/proc/self/fd/{}", folder), error),
       end;
       !error && entry != end; entry.increment(error)) {
    names.push_back(entry->path().filename());
  }
  if (error) return base::fail(base::errno_error(error.value(), "reading a snapshot's folder"));
  return names;
}

}  // namespace

base::Status write_durable_file(const base::Fd& folder, const std::string& name,
                                std::span<const std::byte> bytes, const FileOps& ops) {
  const auto file = TRY(create_file(folder, name, bytes, ops));
  if (ops.sync(file.get()) < 0) return io_error(errno, "making durable", name);
  return {};
}

base::Status remove_snapshot_folder(int store, const std::string& name, const FileOps& ops) {
  {
    const base::Fd folder(
        ::openat(store, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (!folder.is_open()) return io_error(errno, "removing", name);
    for (const auto& file : TRY(files_in(folder.get()))) {
      if (ops.remove(folder.get(), file.c_str(), 0) < 0) return io_error(errno, "removing", file);
    }
  }
  if (ops.remove(store, name.c_str(), AT_REMOVEDIR) < 0) return io_error(errno, "removing", name);
  return {};
}

PendingSnapshot::PendingSnapshot(PendingSnapshot&& other) noexcept
    : id_(std::move(other.id_)),
      store_(other.store_),
      folder_(std::move(other.folder_)),
      ops_(other.ops_),
      is_committed_(std::exchange(other.is_committed_, true)) {}

PendingSnapshot::~PendingSnapshot() {
  if (is_committed_) return;
  const auto removed = remove_snapshot_folder(store_, hidden_name(), *ops_);
  // What stays is hidden, and goes when the store is opened the next time.
  if (!removed) base::log::warn("snapshot {}: {}", id_, removed.error().message());
}

std::string PendingSnapshot::hidden_name() const {
  return kNewPrefix + id_;
}

base::Result<FileRecord> PendingSnapshot::write_file(const std::string& name,
                                                     std::span<const std::uint8_t> bytes) const {
  const auto contents = std::as_bytes(bytes);
  const auto file = TRY(create_file(folder_, name, contents, *ops_));
  struct stat status {};
  if (::fstat(file.get(), &status) < 0) return io_error(errno, "looking at", name);
  return FileRecord{name, contents.size(), mtime_ns(status), to_hex(digest_of(contents))};
}

base::Status PendingSnapshot::commit(const Manifest& manifest) {
  TRY(make_durable(manifest));
  TRY(publish());
  is_committed_ = true;
  return {};
}

base::Status PendingSnapshot::make_durable(const Manifest& manifest) const {
  for (const FileRecord& record : manifest.files) {
    const auto file = TRY(open_recorded_file(folder_, record));
    if (ops_->sync(file.fd.get()) < 0) return io_error(errno, "making durable", record.name);
  }
  const std::string text = TRY(encode_manifest(manifest));
  TRY(write_durable_file(folder_, kManifestFile, std::as_bytes(std::span(text)), *ops_));
  if (ops_->sync(folder_.get()) < 0) return io_error(errno, "making durable", hidden_name());
  return {};
}

base::Status PendingSnapshot::publish() const {
  if (ops_->rename(store_, hidden_name().c_str(), id_.c_str()) < 0) {
    return io_error(errno, "publishing", id_);
  }
  if (ops_->sync(store_) == 0) return {};
  const int error = errno;
  // Seen, yet perhaps not there after a power cut: that is neither a snapshot nor none.
  if (ops_->rename(store_, id_.c_str(), hidden_name().c_str()) < 0) {
    base::log::warn("snapshot {}: not durable, and cannot be taken back", id_);
  }
  return io_error(error, "publishing", id_);
}

}  // namespace stasis::snapshot
