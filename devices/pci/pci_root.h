#pragma once

#include <atomic>
#include <cstdint>
#include <vector>

#include "base/guarded.h"
#include "base/result.h"
#include "devices/io_handler.h"
#include "devices/pci/pci_config_space.h"
#include "devices/pci/pci_function.h"

namespace stasis::devices {

struct PciRootState {
  static constexpr std::string_view kName = "pci-root";
  static constexpr std::uint32_t kVersion = 1;
  std::uint32_t config_address = 0;  ///< the latch at port 0xCF8
  PciConfigState host_bridge;
  bool operator==(const PciRootState&) const = default;

  template <typename Self, typename Fields>
  static void describe(Self& self, Fields& fields) {
    auto& [latch, bridge] = self;
    fields("config_address", latch)("host_bridge", bridge);
  }
};

/// PCI bus 0: the host bridge as device 0 and up to 31 functions, each function 0 of its device.
/// Configuration space is reached through ECAM (PCI Express 4.0, section 7.2.2) and through the
/// ports 0xCF8..0xCFF (PCI Local Bus 3.0, section 3.2.2.3.2). Absent functions read all ones, and
/// so does the extended space beyond 256 bytes, because no function is PCI Express.
/// Threads: `add` and `assign_bars` before the first vCPU runs; the handlers from any thread.
/// Saved: PciRootState. The functions save themselves.
class PciRoot {
 public:
  using State = PciRootState;
  /// The guest-physical range that BARs are placed in and looked for, below 4 GiB.
  struct Wiring {
    std::uint64_t window_start = 0;
    std::uint64_t window_size = 0;
  };
  static constexpr unsigned kMaxDevices = 32;

  explicit PciRoot(Wiring wiring, State state = {});
  PciRoot(const PciRoot&) = delete;
  PciRoot& operator=(const PciRoot&) = delete;

  /// Puts `function`, which must outlive the root, on the bus; returns its device number (1, 2, ...
  /// in the order of the calls). Error: the bus is full.
  base::Result<unsigned> add(PciFunction& function);

  /// What firmware would do: gives every BAR an address inside the window and switches memory
  /// decoding on. The addresses follow from the order and the sizes alone. Linux keeps them. At
  /// power-on only: restored functions have theirs. Error: the window is too small.
  base::Status assign_bars();

  IoHandler& ecam() { return ecam_; }      ///< 1 MiB: one bus
  IoHandler& ports() { return ports_; }    ///< 8 ports at 0xCF8
  IoHandler& window() { return window_; }  ///< at Wiring's range

  State save() const;

 private:
  class HostBridge final : public PciFunction {
   public:
    explicit HostBridge(PciConfigState state);
    std::string_view name() const override { return "pci-host-bridge"; }
    std::uint64_t read_config(IoAccess access) override;
    void write_config(IoAccess access, std::uint64_t value) override;
    std::vector<PciBar> bars() const override { return {}; }
    std::optional<std::uint64_t> bar_address(unsigned) const override { return std::nullopt; }
    std::uint64_t read_bar(unsigned, IoAccess access) override { return all_ones(access.width); }
    void write_bar(unsigned, IoAccess, std::uint64_t) override {}
    PciConfigState save() const;

   private:
    base::Guarded<PciConfigSpace> config_;
  };

  /// One face of the root on a bus.
  class Face final : public IoHandler {
   public:
    using Read = std::uint64_t (PciRoot::*)(IoAccess) const;
    using Write = void (PciRoot::*)(IoAccess, std::uint64_t);
    Face(std::string_view name, PciRoot& root, Read reader, Write writer)
        : name_(name), root_(root), read_(reader), write_(writer) {}
    std::string_view name() const override { return name_; }
    std::uint64_t read(IoAccess access) override { return (root_.*read_)(access); }
    void write(IoAccess access, std::uint64_t value) override { (root_.*write_)(access, value); }

   private:
    std::string_view name_;
    PciRoot& root_;
    Read read_;
    Write write_;
  };

  /// The BAR that covers an access completely, and the access within it.
  struct BarHit {
    PciFunction* function;
    unsigned index;
    IoAccess access;
  };
  struct PlacedBar {
    PciFunction* function;
    PciBar bar;
  };

  PciFunction* find_function(std::uint64_t offset) const;
  std::optional<BarHit> find_bar(IoAccess access) const;
  std::optional<std::uint64_t> port_target(IoAccess access) const;

  std::uint64_t read_ecam(IoAccess access) const;
  void write_ecam(IoAccess access, std::uint64_t value);
  std::uint64_t read_ports(IoAccess access) const;
  void write_ports(IoAccess access, std::uint64_t value);
  std::uint64_t read_window(IoAccess access) const;
  void write_window(IoAccess access, std::uint64_t value);

  const Wiring wiring_;
  std::atomic<std::uint32_t> config_address_;
  HostBridge host_bridge_;
  std::vector<PciFunction*> functions_;  // by device number
  std::vector<PlacedBar> bars_;          // of all functions
  Face ecam_{"pci-ecam", *this, &PciRoot::read_ecam, &PciRoot::write_ecam};
  Face ports_{"pci-ports", *this, &PciRoot::read_ports, &PciRoot::write_ports};
  Face window_{"pci-window", *this, &PciRoot::read_window, &PciRoot::write_window};
};

}  // namespace stasis::devices
