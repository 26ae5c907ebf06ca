#pragma once

#include <cstdint>
#include <string>

namespace stasis::devices {

enum class ImageFormat : std::uint8_t {
  kRaw,    ///< the file's bytes are the disk's
  kQcow2,  ///< version 3; may lie over a backing layer
};

/// "raw" or "qcow2", as in options, manifests and qcow2 files.
constexpr const char* name_of(ImageFormat format) {
  return format == ImageFormat::kRaw ? "raw" : "qcow2";
}

/// One file of a disk.
struct ImageLayer {
  std::string path;
  ImageFormat format = ImageFormat::kRaw;
  bool operator==(const ImageLayer&) const = default;
};

}  // namespace stasis::devices
