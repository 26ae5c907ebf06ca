#include "snapshot/ram_writer.h"

#include <fcntl.h>

#include <algorithm>
#include <cerrno>

#include "snapshot/ram_compressor.h"

namespace stasis::snapshot {
namespace {

constexpr std::size_t kPieceBytes = std::size_t{4}
                                    << 20;  // a write, and between looks at the watch

}  // namespace

bool RamWriter::failed(RamWriteStep step, int error) {
  board_.step = step;
  board_.error = error;
  return false;
}

bool RamWriter::write() {
  board_.step = RamWriteStep::kScan;
  if (const int error = contents_.find_runs(); error != 0) {
    return failed(RamWriteStep::kScan, error);
  }
  board_.total_bytes = contents_.stored_bytes();
  return check_space() && (target_.level ? write_compressed() : write_raw()) && write_index();
}

bool RamWriter::check_space() {
  // How small compression makes it is not known before: there the write itself tells.
  board_.free_bytes = target_.ops->free_bytes(target_.data_file);
  if (target_.level || board_.free_bytes >= contents_.stored_bytes()) return true;
  return failed(RamWriteStep::kSpace, ENOSPC);
}

bool RamWriter::write_raw() {
  if (target_.ops->resize(target_.data_file, contents_.ram_bytes()) < 0) {
    return failed(RamWriteStep::kData, errno);
  }
  for (const RamRun& run : contents_.runs()) {
    if (!write_run(run.first_page * kPageBytes, contents_.bytes_of(run))) return false;
  }
  board_.data_bytes = contents_.stored_bytes();
  return true;
}

bool RamWriter::write_run(std::uint64_t position, std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    if (!watch_.goes_on()) return failed(RamWriteStep::kData, ECANCELED);
    const auto piece = bytes.first(std::min(bytes.size(), kPieceBytes));
    if (!blocks_.add(position, piece)) return failed(RamWriteStep::kData, ENOMEM);
    const int error =
        write_fully(*target_.ops, target_.data_file, piece.data(), piece.size(), position);
    if (error != 0) return failed(RamWriteStep::kData, error);
    if (target_.starts_writeback) {
      // A wish: without it the sync at the end takes longer.
      ::sync_file_range(target_.data_file, static_cast<off_t>(position),
                        static_cast<off_t>(piece.size()), SYNC_FILE_RANGE_WRITE);
    }
    board_.done_bytes += piece.size();
    position += piece.size();
    bytes = bytes.subspan(piece.size());
  }
  return true;
}

bool RamWriter::write_compressed() {
  RamCompressor compressor(contents_, target_, watch_, board_);
  const int error = compressor.write(blocks_);
  return error == 0 || failed(compressor.step(), error);
}

bool RamWriter::write_index() {
  if (!blocks_.finish()) return failed(RamWriteStep::kIndex, ENOMEM);
  const auto layout = target_.level ? RamLayout::kZstd : RamLayout::kIdentity;
  const RamIndexHeader header{kRamIndexMagic,
                              kRamIndexVersion,
                              static_cast<std::uint32_t>(layout),
                              contents_.ram_bytes(),
                              kPageBytes,
                              kBlockBytes,
                              contents_.runs().size(),
                              blocks_.digests().size(),
                              contents_.stored_bytes() / kPageBytes,
                              0};
  Hasher hasher;
  std::uint64_t offset = 0;
  for (const auto part : {std::as_bytes(std::span(&header, 1)), std::as_bytes(contents_.runs()),
                          std::as_bytes(blocks_.digests())}) {
    hasher.add(part);
    const int error =
        write_fully(*target_.ops, target_.index_file, part.data(), part.size(), offset);
    if (error != 0) return failed(RamWriteStep::kIndex, error);
    offset += part.size();
  }
  board_.index_bytes = offset;
  board_.index_digest = hasher.digest();
  return true;
}

bool sync_ram_files(const RamTarget& target, RamWriteBoard& board) {
  board.step = RamWriteStep::kSync;
  for (const int file : {target.data_file, target.index_file}) {
    if (target.ops->sync(file) == 0) continue;
    board.error = errno;
    return false;
  }
  board.step = RamWriteStep::kDone;
  return true;
}

}  // namespace stasis::snapshot
