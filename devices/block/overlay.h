#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "devices/block/image_layer.h"

namespace stasis::devices {

class Qcow2Layer;

/// A new, empty and durable overlay that is open and locked, but not part of a disk yet. Unless a
/// disk takes it, its file is removed again.
class PreparedOverlay {
 public:
  PreparedOverlay(ImageLayer layer, std::unique_ptr<Qcow2Layer> file);
  PreparedOverlay(PreparedOverlay&& other) noexcept;
  PreparedOverlay& operator=(PreparedOverlay&& other) noexcept;
  ~PreparedOverlay();

  const ImageLayer& layer() const { return layer_; }

 private:
  friend class LayeredDisk;
  void remove();

  ImageLayer layer_;
  std::unique_ptr<Qcow2Layer> file_;
};

/// Creates an empty overlay `path` (0600) over `backing` (base first), which nobody may write any
/// more; it is durable on return, its name too. For disks that no machine has open. An existing
/// file is refused.
base::Status create_overlay(const std::string& path, const std::vector<ImageLayer>& backing);

/// The identity that every overlay of ours has: a UUID (RFC 4122) in upper case, from a header
/// extension that other programs skip and keep. kNotFound: a qcow2 file that is not one of ours.
base::Result<std::string> overlay_uuid(const std::string& path);

}  // namespace stasis::devices
