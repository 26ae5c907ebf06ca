#include "snapshot/ram_compressor.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "snapshot/compressor_crew.h"

namespace stasis::snapshot {

int RamCompressor::write(BlockDigests& blocks) {
  {
    CompressorCrew crew(contents_, target_);
    if (const int error = crew.start(); error != 0) return error;
    if (const int error = write_batches(blocks, crew); error != 0) return error;
  }
  step_ = RamWriteStep::kData;
  if (const int error = write_table(); error != 0) return error;
  board_.data_bytes = offset_;
  board_.data_digest = hasher_.digest();
  return 0;
}

int RamCompressor::write_batches(BlockDigests& blocks, CompressorCrew& crew) {
  for (std::uint64_t batch = 0; batch < crew.batch_count(); ++batch) {
    if (!watch_.goes_on()) return ECANCELED;
    const std::uint64_t start = batch * kBatchBytes;
    const std::uint64_t size = std::min(kBatchBytes, contents_.stored_bytes() - start);
    bool has_memory = true;
    // While the workers compress it.
    contents_.for_each_packed(start, size, [&](std::uint64_t position, auto bytes) {
      has_memory = has_memory && blocks.add(position, bytes);
    });
    if (!has_memory) return ENOMEM;
    step_ = RamWriteStep::kCompress;
    int error = 0;
    CompressorSlot* slot = crew.wait_for(batch, watch_, error);
    if (slot == nullptr) return error;
    step_ = RamWriteStep::kData;
    if (error = write_slot(*slot); error != 0) return error;
    CompressorCrew::release(*slot);
    board_.done_bytes += size;
  }
  return 0;
}

int RamCompressor::write_slot(const CompressorSlot& slot) {
  for (std::uint32_t i = 0; i < slot.frame_count; ++i) {
    if (!frames_.push(slot.frames[i])) return ENOMEM;
  }
  return append(std::as_bytes(std::span(slot.bytes)).first(slot.size));
}

int RamCompressor::append(std::span<const std::byte> bytes) {
  hasher_.add(bytes);
  const int error =
      write_fully(*target_.ops, target_.data_file, bytes.data(), bytes.size(), offset_);
  offset_ += bytes.size();
  return error;
}

int RamCompressor::write_table() {
  const auto frames = static_cast<std::uint32_t>(frames_.size());
  const auto length =
      static_cast<std::uint32_t>(seek_table_bytes(frames_.size()) - kSeekHeaderBytes);
  const std::array<std::uint32_t, 2> header{kSkippableMagic, length};
  std::array<std::byte, kSeekFooterBytes> footer{};
  std::memcpy(footer.data(), &frames, sizeof frames);
  footer[4] = std::byte{kSeekChecksumFlag};
  std::memcpy(footer.data() + 5, &kSeekableMagic, sizeof kSeekableMagic);
  using Bytes = std::span<const std::byte>;
  for (const Bytes part : {Bytes(std::as_bytes(std::span(header))),
                           Bytes(std::as_bytes(frames_.items())), Bytes(footer)}) {
    if (const int error = append(part); error != 0) return error;
  }
  return 0;
}

}  // namespace stasis::snapshot
