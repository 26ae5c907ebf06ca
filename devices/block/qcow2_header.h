#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "devices/block/image_layer.h"

namespace stasis::devices {

using ImageUuid = std::array<std::uint8_t, 16>;

/// RFC 4122 text in upper case.
std::string uuid_text(const ImageUuid& uuid);

/// What a qcow2 version 3 file says about itself, checked against itself and the file's size
/// (QEMU, docs/interop/qcow2.txt). Everything in host byte order; offsets and sizes in bytes.
struct Qcow2Header {
  unsigned cluster_bits = 16;  ///< 9..21
  std::uint64_t size_bytes = 0;
  std::uint64_t l1_offset = 0;
  std::uint32_t l1_entries = 0;  ///< at least `l1_needed()`
  std::uint64_t refcount_table_offset = 0;
  std::uint32_t refcount_table_clusters = 0;
  unsigned refcount_order = 4;  ///< a refcount has 2^order bits, 0..6
  std::uint64_t autoclear_features = 0;
  std::optional<std::string> backing_path;
  std::optional<std::string> backing_format;
  std::optional<ImageUuid> uuid;  ///< only in files of ours
  bool has_bitmaps = false;

  std::uint64_t cluster_size() const { return std::uint64_t{1} << cluster_bits; }
  std::uint64_t l2_entries() const { return cluster_size() / sizeof(std::uint64_t); }
  std::uint64_t clusters() const { return (size_bytes + cluster_size() - 1) >> cluster_bits; }
  std::uint64_t l1_needed() const { return (clusters() + l2_entries() - 1) / l2_entries(); }
  /// Clusters that one block of refcounts covers.
  std::uint64_t refcounts_per_block() const { return (cluster_size() * 8) >> refcount_order; }
  std::uint64_t refcount_blocks() const {
    return std::uint64_t{refcount_table_clusters} * l2_entries();
  }
};

/// Most bytes of a file that its header, with its extensions, may take.
inline constexpr std::size_t kMaxQcow2HeaderBytes = 64 << 10;

/// Bytes of the header at which the refcount table's offset and clusters, and autoclear bits, are.
inline constexpr std::uint64_t kQcow2RefcountTableField = 48;
inline constexpr std::uint64_t kQcow2AutoclearField = 88;

/// The part of an entry of an L1, L2 or refcount table that is an offset in the file.
inline constexpr std::uint64_t kQcow2OffsetMask = 0x00FF'FFFF'FFFF'FE00;

/// Reads a header out of hostile bytes: the first of the file, up to `kMaxQcow2HeaderBytes`.
/// kUnsupported names the feature and the remedy, kCorrupt what contradicts what. Errors do not
/// name the file.
base::Result<Qcow2Header> parse_qcow2_header(std::span<const std::byte> start,
                                             std::uint64_t file_bytes);

/// The bytes of a header with its extensions: what `parse_qcow2_header` reads back. `backing_path`
/// has at most 1023 bytes.
std::vector<std::byte> encode_qcow2_header(const Qcow2Header& header);

/// Big-endian numbers, as everything in the file is.
std::uint64_t load_be(std::span<const std::byte> bytes, std::size_t at, std::size_t size);
void store_be(std::span<std::byte> bytes, std::size_t at, std::size_t size, std::uint64_t value);

}  // namespace stasis::devices
