#pragma once

#include <utility>
#include <vector>

#include "snapshot/ram_image.h"
#include "vmm/guest_ram.h"

namespace stasis::snapshot {

/// A stored image as the memory of a machine that is restored.
class ImageRamSource final : public vmm::RamSource {
 public:
  explicit ImageRamSource(RamImage image) : image_(std::move(image)) {}

  base::Status fill(const std::vector<base::MemoryRegion>& regions) override {
    report_ = TRY(image_.fill(regions));
    return {};
  }
  /// After `fill`.
  const RamFillReport& report() const { return report_; }

 private:
  RamImage image_;
  RamFillReport report_;
};

}  // namespace stasis::snapshot
