#include "devices/block/overlay.h"

#include <fmt/format.h>

#include <utility>

namespace stasis::devices {

class Qcow2Layer {};

PreparedOverlay::PreparedOverlay(ImageLayer layer, std::unique_ptr<Qcow2Layer> file)
    : layer_(std::move(layer)), file_(std::move(file)) {}
PreparedOverlay::PreparedOverlay(PreparedOverlay&& other) noexcept = default;
PreparedOverlay& PreparedOverlay::operator=(PreparedOverlay&& other) noexcept = default;
PreparedOverlay::~PreparedOverlay() = default;

base::Status create_overlay(const std::string& path, const std::vector<ImageLayer>& /*backing*/) {
  return base::fail(base::ErrorKind::kUnsupported,
                    fmt::format("disk \"{}\": overlays are not supported yet", path));
}

base::Result<std::string> overlay_uuid(const std::string& path) {
  return base::fail(base::ErrorKind::kUnsupported,
                    fmt::format("disk \"{}\": overlays are not supported yet", path));
}

}  // namespace stasis::devices
