#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "devices/io_handler.h"
#include "devices/pci/pci_function.h"

namespace stasis::devices {

inline constexpr std::size_t kPciConfigSize = 256;

/// What software has written into a configuration space: its writable bits, zero elsewhere.
/// All zero at power-on.
struct PciConfigState {
  std::array<std::uint8_t, kPciConfigSize> written{};
  bool operator==(const PciConfigState&) const = default;

  template <typename Self, typename Fields>
  static void describe(Self& self, Fields& fields) {
    auto& [bytes] = self;
    fields("written", bytes);
  }
};

/// Who a function says it is.
struct PciIdentity {
  std::uint16_t vendor = 0;
  std::uint16_t device = 0;
  std::uint8_t revision = 0;
  std::uint32_t class_code = 0;  ///< 24 bits: base class, sub-class, programming interface
  std::uint16_t subsystem_vendor = 0;
  std::uint16_t subsystem = 0;
};

/// The 256 bytes of a type 0 header and its capabilities (PCI Local Bus 3.0, chapter 6): read-only
/// bytes fixed at construction, and the writable bits of the state. One function, no interrupt
/// pin, 32-bit memory BARs only. Threads: the owner locks.
class PciConfigSpace {
 public:
  using State = PciConfigState;

  explicit PciConfigSpace(const PciIdentity& identity, State state = {});

  // --- While the function is built -------------------------------------------------------------

  /// `size`: a power of two, at least 16.
  void add_bar(PciBar bar);

  /// Puts a capability with this `body` (what follows the id and the pointer) at the end of the
  /// list; returns its offset. `writable` has the bits software may change, missing bytes none.
  std::uint8_t add_capability(std::uint8_t id, std::span<const std::uint8_t> body,
                              std::span<const std::uint8_t> writable = {});

  // --- While it runs -----------------------------------------------------------------------------

  std::uint64_t read(IoAccess access) const;
  void write(IoAccess access, std::uint64_t value);

  /// The `width` low bytes at `offset` without side effects: what software would read.
  std::uint32_t dword(unsigned offset) const {
    return static_cast<std::uint32_t>(read({offset, 4}));
  }

  bool memory_enabled() const;
  bool bus_master() const;
  const std::vector<PciBar>& bars() const { return bars_; }

  /// Where the BAR decodes; nothing while memory decoding is off.
  std::optional<std::uint64_t> bar_address(unsigned index) const;

  /// The writable bits as they are; a state's other bits were dropped.
  State save() const;

 private:
  using Bytes = std::array<std::uint8_t, kPciConfigSize>;

  void set_fixed(unsigned offset, std::uint64_t value, unsigned width);
  void set_writable(unsigned offset, std::uint64_t mask, unsigned width);

  Bytes fixed_{};
  Bytes mask_{};  // bits that software may write
  std::vector<PciBar> bars_;
  unsigned next_capability_;
  unsigned last_pointer_;
  State state_;
};

}  // namespace stasis::devices
