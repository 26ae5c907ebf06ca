#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "devices/checkpointable.h"
#include "devices/net/net_backend.h"
#include "devices/net/virtio_net_abi.h"
#include "devices/virtio/queue_pump.h"
#include "devices/virtio/virtio_device.h"

namespace stasis::devices {

struct VirtioNetState {
  static constexpr std::string_view kName = "virtio-net";
  static constexpr std::uint32_t kVersion = 1;
  std::array<std::uint8_t, 6> mac = {0x52, 0x54, 0x00, 0x00, 0x00, 0x01};
  std::uint16_t status = VIRTIO_NET_S_LINK_UP;
  std::uint16_t mtu = 1500;  ///< bytes of payload a frame; 68..9000
  bool operator==(const VirtioNetState&) const = default;

  /// A unicast address and an MTU that buffers can be made for.
  base::Status validate() const;

  template <typename Self, typename Fields>
  static void describe(Self& self, Fields& fields) {
    auto& [m, s, u] = self;
    fields("mac", m)("status", s)("mtu", u);
  }
};

/// Network card (virtio 1.2, section 5.1): one queue pair, MAC, status and MTU. Missing: the
/// control queue, offloads and merged receive buffers, for which user-mode networking has no use.
/// Threads: config from any, the rest on the loop, which is the backend's too.
/// Not saved: frames between backend and guest; a network may lose frames.
class VirtioNet final : public VirtioDevice, public FrameReceiver {
 public:
  using State = VirtioNetState;
  struct Wiring {
    EventLoop& loop;
    NetBackend& backend;  ///< on the same loop; outlives this
    std::string name = "net0";
  };
  static constexpr unsigned kReceiveQueue = 0;
  static constexpr unsigned kTransmitQueue = 1;

  explicit VirtioNet(Wiring wiring, State state = {});
  VirtioNet(const VirtioNet&) = delete;
  VirtioNet& operator=(const VirtioNet&) = delete;
  ~VirtioNet() override;

  State save() const { return state_; }

  std::string_view name() const override { return name_; }
  std::uint16_t device_type() const override;
  std::uint64_t offered_features() const override;
  std::vector<std::uint16_t> queue_sizes() const override { return {256, 256}; }
  EventLoop& loop() override { return wiring_.loop; }
  void read_config(std::uint64_t offset, std::span<std::byte> out) override;
  void write_config(std::uint64_t offset, std::span<const std::byte> in) override;
  void start(VirtioSession& session) override;
  void stop() override;
  void queue_kicked(unsigned queue_index) override;

  bool receive_frame(std::span<const std::uint8_t> frame) override;

 private:
  std::size_t largest_frame() const;
  std::uint32_t transmit(const DescriptorChain& chain);
  void deliver(const DescriptorChain& chain, std::span<const std::uint8_t> frame);

  const Wiring wiring_;
  const std::string name_;  ///< "virtio-net "net0""
  const State state_;       ///< nothing in it changes while the machine runs
  VirtioSession* session_ = nullptr;
  std::vector<std::uint8_t> frame_;  ///< the frame being sent; empty while stopped
  QueuePump transmit_;
};

static_assert(Checkpointable<VirtioNet>);

}  // namespace stasis::devices
