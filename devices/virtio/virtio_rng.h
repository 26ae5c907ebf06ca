#pragma once

#include <string>
#include <vector>

#include "devices/checkpointable.h"
#include "devices/virtio/queue_pump.h"
#include "devices/virtio/virtio_device.h"

namespace stasis::devices {

/// An entropy source has nothing to remember, and must not: entropy in a snapshot would be handed
/// out twice.
struct VirtioRngState {
  static constexpr std::string_view kName = "virtio-rng";
  static constexpr std::uint32_t kVersion = 1;
  bool operator==(const VirtioRngState&) const = default;

  template <typename Self, typename Fields>
  static void describe(Self& /*self*/, Fields& /*fields*/) {}
};

/// Entropy device (virtio 1.2, section 5.4), fed by getrandom(2). A request gets at most 64 KiB,
/// however large its buffers are. Threads: config from any, the rest on the loop.
class VirtioRng final : public VirtioDevice {
 public:
  using State = VirtioRngState;
  struct Wiring {
    EventLoop& loop;
  };

  explicit VirtioRng(Wiring wiring, State state = {});

  State save() const { return {}; }

  std::string_view name() const override { return "virtio-rng"; }
  std::uint16_t device_type() const override;
  std::uint64_t offered_features() const override { return 0; }
  std::vector<std::uint16_t> queue_sizes() const override { return {64}; }
  EventLoop& loop() override { return wiring_.loop; }
  void read_config(std::uint64_t offset, std::span<std::byte> out) override;
  void write_config(std::uint64_t /*offset*/, std::span<const std::byte> /*in*/) override {}
  void start(VirtioSession& session) override;
  void stop() override;
  void queue_kicked(unsigned queue_index) override;

 private:
  std::uint32_t fill(const DescriptorChain& chain);

  const Wiring wiring_;
  VirtioSession* session_ = nullptr;
  QueuePump requests_;
};

static_assert(Checkpointable<VirtioRng>);

}  // namespace stasis::devices
