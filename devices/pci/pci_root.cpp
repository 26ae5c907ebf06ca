#include "devices/pci/pci_root.h"

#include <fmt/format.h>
#include <linux/pci_regs.h>

#include <algorithm>

#include "base/check.h"

namespace stasis::devices {

namespace {

// The "virtual PCIe host bridge" that Linux and others know from other hypervisors; no driver binds
// to it. The class code is what the kernel's sanity check of the port pair looks for.
constexpr PciIdentity kHostBridgeIdentity{
    .vendor = 0x8086, .device = 0x0D57, .revision = 0, .class_code = 0x060000};

constexpr unsigned kEcamFunctionShift = 12;  // 4 KiB a function, 8 functions a device
constexpr std::uint64_t kEcamFunctionSize = std::uint64_t{1} << kEcamFunctionShift;
constexpr std::uint64_t kFunctionsPerDevice = 8;

// Fields of the latch at 0xCF8.
constexpr std::uint32_t kLatchEnable = 0x8000'0000;
constexpr std::uint32_t kLatchWritable = 0x80FF'FFFC;
constexpr unsigned kLatchBusShift = 16;
constexpr unsigned kLatchFunctionShift = 8;
constexpr std::uint64_t kDataPort = 4;  // 0xCFC, seen from 0xCF8

/// Functions see naturally aligned accesses of at most four bytes; anything else goes bytewise.
bool is_plain(IoAccess access) {
  return access.width <= 4 && access.offset % access.width == 0;
}

}  // namespace

PciRoot::HostBridge::HostBridge(PciConfigState state)
    : config_(PciConfigSpace(kHostBridgeIdentity, state)) {}

std::uint64_t PciRoot::HostBridge::read_config(IoAccess access) {
  return config_.with([&](PciConfigSpace& config) { return config.read(access); });
}

void PciRoot::HostBridge::write_config(IoAccess access, std::uint64_t value) {
  config_.with([&](PciConfigSpace& config) { config.write(access, value); });
}

PciConfigState PciRoot::HostBridge::save() const {
  return config_.with([](const PciConfigSpace& config) { return config.save(); });
}

PciRoot::PciRoot(Wiring wiring, State state)
    : wiring_(wiring),
      config_address_(state.config_address & kLatchWritable),
      host_bridge_(state.host_bridge),
      functions_{&host_bridge_} {
  STASIS_CHECK(wiring.window_start + wiring.window_size <= std::uint64_t{1} << 32);
}

base::Result<unsigned> PciRoot::add(PciFunction& function) {
  const auto device = static_cast<unsigned>(functions_.size());
  if (device >= kMaxDevices) {
    return base::fail(base::ErrorKind::kInvalidArgument,
                      fmt::format("{}: the PCI bus is full; configure at most {} devices",
                                  function.name(), kMaxDevices - 1));
  }
  functions_.push_back(&function);
  for (const PciBar bar : function.bars()) bars_.push_back({&function, bar});
  return device;
}

base::Status PciRoot::assign_bars() {
  std::uint64_t next = wiring_.window_start;
  for (const auto& [function, bar] : bars_) {
    const std::uint64_t start = (next + bar.size - 1) / bar.size * bar.size;  // natural alignment
    next = start + bar.size;
    if (next > wiring_.window_start + wiring_.window_size) {
      return base::fail(
          base::ErrorKind::kInvalidArgument,
          fmt::format("{}: no room for {} bytes in the PCI window; configure fewer devices",
                      function->name(), bar.size));
    }
    function->write_config({PCI_BASE_ADDRESS_0 + 4 * std::uint64_t{bar.index}, 4}, start);
    const std::uint64_t command = function->read_config({PCI_COMMAND, 2});
    function->write_config({PCI_COMMAND, 2}, command | PCI_COMMAND_MEMORY);
  }
  return {};
}

/// The function at this offset into ECAM.
PciFunction* PciRoot::find_function(std::uint64_t offset) const {
  const std::uint64_t function = offset >> kEcamFunctionShift;
  if (function % kFunctionsPerDevice != 0) return nullptr;
  const std::uint64_t device = function / kFunctionsPerDevice;
  return device < functions_.size() ? functions_[device] : nullptr;
}

std::uint64_t PciRoot::read_ecam(IoAccess access) const {
  if (!is_plain(access)) {
    std::uint64_t value = 0;
    for (unsigned i = 0; i < access.width; ++i) {
      value |= read_ecam({access.offset + i, 1}) << (8 * i);
    }
    return value;
  }
  PciFunction* function = find_function(access.offset);
  const std::uint64_t offset = access.offset % kEcamFunctionSize;
  if (function == nullptr || offset >= kPciConfigSize) return all_ones(access.width);
  return function->read_config({offset, access.width});
}

void PciRoot::write_ecam(IoAccess access, std::uint64_t value) {
  if (!is_plain(access)) {
    for (unsigned i = 0; i < access.width; ++i) {
      write_ecam({access.offset + i, 1}, value >> (8 * i) & 0xFF);
    }
    return;
  }
  PciFunction* function = find_function(access.offset);
  const std::uint64_t offset = access.offset % kEcamFunctionSize;
  if (function != nullptr && offset < kPciConfigSize) {
    function->write_config({offset, access.width}, value & all_ones(access.width));
  }
}

/// Where in ECAM an access to the data port goes; nothing when it goes nowhere.
std::optional<std::uint64_t> PciRoot::port_target(IoAccess access) const {
  const std::uint32_t latch = config_address_.load(std::memory_order_relaxed);
  if (access.offset < kDataPort || (latch & kLatchEnable) == 0) return std::nullopt;
  if ((latch >> kLatchBusShift & 0xFF) != 0) return std::nullopt;
  const std::uint64_t function = latch >> kLatchFunctionShift & 0xFF;
  return (function << kEcamFunctionShift) + (latch & 0xFC) + (access.offset - kDataPort);
}

std::uint64_t PciRoot::read_ports(IoAccess access) const {
  if (access.offset == 0 && access.width == 4) {
    return config_address_.load(std::memory_order_relaxed);
  }
  const auto target = port_target(access);
  return target ? read_ecam({*target, access.width}) : all_ones(access.width);
}

void PciRoot::write_ports(IoAccess access, std::uint64_t value) {
  // Only a dword reaches the latch; bytes there belong to other chips (0xCF9: reset control).
  if (access.offset == 0 && access.width == 4) {
    config_address_.store(static_cast<std::uint32_t>(value) & kLatchWritable,
                          std::memory_order_relaxed);
    return;
  }
  if (const auto target = port_target(access)) write_ecam({*target, access.width}, value);
}

std::optional<PciRoot::BarHit> PciRoot::find_bar(IoAccess access) const {
  const std::uint64_t address = wiring_.window_start + access.offset;
  // BARs move under us, so they are asked each time. Kicks, which are frequent, do not come here.
  for (const auto& [function, bar] : bars_) {
    const auto start = function->bar_address(bar.index);
    if (!start || address < *start) continue;
    const std::uint64_t offset = address - *start;
    if (offset < bar.size && access.width <= bar.size - offset) {
      return BarHit{function, bar.index, {offset, access.width}};
    }
  }
  return std::nullopt;
}

std::uint64_t PciRoot::read_window(IoAccess access) const {
  const auto hit = find_bar(access);
  return hit ? hit->function->read_bar(hit->index, hit->access) : all_ones(access.width);
}

void PciRoot::write_window(IoAccess access, std::uint64_t value) {
  if (const auto hit = find_bar(access)) hit->function->write_bar(hit->index, hit->access, value);
}

PciRoot::State PciRoot::save() const {
  return {config_address_.load(std::memory_order_relaxed), host_bridge_.save()};
}

}  // namespace stasis::devices
