#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "base/fd.h"
#include "base/guarded.h"
#include "base/guest_memory.h"
#include "base/result.h"
#include "devices/checkpointable.h"
#include "devices/interrupts.h"
#include "devices/pci/msix_table.h"
#include "devices/pci/pci_config_space.h"
#include "devices/pci/pci_function.h"
#include "devices/virtio/virtio_device.h"
#include "devices/virtio/virtio_pci_registers.h"
#include "devices/virtio/virtio_pci_state.h"

namespace stasis::devices {

/// What BAR 0 of every virtio-pci function holds. A page each, so that a guest may map them apart.
namespace virtio_pci_layout {
inline constexpr std::uint32_t kCommon = 0x0000;
inline constexpr std::uint32_t kIsr = 0x1000;
inline constexpr std::uint32_t kDevice = 0x2000;
inline constexpr std::uint32_t kNotify = 0x3000;  ///< kNotifyStride bytes a queue
inline constexpr std::uint32_t kMsixTable = 0x4000;
inline constexpr std::uint32_t kMsixPending = 0x5000;
inline constexpr std::uint32_t kBarSize = 0x8000;
inline constexpr std::uint32_t kNotifyStride = 4;
}  // namespace virtio_pci_layout

/// The virtio-pci transport, non-transitional (virtio 1.2, section 4.1), around one VirtioDevice.
/// Missing: INTx (no interrupt pin), packed rings, queue reset, legacy registers.
///
/// Threads: configuration space and BAR from any vCPU thread, `config_changed` from any. What
/// starts, stops or moves something (status, BAR, bus mastering) is carried out on the device's
/// loop, so those steps need no lock among each other; the vCPU waits. Lock order: registers, then
/// the MSI-X table's. Neither is held while waiting for the loop or while calling the device.
/// Saved: VirtioPciState, also with requests in flight. Not saved: kicks that were not taken yet;
/// a restored function takes all its queues as kicked.
class VirtioPci final : public PciFunction, public ConfigChangeNotifier {
 public:
  using State = VirtioPciState;
  struct Wiring {
    VirtioDevice& device;  ///< must outlive this
    const base::GuestMemory& memory;
    MsiVectors& vectors;
    Doorbells& doorbells;
  };

  /// Asks for one MSI source a queue and one for configuration changes. Restored with DRIVER_OK,
  /// the device is started when its loop runs, never inside this call. Errors: the state does not
  /// fit the device, or the host ran out of descriptors or interrupts.
  static base::Result<std::unique_ptr<VirtioPci>> create(Wiring wiring, State state = {});

  VirtioPci(const VirtioPci&) = delete;
  VirtioPci& operator=(const VirtioPci&) = delete;

  /// Stops the device, on its loop. No vCPU may run any more.
  ~VirtioPci() override;

  std::string_view name() const override { return device_.name(); }
  std::uint64_t read_config(IoAccess access) override;
  void write_config(IoAccess access, std::uint64_t value) override;
  std::vector<PciBar> bars() const override;
  std::optional<std::uint64_t> bar_address(unsigned index) const override;
  std::uint64_t read_bar(unsigned index, IoAccess access) override;
  void write_bar(unsigned index, IoAccess access, std::uint64_t value) override;

  void config_changed() override;

  VirtioDevice& device() { return device_; }

  /// With the loop parked or not started, as for every device.
  State save() const;

 private:
  class Session;
  struct Registers {
    PciConfigSpace config;
    VirtioPciRegisters virtio;
  };

  VirtioPci(Wiring wiring, Registers registers, std::unique_ptr<MsixTable> msix,
            std::vector<base::Fd> kicks, base::Fd restart);

  // --- vCPU threads ------------------------------------------------------------------------------
  std::optional<IoAccess> indirect_target() const;
  void write_msix_control(IoAccess access, std::uint64_t value);
  std::uint64_t read_device_config(IoAccess access);
  void write_device_config(IoAccess access, std::uint64_t value);
  void write_common(IoAccess access, std::uint64_t value);
  std::uint8_t take_isr();

  // --- The device's loop -------------------------------------------------------------------------
  void watch_kicks();
  void set_status(std::uint8_t value);
  void start_session();
  void stop_session();
  void restart_session();
  void update_doorbells();
  void detach_doorbells();
  void queue_kicked(unsigned index);
  void kick_all();
  void check_queues();

  void interrupt(unsigned queue_index);
  bool is_bus_master() const;  // any thread

  VirtioDevice& device_;
  const base::GuestMemory& memory_;
  Doorbells& doorbells_;
  const std::unique_ptr<MsixTable> msix_;
  base::Guarded<Registers> registers_;
  const std::vector<base::Fd> kicks_;  // one a queue
  const base::Fd restart_;             // signalled once, by a restore

  // The loop's own:
  std::unique_ptr<Session> session_;  // while the device is started
  std::optional<std::uint64_t> doorbell_base_;
  std::vector<unsigned> attached_;  // queues with a doorbell
};

}  // namespace stasis::devices
