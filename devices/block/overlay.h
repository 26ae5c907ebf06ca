#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "devices/block/image_layer.h"

namespace stasis::devices {

struct DiskLayer;

/// A new, empty and durable overlay that is open and locked, but not part of a disk yet. Unless a
/// disk takes it, its file is removed again.
class PreparedOverlay {
 public:
  PreparedOverlay(ImageLayer layer, std::unique_ptr<DiskLayer> file);
  PreparedOverlay(PreparedOverlay&& other) noexcept;
  PreparedOverlay& operator=(PreparedOverlay&& other) noexcept;
  ~PreparedOverlay();

  const ImageLayer& layer() const { return layer_; }

  /// Closes the file and leaves it where it is.
  void keep();

 private:
  friend class LayeredDisk;
  void remove();

  ImageLayer layer_;
  std::unique_ptr<DiskLayer> file_;
};

/// The clusters of overlays for disks of that size: 4 KiB up to 16 GiB, then as large as keeps them
/// few, and 64 KiB above 128 GiB (docs/decisions/0008-small-clusters.md).
unsigned overlay_cluster_bits(std::uint64_t size_bytes);

/// An empty overlay `path` (0600) for a disk of `size_bytes`, over `backing`; durable on return,
/// its name too; open and locked for writing. An existing file is refused.
base::Result<PreparedOverlay> make_overlay(const std::string& path, std::uint64_t size_bytes,
                                           const ImageLayer& backing);

/// Creates an empty overlay `path` (0600) over `backing` (base first), which nobody may write any
/// more; it is durable on return, its name too. For disks that no machine has open. An existing
/// file is refused.
base::Status create_overlay(const std::string& path, const std::vector<ImageLayer>& backing);

/// The identity that every overlay of ours has: a UUID (RFC 4122) in upper case, from a header
/// extension that other programs skip and keep. kNotFound: a qcow2 file that is not one of ours.
base::Result<std::string> overlay_uuid(const std::string& path);

}  // namespace stasis::devices
