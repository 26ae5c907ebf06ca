#pragma once

#include <deque>
#include <string>
#include <vector>

#include "devices/block/block_image.h"
#include "devices/checkpointable.h"
#include "devices/loop_task.h"
#include "devices/virtio/virtio_device.h"

namespace stasis::devices {

/// Nothing: rings and features are the transport's, contents are the image's, and a device at rest
/// has no request in flight. Write-back or write-through follows from the features.
struct VirtioBlkState {
  static constexpr std::string_view kName = "virtio-blk";
  static constexpr std::uint32_t kVersion = 1;
  bool operator==(const VirtioBlkState&) const = default;

  template <typename Self, typename Fields>
  static void describe(Self&, Fields&) {}
};

/// A disk (virtio 1.2, section 5.2): multi-queue, flush, discard, write-zeroes, read-only,
/// topology, serial number. Guest RAM is the buffer of every transfer: nothing is copied. A driver
/// that does not negotiate VIRTIO_BLK_F_FLUSH gets a write-through disk: its writes are flushed
/// before they complete (section 5.2.6.2). Missing: VIRTIO_BLK_F_CONFIG_WCE (switching between the
/// two at run time; Linux then takes the disk as write-back, which it is), resizing, secure erase,
/// lifetime, zones, geometry. Saved: VirtioBlkState. Not saved: the image.
class VirtioBlk final : public VirtioDevice {
 public:
  using State = VirtioBlkState;
  struct Wiring {
    BlockImage& image;   ///< opened with `loop`; the device is its only user
    EventLoop& loop;     ///< where the device works
    std::string serial;  ///< what the guest reads as the disk's id; cut to 20 bytes
    unsigned queues;     ///< request queues, at least 1: the number of vCPUs, 4 at most
  };

  explicit VirtioBlk(Wiring wiring, State state = {});

  /// Destroyed on the loop's thread, or while the loop is parked or was not started; waits for
  /// requests in flight.
  ~VirtioBlk() override;

  std::string_view name() const override { return name_; }
  std::uint16_t device_type() const override;
  std::uint64_t offered_features() const override;
  std::vector<std::uint16_t> queue_sizes() const override;
  EventLoop& loop() override { return wiring_.loop; }
  void read_config(std::uint64_t offset, std::span<std::byte> out) override;
  void write_config(std::uint64_t, std::span<const std::byte>) override {}  // nothing is writable
  void start(VirtioSession& session) override;
  void stop() override;
  void queue_kicked(unsigned queue_index) override;

  /// In at most five seconds.
  bool hold() override;
  void release() override;

  /// Takes what the rings have and finishes it, in at most five seconds: so there is nothing left
  /// that a kick which arrives before the loop is parked could start. While held there is nothing
  /// to do: what the rings have stays there.
  bool quiesce() override;

  State save() const { return {}; }

 private:
  struct Request;

  void serve(unsigned queue_index);
  bool serve_round(unsigned queue_index);
  bool finish();
  void serve_all();
  void begin(unsigned queue_index, DescriptorChain chain);
  void dispatch(Request& request);
  void transfer(Request& request, BlockOperation operation);
  void flush(Request& request);
  void change_ranges(Request& request, BlockOperation operation);
  void send_serial(Request& request);
  void submit(Request& request, BlockRequest block_request);
  void part_done(Request& request, int error);
  bool needs_flush_after(const Request& request) const;
  void answer(Request& request, std::uint8_t status);
  void mark_written(const Request& request) const;
  void interrupt_queues();
  bool fits(std::uint64_t sector, std::uint64_t size_bytes) const;

  const Wiring wiring_;
  const std::string name_;
  VirtioSession* session_ = nullptr;
  bool is_held_ = false;
  std::deque<Request> requests_;  // a deque: its elements never move
  std::vector<Request*> free_;
  std::vector<bool> answered_;  // by queue: something was put into its used ring
  LoopTask next_round_;
};

static_assert(Checkpointable<VirtioBlk>);

}  // namespace stasis::devices
