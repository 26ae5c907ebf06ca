#pragma once

#include <array>
#include <atomic>
#include <cstring>
#include <deque>
#include <functional>
#include <random>
#include <set>
#include <vector>

#include "devices/block/layered_disk.h"

namespace stasis::devices::testing {

inline constexpr unsigned kSlots = 40;
inline constexpr std::uint64_t kSlotBytes = 8192;
inline constexpr std::uint64_t kScratchStart = 2 << 20;
inline constexpr std::uint64_t kSlotDiskBytes = 4 << 20;

/// What a writer promises, in memory that outlives it. Every slot has a version, which each of its
/// sectors repeats: after any crash it lies between `flushed` and `started`.
struct SlotRecord {
  std::array<std::atomic<std::uint32_t>, kSlots> started{};
  std::array<std::atomic<std::uint32_t>, kSlots> flushed{};
  std::atomic<std::uint32_t> overlays{0};  ///< that belong to the disk, published before the switch
  std::atomic<std::uint64_t> calls{0};
};

/// Work on a disk of slots and of a scratch area behind them, whose contents nobody cares about.
class SlotWriter {
 public:
  SlotWriter(LayeredDisk& disk, SlotRecord& record, unsigned seed)
      : disk_(disk), record_(record), random_(seed) {
    for (unsigned i = 0; i < kSlots; ++i) written_[i] = record.flushed[i];
  }

  static std::uint64_t offset_of(unsigned slot) { return slot * 40960 + slot % 3 * 512; }

  /// Writes a few slots and does a few things to the scratch area, all at once. False on an error.
  bool write_some() {
    errors_ = 0;
    buffers_.clear();
    std::set<unsigned> chosen;
    for (int i = 0; i < 4; ++i) chosen.insert(random() % kSlots);
    for (const unsigned slot : chosen) write_slot(slot);
    scratch();
    disk_.kick();
    disk_.drain(BlockImage::kForever);
    return errors_ == 0;
  }

  bool flush() {
    std::array<std::uint32_t, kSlots> versions;
    for (unsigned i = 0; i < kSlots; ++i) versions[i] = written_[i];
    errors_ = 0;
    BlockRequest request;
    request.operation = BlockOperation::kFlush;
    submit(std::move(request));
    disk_.kick();
    disk_.drain(BlockImage::kForever);
    if (errors_ != 0) return false;
    for (unsigned i = 0; i < kSlots; ++i) record_.flushed[i] = versions[i];
    return true;
  }

 private:
  unsigned random() { return static_cast<unsigned>(random_()); }

  void submit(BlockRequest request, const std::function<void()>& on_success = {}) {
    request.done = [this, on_success](int error) {
      if (error != 0) {
        ++errors_;
      } else if (on_success) {
        on_success();
      }
    };
    disk_.submit(std::move(request));
  }

  void write_slot(unsigned slot) {
    const std::uint32_t version = ++record_.started[slot];
    auto& buffer = buffers_.emplace_back(kSlotBytes);
    for (std::uint64_t at = 0; at < kSlotBytes; at += 512) {
      std::memcpy(buffer.data() + at, &version, sizeof version);
    }
    submit_buffer(offset_of(slot), buffer, [this, slot, version] { written_[slot] = version; });
  }

  void submit_buffer(std::uint64_t offset, std::vector<std::byte>& buffer,
                     const std::function<void()>& on_success = {}) {
    BlockRequest request;
    request.operation = BlockOperation::kWrite;
    request.offset = offset;
    request.size = buffer.size();
    request.buffers = {{buffer.data(), buffer.size()}};
    submit(std::move(request), on_success);
  }

  void scratch() {
    BlockRequest request;
    request.offset = kScratchStart + 65536 * (random() % 28);
    request.size = 65536 * (1 + random() % 4);
    request.may_unmap = true;
    const unsigned choice = random() % 3;
    if (choice == 0) {
      return submit_buffer(request.offset, buffers_.emplace_back(request.size, std::byte{1}));
    }
    request.operation = choice == 1 ? BlockOperation::kDiscard : BlockOperation::kWriteZeroes;
    submit(std::move(request));
  }

  LayeredDisk& disk_;
  SlotRecord& record_;
  std::mt19937 random_;
  std::deque<std::vector<std::byte>> buffers_;
  std::array<std::uint32_t, kSlots> written_{};  // versions whose write succeeded
  int errors_ = 0;
};

}  // namespace stasis::devices::testing
