#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/result.h"
#include "devices/block/virtio_blk.h"
#include "devices/console/virtio_console.h"
#include "devices/net/virtio_net.h"
#include "devices/pci/pci_root.h"
#include "devices/virtio/virtio_pci_state.h"
#include "devices/virtio/virtio_rng.h"
#include "vmm/kvm/vcpu_state.h"
#include "vmm/kvm/vm_state.h"
#include "vmm/platform_devices.h"

namespace stasis::vmm {

/// The device part of one PCI function: which alternative it is, is its kind.
using DeviceState = std::variant<devices::VirtioRngState, devices::VirtioBlkState,
                                 devices::VirtioNetState, devices::VirtioConsoleState>;

/// "virtio-blk" and so on.
std::string_view kind_of(const DeviceState& state);

struct PciFunctionState {
  DeviceState device;
  devices::VirtioPciState transport;
  bool operator==(const PciFunctionState&) const = default;
};

struct PciState {
  devices::PciRootState root;
  std::vector<PciFunctionState> functions;  ///< device 1, 2, ...
  bool operator==(const PciState&) const = default;
};

/// Everything a machine is besides its memory and its disks' contents. Small: the local APICs and
/// FPU states make most of the about 12 KiB a vCPU.
struct MachineState {
  std::uint32_t layout = 0;  ///< layout::kVersion of the machine
  std::uint64_t memory_bytes = 0;
  std::string host;  ///< host_instance() of the one it was saved on
  VmState vm;
  std::vector<VcpuState> vcpus;
  PlatformState platform;
  PciState pci;
  bool operator==(const MachineState&) const = default;

  /// Whether it was saved under the very KVM that is loaded on the host of this name.
  bool is_of(std::string_view this_host) const { return !host.empty() && host == this_host; }
};

/// One part of a machine's state, by name, as CBOR (base/state_codec.h): "machine", "vm",
/// "vcpu.0"..., one a platform device ("uart_16550", ...), "pci-root", and for each PCI function
/// its device ("pci.1.virtio-rng") and its transport ("pci.1.virtio-pci").
struct StateSection {
  std::string name;
  std::vector<std::uint8_t> cbor;
  bool operator==(const StateSection&) const = default;
};

/// Equal states give equal sections, in a fixed order. Not for the pause: it takes
/// about 0.2 ms a vCPU.
std::vector<StateSection> encode_machine_state(const MachineState& state);

/// The state back, checked; the order of the sections does not matter. Errors name the section and
/// the field: kCorrupt for what is missing, unknown, there twice or out of range, kUnsupported for
/// what a newer build wrote.
base::Result<MachineState> decode_machine_state(std::span<const StateSection> sections);

}  // namespace stasis::vmm
