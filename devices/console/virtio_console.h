#pragma once

#include <atomic>
#include <cstdint>
#include <string>
#include <vector>

#include "base/guarded.h"
#include "devices/byte_stream.h"
#include "devices/checkpointable.h"
#include "devices/virtio/queue_pump.h"
#include "devices/virtio/virtio_device.h"

namespace stasis::devices {

struct VirtioConsoleState {
  static constexpr std::string_view kName = "virtio-console";
  static constexpr std::uint32_t kVersion = 1;
  static constexpr std::size_t kMaxInput = 4096;
  std::uint16_t cols = 80;
  std::uint16_t rows = 24;
  std::vector<std::uint8_t> input;  ///< typed, not yet taken by the guest; at most kMaxInput
  bool operator==(const VirtioConsoleState&) const = default;

  base::Status validate() const;

  template <typename Self, typename Fields>
  static void describe(Self& self, Fields& fields) {
    auto& [c, r, i] = self;
    fields("cols", c)("rows", r)("input", i);
  }
};

/// Console with one port (virtio 1.2, section 5.3), with SIZE and EMERG_WRITE. Missing: multiport.
/// Threads: config, `receive` and `set_size` from any, the rest on the loop.
class VirtioConsole final : public VirtioDevice, public ByteReceiver {
 public:
  using State = VirtioConsoleState;
  struct Wiring {
    EventLoop& loop;
    ByteSink& out;  ///< what the guest writes
  };
  static constexpr unsigned kReceiveQueue = 0;
  static constexpr unsigned kTransmitQueue = 1;

  explicit VirtioConsole(Wiring wiring, State state = {});

  State save() const;

  /// The terminal's size in characters. The driver is told when it changed.
  void set_size(std::uint16_t cols, std::uint16_t rows);

  /// Who interrupts the driver for a new size, the transport; null for nobody. Set before the
  /// machine runs.
  void set_config_notifier(ConfigChangeNotifier* notifier) { notifier_ = notifier; }

  std::string_view name() const override { return "virtio-console"; }
  std::uint16_t device_type() const override;
  std::uint64_t offered_features() const override;
  std::vector<std::uint16_t> queue_sizes() const override { return {64, 64}; }
  EventLoop& loop() override { return wiring_.loop; }
  void read_config(std::uint64_t offset, std::span<std::byte> out) override;
  void write_config(std::uint64_t offset, std::span<const std::byte> in) override;
  void start(VirtioSession& session) override;
  void stop() override;
  void queue_kicked(unsigned queue_index) override;

  std::size_t receive(std::span<const std::uint8_t> bytes) override;
  void set_input_gate(InputGate* gate) override;

 private:
  struct Shared {
    State state;
    InputGate* gate = nullptr;
    bool gate_waits = false;  ///< input was refused; the gate wants to hear of room
  };

  std::uint32_t transmit(const DescriptorChain& chain);
  void deliver_input();
  std::uint32_t fill(const DescriptorChain& chain);
  void open_gate();

  const Wiring wiring_;
  base::Guarded<Shared> shared_;
  std::atomic<ConfigChangeNotifier*> notifier_{nullptr};
  VirtioSession* session_ = nullptr;
  LoopTask input_arrived_;
  QueuePump transmit_;
};

static_assert(Checkpointable<VirtioConsole>);

}  // namespace stasis::devices
