#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "base/guest_memory.h"
#include "base/result.h"
#include "base/thread_placement.h"
#include "devices/byte_stream.h"
#include "devices/console/virtio_console.h"
#include "devices/event_loop.h"
#include "devices/io_bus.h"
#include "devices/net/user_net.h"
#include "devices/pci/pci_root.h"
#include "devices/virtio/virtio_pci.h"
#include "vmm/machine_config.h"
#include "vmm/machine_disk.h"
#include "vmm/machine_state.h"

namespace stasis::vmm {

/// The PCI bus and the virtio devices on it, with the host's files and networks behind them, and
/// the threads they work on: one loop for disks, one for everything else.
///
/// Device numbers, addresses and interrupts follow from the configuration alone: entropy is device
/// 1, then the disks in their order, the network card, the console.
/// Threads: the controlling thread, while no vCPU runs.
class PciDevices {
 public:
  /// Whether there is anything behind the devices.
  enum class HostSide {
    kOpen,    ///< the disks and networks of the configuration
    kAbsent,  ///< nothing: for a machine that never runs and must not disturb one that does
  };
  struct Wiring {
    const base::GuestMemory& memory;
    devices::MsiVectors& vectors;
    devices::Doorbells& doorbells;
    devices::ByteSink& console_output;  ///< for a virtio console
    HostSide host_side = HostSide::kOpen;
  };

  /// Opens disks and networks, places everything on the bus. Errors name what could not be opened.
  /// With a `saved` state everything is as it was then; kInvalidArgument names the device that
  /// state and configuration do not agree about.
  static base::Result<std::unique_ptr<PciDevices>> create(Wiring wiring,
                                                          const MachineConfig& config,
                                                          const PciState* saved = nullptr);

  PciDevices(const PciDevices&) = delete;
  PciDevices& operator=(const PciDevices&) = delete;

  /// Parks the loops; waits for disk requests in flight.
  ~PciDevices();

  base::Status connect(devices::IoBus& ports, devices::IoBus& memory);

  /// Starts the loops. Once. vCPUs may run from `open` on; what they ask of the loops waits.
  void open();
  void start();

  /// While vCPUs run still: waits for the disks' I/O that is in flight, and from here to `release`
  /// no disk begins with more. kTimeout names the one that did not finish in time.
  base::Status hold();

  /// Finishes what is in flight and parks the loops; kTimeout names the device that did not come
  /// to rest, and everything runs on.
  base::Status pause();
  void resume();

  /// The disks begin with requests again, soon.
  void release();

  /// From here on the disks' thread keeps to CPUs where it finds none of the threads `vcpus`: one
  /// would wait for the other to sleep, or for the next tick. Needs a disk.
  void keep_disks_off(std::shared_ptr<const base::ThreadWatches> vcpus);

  /// While the loops are parked or not started.
  PciState save() const;

  /// The disks in the configuration's order; none when the host's side is absent.
  const std::vector<MachineDisk>& disks() const { return disks_; }

  /// Null when the configuration has no virtio console.
  devices::VirtioConsole* console() const { return console_; }

  /// Null without user-mode networking.
  devices::UserNet* user_net() const { return user_net_; }

 private:
  /// What a device stands on; each goes after those behind it.
  struct Slot {
    std::shared_ptr<void> backend;  // an image or a network; may be null
    std::unique_ptr<devices::VirtioDevice> device;
    std::function<DeviceState()> save_device;
    std::unique_ptr<devices::VirtioPci> transport;
  };

  PciDevices(Wiring wiring, const PciState* saved);
  using Calm = bool (devices::VirtioDevice::*)();
  base::Status calm_on(const devices::EventLoop& loop, Calm calm) const;
  base::Status add_devices(const MachineConfig& config);
  template <typename State>
  State device_state(State at_power_on) const;
  template <typename Device>
  base::Status add(std::shared_ptr<void> backend, std::unique_ptr<Device> device);
  base::Status add_rng();
  base::Status add_disk(const DiskConfig& disk, unsigned index, unsigned cpus);
  base::Status add_net(const UserNetConfig& net, const std::string& machine_name);
  base::Status add_console();
  base::Status make_loops(const MachineConfig& config);

  const Wiring wiring_;
  const PciState* saved_;  // until `create` is done
  std::unique_ptr<devices::EventLoop> loop_;
  std::unique_ptr<devices::EventLoop> disk_loop_;  // null without disks
  devices::PciRoot root_;
  std::vector<Slot> slots_;
  std::vector<MachineDisk> disks_;
  devices::VirtioConsole* console_ = nullptr;
  devices::UserNet* user_net_ = nullptr;
};

}  // namespace stasis::vmm
