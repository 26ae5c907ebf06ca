#include "devices/block/virtio_blk.h"

#include <fmt/format.h>
#include <linux/virtio_blk.h>
#include <linux/virtio_ids.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cerrno>
#include <cstring>
#include <utility>

#include "base/check.h"
#include "base/log.h"

namespace stasis::devices {
namespace {

using base::GuestAddress;
using base::GuestMemory;

constexpr std::uint16_t kQueueSize = 256;
constexpr unsigned kRequestRound =
    2 * kQueueSize;  // requests between two looks at the loop's other work
constexpr std::uint32_t kMaxSegments = kQueueSize - 2;  // header and status take one each
constexpr std::uint32_t kMaxRanges = 16;                // of one discard or write-zeroes
constexpr std::uint32_t kMaxDiscardSectors = (1U << 30) / kSectorSize;
// Small, because a host that can only write zeroes has to write them all before a snapshot.
constexpr std::uint32_t kMaxZeroSectors = (64U << 20) / kSectorSize;
constexpr std::chrono::seconds kQuiesceTime{5};

/// The part of `buffers` from `skip` on, `size` bytes of it.
std::vector<VirtBuffer> part_of(const std::vector<VirtBuffer>& buffers, std::uint64_t skip,
                                std::uint64_t size) {
  std::vector<VirtBuffer> part;
  part.reserve(buffers.size());
  for (const VirtBuffer& buffer : buffers) {
    const auto skipped = std::min<std::uint64_t>(skip, buffer.size);
    const auto taken = std::min<std::uint64_t>(size, buffer.size - skipped);
    skip -= skipped;
    size -= taken;
    if (taken > 0) part.push_back({buffer.address + skipped, static_cast<std::uint32_t>(taken)});
  }
  return part;
}

/// Where `buffer` is in this program, or an empty vector element when it is not RAM any more.
iovec host_view(const GuestMemory& memory, const VirtBuffer& buffer, bool is_written) {
  // Marks the pages dirty at submission: the host may write them, and a look at the dirty log may
  // come, before we hear of the completion.
  if (is_written) {
    const auto bytes = memory.writable_slice(buffer.address, buffer.size);
    return bytes ? iovec{bytes->data(), bytes->size()} : iovec{};
  }
  const auto bytes = memory.slice(buffer.address, buffer.size);
  return bytes ? iovec{const_cast<std::byte*>(bytes->data()), bytes->size()} : iovec{};
}

std::uint8_t status_of(int error) {
  if (error == 0) return VIRTIO_BLK_S_OK;
  return error == EOPNOTSUPP ? VIRTIO_BLK_S_UNSUPP : VIRTIO_BLK_S_IOERR;
}

}  // namespace

/// A request that was taken from a ring and not answered yet.
struct VirtioBlk::Request {
  unsigned queue = 0;
  DescriptorChain chain;
  virtio_blk_outhdr header{};
  std::uint64_t data_written = 0;  // bytes put into the writable part, the status not counted
  unsigned parts_left = 0;         // requests to the image
  int error = 0;                   // of the first part that failed
  bool changes_image = false;
  bool is_flushing = false;

  std::uint64_t data_in_bytes() const { return chain.writable_bytes() - 1; }
  std::uint64_t data_out_bytes() const { return chain.readable_bytes() - sizeof header; }
};

VirtioBlk::VirtioBlk(Wiring wiring, State)
    : wiring_(std::move(wiring)),
      name_(fmt::format("virtio-blk \"{}\"", wiring_.serial)),
      answered_(wiring_.queues),
      next_round_(wiring_.loop, [this] { serve_all(); }) {
  STASIS_CHECK(wiring_.queues > 0);
  wiring_.image.set_group_listener([this] { interrupt_queues(); });
}

VirtioBlk::~VirtioBlk() {
  stop();
  wiring_.image.set_group_listener({});
}

std::uint16_t VirtioBlk::device_type() const {
  return VIRTIO_ID_BLOCK;
}

std::uint64_t VirtioBlk::offered_features() const {
  const std::uint64_t always = feature_bit(VIRTIO_BLK_F_SEG_MAX) |
                               feature_bit(VIRTIO_BLK_F_BLK_SIZE) |
                               feature_bit(VIRTIO_BLK_F_FLUSH) |
                               feature_bit(VIRTIO_BLK_F_TOPOLOGY) | feature_bit(VIRTIO_BLK_F_MQ);
  if (wiring_.image.info().read_only) return always | feature_bit(VIRTIO_BLK_F_RO);
  return always | feature_bit(VIRTIO_BLK_F_DISCARD) | feature_bit(VIRTIO_BLK_F_WRITE_ZEROES);
}

std::vector<std::uint16_t> VirtioBlk::queue_sizes() const {
  return std::vector<std::uint16_t>(wiring_.queues, kQueueSize);
}

void VirtioBlk::read_config(std::uint64_t offset, std::span<std::byte> out) {
  const BlockImageInfo& info = wiring_.image.info();
  const std::uint32_t physical_blocks = info.physical_block_size / info.block_size;
  virtio_blk_config config{};
  config.capacity = info.size_bytes / kSectorSize;
  config.seg_max = kMaxSegments;
  config.blk_size = info.block_size;
  config.physical_block_exp = static_cast<std::uint8_t>(std::bit_width(physical_blocks) - 1);
  config.min_io_size = static_cast<std::uint16_t>(physical_blocks);
  config.num_queues = static_cast<std::uint16_t>(wiring_.queues);
  if (!info.read_only) {
    config.max_discard_sectors = kMaxDiscardSectors;
    config.max_discard_seg = kMaxRanges;
    config.discard_sector_alignment =
        static_cast<std::uint32_t>(info.physical_block_size / kSectorSize);
    config.max_write_zeroes_sectors = kMaxZeroSectors;
    config.max_write_zeroes_seg = kMaxRanges;
    config.write_zeroes_may_unmap = 1;
  }
  std::fill(out.begin(), out.end(), std::byte{0});
  const auto bytes = std::as_bytes(std::span(&config, 1));
  if (offset >= bytes.size()) return;
  const auto size = std::min<std::size_t>(out.size(), bytes.size() - offset);
  std::memcpy(out.data(), bytes.data() + offset, size);
}

void VirtioBlk::start(VirtioSession& session) {
  session_ = &session;
  answered_.assign(wiring_.queues, false);
}

void VirtioBlk::stop() {
  if (session_ == nullptr) return;
  // No way around waiting: the host writes into guest RAM as long as a read is in flight.
  while (!wiring_.image.drain(std::chrono::steady_clock::now() + kQuiesceTime)) {
    base::log::warn("{}: still waiting for the host to finish I/O on \"{}\"", name_,
                    wiring_.image.name());
  }
  session_ = nullptr;
}

bool VirtioBlk::hold() {
  is_held_ = true;
  return session_ == nullptr || finish();
}

void VirtioBlk::release() {
  is_held_ = false;
  serve_all();
}

bool VirtioBlk::quiesce() {
  if (session_ == nullptr || is_held_) return true;
  // One round is enough: no vCPU runs, and no honest ring holds more than that.
  for (unsigned i = 0; i < wiring_.queues; ++i) serve_round(i);
  wiring_.image.kick();
  return finish();
}

/// Waits for what is in flight; false when that took too long.
bool VirtioBlk::finish() {
  const bool is_quiet = wiring_.image.drain(std::chrono::steady_clock::now() + kQuiesceTime);
  interrupt_queues();
  return is_quiet;
}

void VirtioBlk::queue_kicked(unsigned queue_index) {
  if (session_ == nullptr || queue_index >= wiring_.queues) return;
  serve(queue_index);
  interrupt_queues();  // for what needed no I/O
}

/// Starts all that the ring has, with one system call; a round of it now and the rest soon when a
/// driver never stops asking.
void VirtioBlk::serve(unsigned queue_index) {
  if (is_held_) return;
  if (serve_round(queue_index)) next_round_.request();
  wiring_.image.kick();
}

/// True when the round was used up. Looks at the ring that find nothing count, too: rings laid over
/// each other change whenever they are looked at.
bool VirtioBlk::serve_round(unsigned queue_index) {
  VirtQueue& queue = session_->queue(queue_index);
  for (unsigned work = 0; work < kRequestRound; ++work) {
    queue.disable_kicks();
    while (auto chain = queue.pop()) {
      begin(queue_index, std::move(*chain));
      if (++work >= kRequestRound) return true;
    }
    if (!queue.enable_kicks()) return false;
  }
  return true;
}

void VirtioBlk::serve_all() {
  if (session_ == nullptr) return;
  for (unsigned i = 0; i < wiring_.queues; ++i) serve(i);
  interrupt_queues();
}

void VirtioBlk::begin(unsigned queue_index, DescriptorChain chain) {
  if (chain.writable.empty()) {
    STASIS_LOG_GUEST("{}: a request has no room for its status", name_);
    session_->queue(queue_index).push(chain, 0);
    answered_[queue_index] = true;
    return;
  }
  if (free_.empty()) free_.push_back(&requests_.emplace_back());
  Request& request = *free_.back();
  free_.pop_back();
  request = {};
  request.queue = queue_index;
  request.chain = std::move(chain);
  // Copied once, then only the copy is looked at: the guest may change it at any time.
  const auto header = std::as_writable_bytes(std::span(&request.header, 1));
  if (request.chain.read(session_->memory(), 0, header) != header.size()) {
    return answer(request, VIRTIO_BLK_S_IOERR);
  }
  dispatch(request);
}

void VirtioBlk::dispatch(Request& request) {
  switch (request.header.type) {
    case VIRTIO_BLK_T_IN:
      return transfer(request, BlockOperation::kRead);
    case VIRTIO_BLK_T_OUT:
      return transfer(request, BlockOperation::kWrite);
    case VIRTIO_BLK_T_FLUSH:
      return flush(request);
    case VIRTIO_BLK_T_GET_ID:
      return send_serial(request);
    case VIRTIO_BLK_T_DISCARD:
      return change_ranges(request, BlockOperation::kDiscard);
    case VIRTIO_BLK_T_WRITE_ZEROES:
      return change_ranges(request, BlockOperation::kWriteZeroes);
    default:
      return answer(request, VIRTIO_BLK_S_UNSUPP);
  }
}

/// Whether `size_bytes` from `sector` on are whole sectors of the disk. Free of overflow.
bool VirtioBlk::fits(std::uint64_t sector, std::uint64_t size_bytes) const {
  const std::uint64_t capacity = wiring_.image.info().size_bytes / kSectorSize;
  return size_bytes % kSectorSize == 0 && sector <= capacity &&
         size_bytes / kSectorSize <= capacity - sector;
}

void VirtioBlk::transfer(Request& request, BlockOperation operation) {
  const bool is_read = operation == BlockOperation::kRead;
  const std::uint64_t size = is_read ? request.data_in_bytes() : request.data_out_bytes();
  if (!fits(request.header.sector, size) || (!is_read && wiring_.image.info().read_only)) {
    return answer(request, VIRTIO_BLK_S_IOERR);
  }
  if (size == 0) return answer(request, VIRTIO_BLK_S_OK);
  const auto buffers = is_read ? part_of(request.chain.writable, 0, size)
                               : part_of(request.chain.readable, sizeof request.header, size);
  BlockRequest block_request;
  block_request.operation = operation;
  block_request.offset = request.header.sector * kSectorSize;
  block_request.size = size;
  block_request.buffers.reserve(buffers.size());
  for (const VirtBuffer& buffer : buffers) {
    block_request.buffers.push_back(host_view(session_->memory(), buffer, is_read));
  }
  request.data_written = is_read ? size : 0;
  request.changes_image = !is_read;
  request.parts_left = 1;
  submit(request, std::move(block_request));
}

void VirtioBlk::flush(Request& request) {
  BlockRequest block_request;
  block_request.operation = BlockOperation::kFlush;
  request.is_flushing = true;
  request.parts_left = 1;
  submit(request, std::move(block_request));
}

/// Discard and write-zeroes: an array of ranges (section 5.2.6.2 says which to refuse how).
void VirtioBlk::change_ranges(Request& request, BlockOperation operation) {
  using Range = virtio_blk_discard_write_zeroes;
  const bool is_discard = operation == BlockOperation::kDiscard;
  const std::uint64_t size = request.data_out_bytes();
  const std::uint64_t count = size / sizeof(Range);
  if (size % sizeof(Range) != 0 || count == 0 || count > kMaxRanges ||
      wiring_.image.info().read_only) {
    return answer(request, VIRTIO_BLK_S_IOERR);
  }
  std::array<Range, kMaxRanges> storage{};
  const auto ranges = std::span(storage).first(count);
  request.chain.read(session_->memory(), sizeof request.header, std::as_writable_bytes(ranges));
  const std::uint32_t known_flags = is_discard ? 0 : VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP;
  const std::uint32_t limit = is_discard ? kMaxDiscardSectors : kMaxZeroSectors;
  for (const Range& range : ranges) {
    if ((range.flags & ~known_flags) != 0) return answer(request, VIRTIO_BLK_S_UNSUPP);
    const bool is_valid = range.num_sectors > 0 && range.num_sectors <= limit &&
                          fits(range.sector, std::uint64_t{range.num_sectors} * kSectorSize);
    if (!is_valid) return answer(request, VIRTIO_BLK_S_IOERR);
  }
  request.changes_image = true;
  request.parts_left = static_cast<unsigned>(count);
  for (const Range& range : ranges) {
    BlockRequest block_request;
    block_request.operation = operation;
    block_request.offset = range.sector * kSectorSize;
    block_request.size = std::uint64_t{range.num_sectors} * kSectorSize;
    block_request.may_unmap = (range.flags & VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP) != 0;
    submit(request, std::move(block_request));
  }
}

/// The serial number, padded with zeroes; as much of it as there is room for.
void VirtioBlk::send_serial(Request& request) {
  std::array<char, VIRTIO_BLK_ID_BYTES> serial{};
  wiring_.serial.copy(serial.data(), serial.size());
  const auto size = std::min<std::uint64_t>(serial.size(), request.data_in_bytes());
  request.data_written =
      request.chain.write(session_->memory(), 0, std::as_bytes(std::span(serial)).first(size));
  answer(request, VIRTIO_BLK_S_OK);
}

void VirtioBlk::submit(Request& request, BlockRequest block_request) {
  block_request.done = [this, &request](int error) { part_done(request, error); };
  wiring_.image.submit(std::move(block_request));
}

void VirtioBlk::part_done(Request& request, int error) {
  if (request.error == 0) request.error = error;
  if (--request.parts_left > 0) return;
  if (request.error == 0 && needs_flush_after(request)) return flush(request);
  mark_written(request);
  answer(request, status_of(request.error));
}

bool VirtioBlk::needs_flush_after(const Request& request) const {
  const bool is_write_through = (session_->features() & feature_bit(VIRTIO_BLK_F_FLUSH)) == 0;
  return is_write_through && request.changes_image && !request.is_flushing;
}

/// Marks the pages of a read dirty once more: if somebody read and cleared the dirty log after the
/// submission, the data that came later would be missing from it.
void VirtioBlk::mark_written(const Request& request) const {
  if (request.data_written == 0) return;
  for (const VirtBuffer& buffer : request.chain.writable) {
    session_->memory().writable_slice(buffer.address, buffer.size);
  }
}

/// Writes the status byte, after all data, and returns the request to the driver.
void VirtioBlk::answer(Request& request, std::uint8_t status) {
  const VirtBuffer& last = request.chain.writable.back();
  session_->memory().store(last.address + (last.size - 1), status);
  // A failed read may have filled any part, so none of it is promised to the driver.
  const std::uint64_t data = status == VIRTIO_BLK_S_OK ? request.data_written : 0;
  session_->queue(request.queue).push(request.chain, static_cast<std::uint32_t>(data + 1));
  answered_[request.queue] = true;
  free_.push_back(&request);
}

/// One look at interrupt suppression for each queue that had answers since the last one.
void VirtioBlk::interrupt_queues() {
  for (unsigned i = 0; i < wiring_.queues; ++i) {
    if (answered_[i]) session_->interrupt_if_needed(i);
    answered_[i] = false;
  }
}

}  // namespace stasis::devices
