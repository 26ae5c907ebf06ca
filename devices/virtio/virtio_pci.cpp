#include "devices/virtio/virtio_pci.h"

#include <fmt/format.h>
#include <linux/pci_regs.h>
#include <linux/virtio_config.h>
#include <linux/virtio_pci.h>

#include <array>
#include <cstring>
#include <utility>

#include "base/log.h"
#include "devices/virtio/virtio_pci_identity.h"

namespace stasis::devices {

namespace {

constexpr std::uint8_t kIsrQueue = 1;  // section 4.1.4.5
constexpr std::uint64_t kRegionMask = 0xF000;
constexpr unsigned kMaxQueues = MsixTable::kMaxVectors - 1;  // one vector is for the configuration

bool overlaps(IoAccess access, std::uint64_t start, std::uint64_t size) {
  return access.offset < start + size && start < access.offset + access.width;
}

/// `value`, read by `access`, with the `size` bytes at `start` taken from `bytes`.
std::uint64_t overlay(IoAccess access, std::uint64_t value, std::uint64_t start, unsigned size,
                      std::uint64_t bytes) {
  for (unsigned i = 0; i < size; ++i) {
    const std::uint64_t at = start + i;
    if (at < access.offset || at >= access.offset + access.width) continue;
    const auto shift = 8 * (at - access.offset);
    value = (value & ~(std::uint64_t{0xFF} << shift)) | (bytes >> (8 * i) & 0xFF) << shift;
  }
  return value;
}

}  // namespace

/// The queues of a started device.
class VirtioPci::Session final : public VirtioSession {
 public:
  Session(VirtioPci& owner, const VirtioPciRegisters& registers)
      : owner_(owner), features_(registers.driver_features()) {
    for (const auto& queue : registers.state().queues) {
      queues_.emplace_back(owner.memory_, registers.event_index(), queue.queue);
    }
  }

  const base::GuestMemory& memory() const override { return owner_.memory_; }
  std::uint64_t features() const override { return features_; }
  VirtQueue& queue(unsigned index) override { return queues_.at(index); }
  void interrupt_if_needed(unsigned index) override {
    if (queues_.at(index).take_interrupt()) owner_.interrupt(index);
    if (queues_.at(index).is_broken()) owner_.check_queues();
  }
  const std::vector<VirtQueue>& queues() const { return queues_; }

 private:
  VirtioPci& owner_;
  std::uint64_t features_;
  std::vector<VirtQueue> queues_;
};

base::Result<std::unique_ptr<VirtioPci>> VirtioPci::create(Wiring wiring, State state) {
  VirtioDevice& device = wiring.device;
  const std::vector<std::uint16_t> sizes = device.queue_sizes();
  const auto count = static_cast<unsigned>(sizes.size());
  if (count > kMaxQueues) {
    return base::fail(base::ErrorKind::kInvalidArgument,
                      fmt::format("{}: {} queues are too many; at most {} fit", device.name(),
                                  count, kMaxQueues));
  }
  auto registers =
      VirtioPciRegisters::create({offered_features(device.offered_features()), sizes, count + 1},
                                 wiring.memory, std::move(state.registers));
  if (!registers) return base::fail(registers.error().with_context(device.name()));
  PciConfigSpace config(virtio_pci_identity(device.device_type()), state.config);
  add_virtio_pci_capabilities(config, count);
  auto msix =
      TRY(MsixTable::create(wiring.vectors, count + 1, std::move(state.msix), config.bus_master()));
  std::vector<base::Fd> kicks;
  for (unsigned i = 0; i < count; ++i) kicks.push_back(TRY(base::make_eventfd()));
  base::Fd restart = TRY(base::make_eventfd(registers->is_driver_ok() ? 1 : 0));
  return std::unique_ptr<VirtioPci>(
      new VirtioPci(wiring, {std::move(config), std::move(*registers)}, std::move(msix),
                    std::move(kicks), std::move(restart)));
}

VirtioPci::VirtioPci(Wiring wiring, Registers registers, std::unique_ptr<MsixTable> msix,
                     std::vector<base::Fd> kicks, base::Fd restart)
    : device_(wiring.device),
      memory_(wiring.memory),
      doorbells_(wiring.doorbells),
      msix_(std::move(msix)),
      registers_(std::move(registers)),
      kicks_(std::move(kicks)),
      restart_(std::move(restart)) {
  device_.loop().run_sync([this] { watch_kicks(); });
}

VirtioPci::~VirtioPci() {
  device_.loop().run_sync([this] {
    stop_session();
    for (const base::Fd& kick : kicks_) device_.loop().unwatch(kick.get());
    device_.loop().unwatch(restart_.get());
  });
}

void VirtioPci::watch_kicks() {
  for (unsigned i = 0; i < kicks_.size(); ++i) {
    device_.loop().watch(kicks_[i].get(), POLLIN, [this, i] {
      base::drain_eventfd(kicks_[i]);
      queue_kicked(i);
    });
  }
  device_.loop().watch(restart_.get(), POLLIN, [this] {
    base::drain_eventfd(restart_);
    restart_session();
  });
}

// --- Configuration space ---

std::uint64_t VirtioPci::read_config(IoAccess access) {
  const auto [msix, indirect] = virtio_pci_capabilities();
  std::uint64_t value =
      registers_.with([&](const Registers& registers) { return registers.config.read(access); });
  if (overlaps(access, msix + PCI_MSIX_FLAGS, 2)) {
    value = overlay(access, value, msix + PCI_MSIX_FLAGS, 2, msix_->control());
  }
  const std::uint64_t data = indirect + sizeof(virtio_pci_cap);
  if (overlaps(access, data, 4)) {
    // Section 4.1.4.9.1: reading the data is an access to the BAR where the driver points.
    const auto target = indirect_target();
    value = overlay(access, value, data, 4, target ? read_bar(0, *target) : 0);
  }
  return value;
}

void VirtioPci::write_config(IoAccess access, std::uint64_t value) {
  struct Decode {
    std::optional<std::uint64_t> bar;
    bool bus_master;
    bool operator==(const Decode&) const = default;
  };
  const auto look = [](const PciConfigSpace& config) {
    return Decode{config.bar_address(0), config.bus_master()};
  };
  const auto [before, after] = registers_.with([&](Registers& registers) {
    const Decode old = look(registers.config);
    registers.config.write(access, value);
    return std::pair(old, look(registers.config));
  });
  write_msix_control(access, value);
  const std::uint64_t data = virtio_pci_capabilities().indirect + sizeof(virtio_pci_cap);
  const auto target = access.offset == data ? indirect_target() : std::nullopt;
  if (target && target->width <= access.width) {
    write_bar(0, *target, value & all_ones(target->width));
  }
  if (before == after) return;
  device_.loop().run_sync([&, becomes_master = !before.bus_master && after.bus_master] {
    msix_->set_bus_master(is_bus_master());
    update_doorbells();
    if (becomes_master) kick_all();  // what was kicked for before was not looked at
  });
}

/// The BAR access that the driver has prepared in the PCI_CFG capability, if it is a legal one.
std::optional<IoAccess> VirtioPci::indirect_target() const {
  const std::uint64_t at = virtio_pci_capabilities().indirect;
  return registers_.with([&](const Registers& registers) -> std::optional<IoAccess> {
    const PciConfigSpace& config = registers.config;
    const std::uint64_t bar = config.read({at + VIRTIO_PCI_CAP_BAR, 1});
    const std::uint64_t offset = config.read({at + VIRTIO_PCI_CAP_OFFSET, 4});
    const std::uint64_t length = config.read({at + VIRTIO_PCI_CAP_LENGTH, 4});
    if (bar != 0 || (length != 1 && length != 2 && length != 4) || offset % length != 0 ||
        offset + length > virtio_pci_layout::kBarSize) {
      return std::nullopt;
    }
    return IoAccess{offset, static_cast<unsigned>(length)};
  });
}

void VirtioPci::write_msix_control(IoAccess access, std::uint64_t value) {
  const IoAccess control{virtio_pci_capabilities().msix + std::uint64_t{PCI_MSIX_FLAGS}, 2};
  if (!overlaps(access, control.offset, control.width)) return;
  msix_->set_control(static_cast<std::uint16_t>(
      overlay(control, msix_->control(), access.offset, access.width, value)));
}

std::vector<PciBar> VirtioPci::bars() const {
  return {{0, virtio_pci_layout::kBarSize}};
}

std::optional<std::uint64_t> VirtioPci::bar_address(unsigned index) const {
  return registers_.with(
      [&](const Registers& registers) { return registers.config.bar_address(index); });
}

bool VirtioPci::is_bus_master() const {
  return registers_.with([](const Registers& registers) { return registers.config.bus_master(); });
}

// --- BAR 0 ---

std::uint64_t VirtioPci::read_bar(unsigned, IoAccess access) {
  const std::uint64_t region = access.offset & kRegionMask;
  const IoAccess inner{access.offset - region, access.width};
  switch (region) {
    case virtio_pci_layout::kCommon:
      return registers_.with(
          [&](const Registers& registers) { return registers.virtio.read(inner); });
    case virtio_pci_layout::kIsr:
      return inner.offset == 0 ? take_isr() : 0;
    case virtio_pci_layout::kDevice:
      return read_device_config(inner);
    case virtio_pci_layout::kMsixTable:
      return msix_->read_table(inner);
    case virtio_pci_layout::kMsixPending:
      return msix_->read_pending(inner);
    default:
      return 0;
  }
}

void VirtioPci::write_bar(unsigned, IoAccess access, std::uint64_t value) {
  const std::uint64_t region = access.offset & kRegionMask;
  const IoAccess inner{access.offset - region, access.width};
  switch (region) {
    case virtio_pci_layout::kCommon:
      return write_common(inner, value);
    case virtio_pci_layout::kDevice:
      return write_device_config(inner, value);
    case virtio_pci_layout::kNotify: {
      // Only without a doorbell in the kernel; the rest of the way is the same.
      const std::uint64_t queue = inner.offset / virtio_pci_layout::kNotifyStride;
      if (queue < kicks_.size()) base::signal_eventfd(kicks_[queue]);
      return;
    }
    case virtio_pci_layout::kMsixTable:
      return msix_->write_table(inner, value);
    default:
      return;
  }
}

std::uint64_t VirtioPci::read_device_config(IoAccess access) {
  std::array<std::byte, sizeof(std::uint64_t)> bytes{};
  device_.read_config(access.offset, std::span(bytes).first(access.width));
  std::uint64_t value = 0;
  std::memcpy(&value, bytes.data(), sizeof(value));
  return value;
}

void VirtioPci::write_device_config(IoAccess access, std::uint64_t value) {
  const auto bytes = std::as_bytes(std::span(&value, 1));
  device_.write_config(access.offset, bytes.first(access.width));
}

void VirtioPci::write_common(IoAccess access, std::uint64_t value) {
  const auto status =
      registers_.with([&](Registers& registers) { return registers.virtio.write(access, value); });
  if (status) device_.loop().run_sync([&] { set_status(*status); });
}

/// Reading the interrupt status clears it (section 4.1.4.5).
std::uint8_t VirtioPci::take_isr() {
  return registers_.with(
      [](Registers& registers) { return std::exchange(registers.virtio.state().isr, 0); });
}

// --- The device's loop ---

void VirtioPci::set_status(std::uint8_t value) {
  if (value == 0) {
    stop_session();
    registers_.with([](Registers& registers) { registers.virtio.reset(); });
    return;
  }
  const bool starts =
      registers_.with([&](Registers& registers) { return registers.virtio.add_status(value); });
  if (starts) start_session();
}

void VirtioPci::start_session() {
  session_ = registers_.with([this](const Registers& registers) {
    return std::make_unique<Session>(*this, registers.virtio);
  });
  update_doorbells();
  device_.start(*session_);
  check_queues();
}

void VirtioPci::stop_session() {
  if (!session_) return;
  device_.stop();
  detach_doorbells();
  session_.reset();
}

/// Kicks and interrupts that were on their way when the state was saved are repeated: one too many
/// is legal, one too few stops the guest's driver for good.
void VirtioPci::restart_session() {
  const auto state =
      registers_.with([](const Registers& registers) { return registers.virtio.state(); });
  if (session_ || (state.status & VIRTIO_CONFIG_S_DRIVER_OK) == 0) return;
  start_session();
  msix_->repeat(state.config_msix_vector);
  for (const auto& queue : state.queues) msix_->repeat(queue.msix_vector);
  kick_all();
}

void VirtioPci::update_doorbells() {
  const auto bar = session_ ? bar_address(0) : std::nullopt;
  if (bar == doorbell_base_) return;
  detach_doorbells();
  doorbell_base_ = bar;
  if (!bar) return;
  for (unsigned i = 0; i < kicks_.size(); ++i) {
    if (!session_->queue(i).is_ready()) continue;
    const base::GuestAddress address{*bar + virtio_pci_layout::kNotify +
                                     virtio_pci_layout::kNotifyStride * i};
    const base::Status attached = doorbells_.attach(address, kicks_[i]);
    if (attached) {
      attached_.push_back(i);
    } else {
      STASIS_LOG_GUEST("{}: queue {} is kicked the slow way: {}", name(), i,
                       attached.error().message());
    }
  }
}

void VirtioPci::detach_doorbells() {
  for (const unsigned i : attached_) {
    doorbells_.detach(
        {*doorbell_base_ + virtio_pci_layout::kNotify + virtio_pci_layout::kNotifyStride * i},
        kicks_[i]);
  }
  attached_.clear();
  doorbell_base_.reset();
}

void VirtioPci::queue_kicked(unsigned index) {
  if (!session_ || !is_bus_master() || !session_->queue(index).is_ready()) return;
  device_.queue_kicked(index);
  check_queues();
}

void VirtioPci::kick_all() {
  for (unsigned i = 0; i < kicks_.size(); ++i) queue_kicked(i);
}

/// A queue that its driver broke stops the whole device until a reset (section 2.1.2).
void VirtioPci::check_queues() {
  bool broken = false;
  for (const VirtQueue& queue : session_->queues()) broken = broken || queue.is_broken();
  if (!broken) return;
  const bool is_new =
      registers_.with([](Registers& registers) { return registers.virtio.set_needs_reset(); });
  if (!is_new) return;
  STASIS_LOG_GUEST("{}: its driver broke the rules of a queue; it needs a reset", name());
  config_changed();
}

// --- Interrupts ---

void VirtioPci::interrupt(unsigned queue_index) {
  const bool msix = msix_->is_enabled();
  const std::uint16_t vector = registers_.with([&](Registers& registers) {
    auto& state = registers.virtio.state();
    if (!msix) state.isr |= kIsrQueue;
    return state.queues[queue_index].msix_vector;
  });
  msix_->signal(vector);  // beyond the table, as "no vector" is: nothing
}

void VirtioPci::config_changed() {
  const std::uint16_t vector = registers_.with([](Registers& registers) -> std::uint16_t {
    auto& state = registers.virtio.state();
    ++state.config_generation;
    if (!registers.virtio.is_driver_ok()) return VIRTIO_MSI_NO_VECTOR;
    state.isr |= VIRTIO_PCI_ISR_CONFIG;
    return state.config_msix_vector;
  });
  msix_->signal(vector);
}

VirtioPci::State VirtioPci::save() const {
  State saved = registers_.with([](const Registers& registers) {
    return State{registers.config.save(), {}, registers.virtio.state()};
  });
  saved.msix = msix_->save();
  if (!session_) return saved;
  for (std::size_t i = 0; i < kicks_.size(); ++i) {
    saved.registers.queues[i].queue = session_->queues()[i].state();
  }
  return saved;
}

static_assert(Checkpointable<VirtioPci>);

}  // namespace stasis::devices
