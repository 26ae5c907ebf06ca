#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "snapshot/vm_control.h"

namespace stasis::snapshot {

inline constexpr const char* kManifestFile = "manifest.json";
inline constexpr std::uint64_t kManifestSchema = 1;
inline constexpr std::size_t kMaxManifestBytes = std::size_t{4} << 20;

/// One file of the snapshot's folder, other than the manifest.
struct FileRecord {
  std::string name;
  std::uint64_t size_bytes = 0;
  std::uint64_t mtime_ns = 0;  ///< of its last write; another one asks for a full check before use
  std::string digest;  ///< XXH3-128 in hexadecimal; empty for `ram.raw`, which `ram.index` covers
  bool operator==(const FileRecord&) const = default;
};

/// One file of a disk, and what proves that it is still the right one.
struct DiskLayer {
  std::string path;    ///< relative to the VM's folder, or absolute for a user's own base image
  std::string format;  ///< "raw", "qcow2"
  std::uint64_t size_bytes = 0;  ///< of the file
  std::uint64_t mtime_ns = 0;
  std::string uuid;  ///< inside the file; empty where the format has none
  bool operator==(const DiskLayer&) const = default;
};

/// One disk of the machine as it was at the instant: its layers, base first, never written again.
struct DiskRecord {
  std::string id;  ///< as in the configuration
  bool read_only = false;
  std::vector<DiskLayer> layers;
  bool operator==(const DiskRecord&) const = default;
};

/// What a snapshot is: the contents of `manifest.json` (docs/snapshot-format.md).
struct Manifest {
  SnapshotInfo info;
  std::string vm_id;        ///< UUID of the machine
  std::string config_json;  ///< its configuration, one JSON value; "" is null
  std::vector<DiskRecord> disks;
  std::vector<FileRecord> files;

  /// Null when there is none of that name.
  const FileRecord* file(std::string_view name) const;
};

/// The text of the file. Errors: kInvalidArgument (what `decode_manifest` would refuse).
base::Result<std::string> encode_manifest(const Manifest& manifest);

/// The manifest out of hostile text. Errors: kCorrupt (the text contradicts itself or its
/// checksum), kUnsupported (newer version).
base::Result<Manifest> decode_manifest(std::string_view text);

}  // namespace stasis::snapshot
