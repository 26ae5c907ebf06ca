#pragma once

#include <sys/uio.h>

#include <cerrno>
#include <cstddef>
#include <cstring>
#include <utility>
#include <vector>

#include "devices/block/block_image.h"

namespace stasis::devices::testing {

/// An image in memory that keeps requests until `drain`, or until `complete` is told to let some
/// go. Remembers what was asked for. Threads: one.
class MemoryImage final : public BlockImage {
 public:
  struct Seen {
    BlockOperation operation;
    std::uint64_t offset;
    std::uint64_t size;
    bool may_unmap;
    bool operator==(const Seen&) const = default;
  };

  explicit MemoryImage(std::uint64_t size, bool read_only = false) : bytes_(size) {
    info_.size_bytes = size;
    info_.read_only = read_only;
  }

  std::string_view name() const override { return "memory"; }
  const BlockImageInfo& info() const override { return info_; }
  void submit(BlockRequest request) override {
    seen_.push_back({request.operation, request.offset, request.size, request.may_unmap});
    waiting_.push_back(std::move(request));
  }
  void kick() override { ++kicks_; }
  bool drain(std::chrono::steady_clock::time_point) override {
    if (is_stuck_) return false;
    while (!waiting_.empty()) complete(waiting_.size());
    return true;
  }
  void set_group_listener(std::function<void()> listener) override {
    listener_ = std::move(listener);
  }

  /// Ends the oldest `count` requests as one group.
  void complete(std::size_t count) {
    std::vector<BlockRequest> ending;
    while (ending.size() < count && !waiting_.empty()) {
      ending.push_back(std::move(waiting_.front()));
      waiting_.erase(waiting_.begin());
    }
    for (BlockRequest& request : ending) request.done(perform(request));
    if (listener_ && !ending.empty()) listener_();
  }

  void fail_with(int error) { error_ = error; }
  void get_stuck(bool is_stuck) { is_stuck_ = is_stuck; }
  std::vector<std::byte>& bytes() { return bytes_; }
  const std::vector<Seen>& seen() const { return seen_; }
  std::size_t in_flight() const { return waiting_.size(); }
  unsigned kicks() const { return kicks_; }

 private:
  int perform(const BlockRequest& request) {
    if (error_ != 0) return error_;
    if (request.operation == BlockOperation::kFlush) return 0;
    // A device lets no such request through; the fuzzer finds out by this.
    if (request.offset > bytes_.size() || request.size > bytes_.size() - request.offset) abort();
    if (info_.read_only && request.operation != BlockOperation::kRead) abort();
    std::byte* at = bytes_.data() + request.offset;
    if (request.operation == BlockOperation::kWriteZeroes) std::memset(at, 0, request.size);
    for (const iovec& buffer : request.buffers) {
      const bool is_read = request.operation == BlockOperation::kRead;
      std::memcpy(is_read ? buffer.iov_base : at, is_read ? at : buffer.iov_base, buffer.iov_len);
      at += buffer.iov_len;
    }
    return 0;
  }

  BlockImageInfo info_;
  std::vector<std::byte> bytes_;
  std::vector<BlockRequest> waiting_;
  std::vector<Seen> seen_;
  std::function<void()> listener_;
  int error_ = 0;
  bool is_stuck_ = false;
  unsigned kicks_ = 0;
};

}  // namespace stasis::devices::testing
