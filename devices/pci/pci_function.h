#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "devices/io_handler.h"

namespace stasis::devices {

/// One memory base address register: which of the six, and how many bytes it decodes.
struct PciBar {
  unsigned index = 0;
  std::uint32_t size = 0;
};

/// A PCI function, as the root sees it. Threads: any vCPU thread, several at once.
class PciFunction {
 public:
  virtual ~PciFunction() = default;

  virtual std::string_view name() const = 0;

  /// Configuration space: `access` is 1, 2 or 4 bytes, naturally aligned, below 256.
  virtual std::uint64_t read_config(IoAccess access) = 0;
  virtual void write_config(IoAccess access, std::uint64_t value) = 0;

  /// The same list at any time.
  virtual std::vector<PciBar> bars() const = 0;

  /// Where the BAR decodes now; nothing while memory decoding is off.
  virtual std::optional<std::uint64_t> bar_address(unsigned index) const = 0;

  /// An access of 1, 2, 4 or 8 bytes at any alignment, all of it inside the BAR.
  virtual std::uint64_t read_bar(unsigned index, IoAccess access) = 0;
  virtual void write_bar(unsigned index, IoAccess access, std::uint64_t value) = 0;
};

}  // namespace stasis::devices
