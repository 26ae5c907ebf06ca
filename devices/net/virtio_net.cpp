#include "devices/net/virtio_net.h"

#include <fmt/format.h>
#include <linux/if_ether.h>
#include <linux/virtio_ids.h>

#include <algorithm>
#include <cstddef>
#include <cstring>

#include "base/log.h"

namespace stasis::devices {
namespace {

constexpr std::size_t kHeader = sizeof(virtio_net_hdr_v1);
constexpr std::size_t kVlanTag = 4;
constexpr std::uint16_t kMaxMtu = 9000;

}  // namespace

base::Status VirtioNetState::validate() const {
  if ((mac[0] & 1) != 0) {
    return base::fail(base::ErrorKind::kCorrupt, "mac: a group address cannot be a card's own");
  }
  if (mtu < ETH_MIN_MTU || mtu > kMaxMtu) {
    return base::fail(
        base::ErrorKind::kCorrupt,
        fmt::format("mtu: {} is outside the limits {} and {}", mtu, ETH_MIN_MTU, kMaxMtu));
  }
  return {};
}

VirtioNet::VirtioNet(Wiring wiring, State state)
    : wiring_(std::move(wiring)),
      name_(fmt::format("virtio-net \"{}\"", wiring_.name)),
      state_(state),
      transmit_(wiring_.loop, kTransmitQueue,
                [this](const DescriptorChain& chain) { return transmit(chain); }) {
  wiring_.loop.run_sync([this] { wiring_.backend.set_receiver(this); });
}

VirtioNet::~VirtioNet() {
  wiring_.loop.run_sync([this] { wiring_.backend.set_receiver(nullptr); });
}

std::uint16_t VirtioNet::device_type() const {
  return VIRTIO_ID_NET;
}

std::uint64_t VirtioNet::offered_features() const {
  return feature_bit(VIRTIO_NET_F_MAC) | feature_bit(VIRTIO_NET_F_STATUS) |
         feature_bit(VIRTIO_NET_F_MTU);
}

void VirtioNet::read_config(std::uint64_t offset, std::span<std::byte> out) {
  virtio_net_config config{};
  std::memcpy(config.mac, state_.mac.data(), sizeof config.mac);
  config.status = state_.status;
  config.max_virtqueue_pairs = 1;
  config.mtu = state_.mtu;
  const auto bytes = std::as_bytes(std::span(&config, 1));
  for (std::size_t i = 0; i < out.size(); ++i) {
    const bool inside = offset < bytes.size() && i < bytes.size() - offset;
    out[i] = inside ? bytes[offset + i] : std::byte{0};
  }
}

/// Nothing can be written: the address is read-only without the legacy interface (section 5.1.4.2).
void VirtioNet::write_config(std::uint64_t /*offset*/, std::span<const std::byte> /*in*/) {}

void VirtioNet::start(VirtioSession& session) {
  session_ = &session;
  frame_.resize(largest_frame());
  transmit_.start(session);
  queue_kicked(kTransmitQueue);
  queue_kicked(kReceiveQueue);
}

void VirtioNet::stop() {
  transmit_.stop();
  session_ = nullptr;
  frame_ = {};
  wiring_.backend.room_again();  // nobody listens: waiting frames shall not meet the next driver
}

void VirtioNet::queue_kicked(unsigned queue_index) {
  if (queue_index == kTransmitQueue) return transmit_.run();
  if (session_ == nullptr) return;
  session_->queue(kReceiveQueue).disable_kicks();
  wiring_.backend.room_again();
}

/// Without the check sequence, with room for one VLAN tag.
std::size_t VirtioNet::largest_frame() const {
  return std::size_t{state_.mtu} + ETH_HLEN + kVlanTag;
}

/// The header in front is ignored: no feature that gives it a meaning is offered.
std::uint32_t VirtioNet::transmit(const DescriptorChain& chain) {
  const std::uint64_t size = chain.readable_bytes();
  if (size < kHeader + ETH_HLEN || size > kHeader + frame_.size()) {
    STASIS_LOG_GUEST("{}: dropped a frame of {} bytes with its header", name_, size);
    return 0;
  }
  const std::size_t length = chain.read(
      session_->memory(), kHeader, std::as_writable_bytes(std::span(frame_).first(size - kHeader)));
  wiring_.backend.send_frame(std::span(frame_).first(length));
  return 0;
}

bool VirtioNet::receive_frame(std::span<const std::uint8_t> frame) {
  if (session_ == nullptr) return true;
  VirtQueue& queue = session_->queue(kReceiveQueue);
  if (!queue.is_ready() || frame.size() > largest_frame()) return true;
  auto chain = queue.pop();
  if (!chain && queue.enable_kicks()) {
    queue.disable_kicks();
    chain = queue.pop();
  }
  if (!chain) return !queue.is_ready();  // the ring may have turned out to be broken
  deliver(*chain, frame);
  session_->interrupt_if_needed(kReceiveQueue);
  return true;
}

void VirtioNet::deliver(const DescriptorChain& chain, std::span<const std::uint8_t> frame) {
  VirtQueue& queue = session_->queue(kReceiveQueue);
  if (chain.writable_bytes() < kHeader + frame.size()) {
    STASIS_LOG_GUEST("{}: dropped a frame, the receive buffer of {} bytes is too small", name_,
                     chain.writable_bytes());
    return queue.push(chain, 0);
  }
  virtio_net_hdr_v1 header{};
  header.num_buffers = 1;  // section 5.1.6.4.1
  chain.write(session_->memory(), 0, std::as_bytes(std::span(&header, 1)));
  chain.write(session_->memory(), kHeader, std::as_bytes(frame));
  queue.push(chain, static_cast<std::uint32_t>(kHeader + frame.size()));
}

}  // namespace stasis::devices
