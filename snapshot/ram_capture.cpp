#include "snapshot/ram_capture.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <cerrno>
#include <thread>

#include "snapshot/capture_support.h"
#include "snapshot/fork_capture.h"
#include "snapshot/fork_policy.h"
#include "snapshot/stop_and_copy_capture.h"

namespace stasis::snapshot {
namespace {

using base::ErrorKind;
using base::fail;

constexpr int kMinLevel = 1;
constexpr int kMaxLevel = 19;  // above, zstd's memory for decoding grows beyond its default limit

base::Result<base::Fd> create_in(const base::Fd& folder, const char* name, const FileOps& ops) {
  base::Fd file(ops.create(folder.get(), name));
  if (!file.is_open()) return fail(base::errno_error(fmt::format("\"{}\"", name)));
  return file;
}

base::Result<FileRecord> record(const base::Fd& file, std::string name, std::string digest) {
  struct stat status {};
  if (::fstat(file.get(), &status) < 0) return fail(base::errno_error(name));
  return FileRecord{std::move(name), static_cast<std::uint64_t>(status.st_size), mtime_ns(status),
                    std::move(digest)};
}

base::Error no_space(const RamWriteBoard& board, const RamFiles& files) {
  const std::string found =
      board.step == RamWriteStep::kSpace
          ? fmt::format("{} MiB to store, {} MiB free", (board.total_bytes >> 20) + 1,
                        board.free_bytes >> 20)
          : fmt::format("the disk or quota is full while \"{}\" is written", files.data_name());
  return {ErrorKind::kOutOfResources, fmt::format("guest memory: {}; free some space{}", found,
                                                  files.level ? "" : ", or store it compressed")};
}

}  // namespace

base::Result<RamFiles> RamFiles::create(const base::Fd& folder, std::optional<int> level,
                                        const FileOps& ops) {
  if (level && (*level < kMinLevel || *level > kMaxLevel)) {
    return fail(ErrorKind::kInvalidArgument,
                fmt::format("compression level {}: use {} to {}", *level, kMinLevel, kMaxLevel));
  }
  RamFiles files{.ops = ops, .level = level, .data = {}, .index = {}};
  files.data = TRY(create_in(folder, files.data_name(), ops));
  files.index = TRY(create_in(folder, kRamIndexFile, ops));
  return files;
}

RamTarget RamFiles::target() const {
  RamTarget target;
  target.ops = &ops;
  target.data_file = data.get();
  target.index_file = index.get();
  target.level = level;
  target.workers = std::max(std::thread::hardware_concurrency(), 1U);
  return target;
}

base::Result<RamCaptureResult> RamFiles::result(const RamWriteBoard& board) const {
  RamCaptureResult result;
  result.captured_bytes = board.total_bytes;
  result.stored_bytes = board.data_bytes + board.index_bytes;
  const std::string data_digest = level ? to_hex(board.data_digest) : "";
  result.files.push_back(TRY(record(data, data_name(), data_digest)));
  result.files.push_back(TRY(record(index, kRamIndexFile, to_hex(board.index_digest))));
  return result;
}

base::Error RamFiles::failure(const RamWriteBoard& board) const {
  if (board.error == ECANCELED) {
    return {ErrorKind::kCancelled, "storing the guest's memory was cancelled"};
  }
  if (board.error == ENOSPC || board.error == EDQUOT) return no_space(board, *this);
  switch (board.step) {
    case RamWriteStep::kScan:
      if (board.error == EOPNOTSUPP) {
        return {ErrorKind::kUnsupported,
                "guest memory is shared with other mappings, which a fork does not freeze; use the "
                "engine stop-and-copy"};
      }
      return base::errno_error(board.error, "guest memory: looking for what to store");
    case RamWriteStep::kCompress:
      return base::errno_error(board.error, "guest memory: compressing");
    case RamWriteStep::kIndex:
      return base::errno_error(board.error, fmt::format("writing \"{}\"", kRamIndexFile));
    case RamWriteStep::kSync:
      return base::errno_error(board.error, fmt::format("making \"{}\" durable", data_name()));
    default:
      return base::errno_error(board.error, fmt::format("writing \"{}\"", data_name()));
  }
}

base::Result<std::unique_ptr<RamCapture>> prepare_ram_capture(const base::Fd& folder,
                                                              std::uint64_t ram_bytes,
                                                              const RamCaptureOptions& options,
                                                              const FileOps& ops) {
  Engine engine = options.engine;
  if (engine != Engine::kStopAndCopy) {
    const auto refusal = why_fork_would_fail(ram_bytes);
    if (refusal && engine == Engine::kFork) return fail(ErrorKind::kOutOfResources, *refusal);
    engine = refusal ? Engine::kStopAndCopy : Engine::kFork;
  }
  auto files = TRY(RamFiles::create(folder, options.compression_level, ops));
  if (engine == Engine::kStopAndCopy) {
    return std::make_unique<StopAndCopyCapture>(std::move(files));
  }
  return std::unique_ptr<RamCapture>(TRY(ForkCapture::create(std::move(files), options.vcpus)));
}

}  // namespace stasis::snapshot
