#include "vmm/pci_devices.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <functional>
#include <utility>

#include "devices/block/virtio_blk.h"
#include "devices/net/virtio_net.h"
#include "devices/virtio/virtio_rng.h"
#include "vmm/absent_backends.h"
#include "vmm/machine_layout.h"

namespace stasis::vmm {
namespace {

constexpr unsigned kMaxDiskQueues = 4;

/// A locally administered address that stays the same for the same machine name (FNV-1a), so that
/// a guest keeps its network settings over restarts.
std::array<std::uint8_t, 6> mac_of(const std::string& machine_name) {
  std::uint32_t hash = 0x811C'9DC5;
  for (const char letter : machine_name) {
    hash = (hash ^ static_cast<std::uint8_t>(letter)) * 0x0100'0193;
  }
  return {0x52,
          0x54,
          static_cast<std::uint8_t>(hash >> 24),
          static_cast<std::uint8_t>(hash >> 16),
          static_cast<std::uint8_t>(hash >> 8),
          static_cast<std::uint8_t>(hash)};
}

/// What `add_devices` puts on the bus, in its order.
std::vector<std::string_view> kinds_of(const MachineConfig& config) {
  std::vector<std::string_view> kinds;
  if (config.rng) kinds.push_back(devices::VirtioRngState::kName);
  kinds.insert(kinds.end(), config.disks.size(), devices::VirtioBlkState::kName);
  if (config.net) kinds.push_back(devices::VirtioNetState::kName);
  if (config.console.port == ConsoleConfig::Port::kVirtio) {
    kinds.push_back(devices::VirtioConsoleState::kName);
  }
  return kinds;
}

base::Status check_kinds(const MachineConfig& config, const PciState& saved) {
  const auto kinds = kinds_of(config);
  for (std::size_t i = 0; i < std::max(kinds.size(), saved.functions.size()); ++i) {
    const std::string_view here = i < kinds.size() ? kinds[i] : "nothing";
    const std::string_view there =
        i < saved.functions.size() ? kind_of(saved.functions[i].device) : "nothing";
    if (here == there) continue;
    return base::fail(base::ErrorKind::kInvalidArgument,
                      fmt::format("PCI device {}: {} in the configuration, {} in the saved state; "
                                  "restore with the configuration it was saved with",
                                  i + 1, here, there));
  }
  return {};
}

}  // namespace

PciDevices::PciDevices(Wiring wiring, const PciState* saved)
    : wiring_(wiring),
      saved_(saved),
      root_({layout::kPciWindowStart, layout::kPciWindowSize},
            saved != nullptr ? saved->root : devices::PciRootState{}) {}

base::Result<std::unique_ptr<PciDevices>> PciDevices::create(Wiring wiring,
                                                             const MachineConfig& config,
                                                             const PciState* saved) {
  if (saved != nullptr) TRY(check_kinds(config, *saved));
  std::unique_ptr<PciDevices> devices(new PciDevices(wiring, saved));
  TRY(devices->make_loops(config));
  TRY(devices->add_devices(config));
  // Addresses are given out at power-on; a restored guest's are part of what it has set.
  if (saved == nullptr) TRY(devices->root_.assign_bars());
  devices->saved_ = nullptr;
  return devices;
}

base::Status PciDevices::add_devices(const MachineConfig& config) {
  if (config.rng) TRY(add_rng());
  for (unsigned i = 0; i < config.disks.size(); ++i) {
    TRY(add_disk(config.disks[i], i, config.cpus));
  }
  if (config.net) TRY(add_net(*config.net, config.name));
  if (config.console.port == ConsoleConfig::Port::kVirtio) TRY(add_console());
  return {};
}

PciDevices::~PciDevices() {
  // At rest, the devices can be taken apart from this thread.
  loop_->pause();
  if (disk_loop_) disk_loop_->pause();
  // The last first: a transport uses its device, a device its backend.
  while (!slots_.empty()) slots_.pop_back();
}

base::Status PciDevices::make_loops(const MachineConfig& config) {
  loop_ = TRY(devices::EventLoop::create("devices"));
  if (!config.disks.empty()) disk_loop_ = TRY(devices::EventLoop::create("disks"));
  return {};
}

/// What the next device on the bus starts with.
template <typename State>
State PciDevices::device_state(State at_power_on) const {
  if (saved_ == nullptr) return at_power_on;
  return std::get<State>(saved_->functions[slots_.size()].device);
}

template <typename Device>
base::Status PciDevices::add(std::shared_ptr<void> backend, std::unique_ptr<Device> device) {
  const Device& saver = *device;
  // Together from here on, so that a failure takes them apart in the right order, too.
  Slot slot{std::move(backend), std::move(device), [&saver] { return DeviceState(saver.save()); },
            nullptr};
  slot.transport = TRY(devices::VirtioPci::create(
      {*slot.device, wiring_.memory, wiring_.vectors, wiring_.doorbells},
      saved_ != nullptr ? saved_->functions[slots_.size()].transport : devices::VirtioPciState{}));
  TRY(root_.add(*slot.transport));
  slots_.push_back(std::move(slot));
  return {};
}

base::Status PciDevices::add_rng() {
  const auto state = device_state(devices::VirtioRngState{});
  return add(nullptr,
             std::make_unique<devices::VirtioRng>(devices::VirtioRng::Wiring{*loop_}, state));
}

base::Status PciDevices::add_disk(const DiskConfig& disk, unsigned index, unsigned cpus) {
  const auto state = device_state(devices::VirtioBlkState{});
  const std::string serial = disk.id.empty() ? fmt::format("disk{}", index) : disk.id;
  std::shared_ptr<devices::BlockImage> image;
  if (wiring_.host_side == HostSide::kAbsent) {
    image = std::make_shared<AbsentDisk>(disk.read_only);
  } else {
    std::vector<devices::ImageLayer> layers = disk.backing;
    layers.push_back({disk.path, disk.format});
    std::shared_ptr<devices::LayeredDisk> layered = TRY(
        devices::LayeredDisk::open(std::move(layers), {.read_only = disk.read_only}, *disk_loop_));
    disks_.push_back({serial, disk.read_only, layered.get()});
    image = std::move(layered);
  }
  auto device = std::make_unique<devices::VirtioBlk>(
      devices::VirtioBlk::Wiring{*image, *disk_loop_, serial, std::min(cpus, kMaxDiskQueues)},
      state);
  return add(std::move(image), std::move(device));
}

base::Status PciDevices::add_net(const UserNetConfig& net, const std::string& machine_name) {
  const auto state = device_state(devices::VirtioNetState{.mac = mac_of(machine_name)});
  std::vector<devices::UserNetForward> forwards;
  for (const auto& forward : net.forwards) {
    forwards.push_back({forward.udp, forward.host_port, forward.guest_port});
  }
  std::shared_ptr<devices::NetBackend> network;
  if (wiring_.host_side == HostSide::kAbsent) {
    network = std::make_shared<AbsentNetwork>();
  } else {
    std::shared_ptr<devices::UserNet> user_net = TRY(devices::UserNet::create({*loop_}, forwards));
    user_net_ = user_net.get();
    network = std::move(user_net);
  }
  auto device = std::make_unique<devices::VirtioNet>(
      devices::VirtioNet::Wiring{*loop_, *network, "net0"}, state);
  return add(std::move(network), std::move(device));
}

base::Status PciDevices::add_console() {
  auto state = device_state(devices::VirtioConsoleState{});
  auto device = std::make_unique<devices::VirtioConsole>(
      devices::VirtioConsole::Wiring{*loop_, wiring_.console_output}, std::move(state));
  console_ = device.get();
  TRY(add(nullptr, std::move(device)));
  console_->set_config_notifier(slots_.back().transport.get());
  return {};
}

PciState PciDevices::save() const {
  PciState state{root_.save(), {}};
  for (const Slot& slot : slots_) {
    state.functions.push_back({slot.save_device(), slot.transport->save()});
  }
  return state;
}

base::Status PciDevices::connect(devices::IoBus& ports, devices::IoBus& memory) {
  TRY(ports.add(layout::kPciConfigAddress, 8, root_.ports()));
  TRY(memory.add(layout::kEcamStart, layout::kEcamSize, root_.ecam()));
  return memory.add(layout::kPciWindowStart, layout::kPciWindowSize, root_.window());
}

void PciDevices::open() {
  loop_->open();
  if (disk_loop_) disk_loop_->open();
}

void PciDevices::start() {
  loop_->start();
  if (disk_loop_) disk_loop_->start();
}

/// All devices of the loop, on its thread or while it is parked; `calm` tells whether a device has
/// come to rest.
base::Status PciDevices::calm_on(const devices::EventLoop& loop, Calm calm) const {
  for (const auto& slot : slots_) {
    devices::VirtioDevice& device = *slot.device;
    if (&device.loop() != &loop || (device.*calm)()) continue;
    return base::fail(
        base::ErrorKind::kTimeout,
        fmt::format("{} did not finish its requests in time; is the host's storage stuck?",
                    device.name()));
  }
  return {};
}

base::Status PciDevices::hold() {
  base::Status held;
  if (disk_loop_) {
    disk_loop_->run_sync([&] { held = calm_on(*disk_loop_, &devices::VirtioDevice::hold); });
  }
  return held;
}

/// The loops first: their devices come to rest on this thread then, and nobody has to be woken.
base::Status PciDevices::pause() {
  loop_->pause();
  if (disk_loop_) disk_loop_->pause();
  TRY(calm_on(*loop_, &devices::VirtioDevice::quiesce));
  if (disk_loop_) TRY(calm_on(*disk_loop_, &devices::VirtioDevice::quiesce));
  return {};
}

void PciDevices::keep_disks_off(std::shared_ptr<const base::ThreadWatches> vcpus) {
  disk_loop_->keep_off(std::move(vcpus));
}

void PciDevices::resume() {
  loop_->resume();
  if (disk_loop_) disk_loop_->resume();
}

void PciDevices::release() {
  if (!disk_loop_) return;
  disk_loop_->post([this] {
    for (const auto& slot : slots_) {
      if (&slot.device->loop() == disk_loop_.get()) slot.device->release();
    }
  });
}

}  // namespace stasis::vmm
