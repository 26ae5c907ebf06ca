#pragma once

#include <sys/uio.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <string_view>
#include <vector>

namespace stasis::devices {

/// Size of a virtio and ATA sector: the unit in which an image's size is counted.
inline constexpr std::uint64_t kSectorSize = 512;

enum class BlockOperation : std::uint8_t {
  kRead,
  kWrite,
  kFlush,        ///< what completed before the flush was submitted is on stable storage
  kDiscard,      ///< contents become undefined; a hint that an image may ignore
  kWriteZeroes,  ///< contents become zero
};

/// One request to an image.
struct BlockRequest {
  BlockOperation operation = BlockOperation::kRead;
  std::uint64_t offset = 0;    ///< bytes; ignored by a flush
  std::uint64_t size = 0;      ///< bytes; for read and write the sum of `buffers`
  std::vector<iovec> buffers;  ///< read and write: host memory, valid and untouched until `done`
  bool may_unmap = false;      ///< write-zeroes: may give the space back to the host

  /// Called once: 0, or an errno value. After an error any part may have been done.
  std::function<void(int error)> done;
};

/// Which file of the host an image is.
struct ImageIdentity {
  std::uint64_t device = 0;
  std::uint64_t inode = 0;
  bool operator==(const ImageIdentity&) const = default;
};

/// What does not change while an image is open.
struct BlockImageInfo {
  std::uint64_t size_bytes = 0;              ///< a multiple of `block_size`, not zero
  std::uint32_t block_size = kSectorSize;    ///< smallest unit of a request
  std::uint32_t physical_block_size = 4096;  ///< smallest unit without read-modify-write
  bool read_only = false;
  ImageIdentity identity;
};

/// A disk's contents, asynchronous. Requests are not ordered among each other: whoever needs an
/// order waits for the first before submitting the second. Any number may be in flight.
/// Threads: everything on the event loop the image was opened with, or while that is parked.
class BlockImage {
 public:
  /// No deadline for `drain`.
  static constexpr auto kForever = std::chrono::steady_clock::time_point::max();

  virtual ~BlockImage() = default;

  virtual std::string_view name() const = 0;  ///< the path, for logs and errors
  virtual const BlockImageInfo& info() const = 0;

  /// Takes a request; `kick` starts it. `done` is never called from inside `submit` or `kick`, only
  /// from the event loop or from `drain`. A request outside the image ends with EINVAL, a change of
  /// a read-only image with EROFS.
  virtual void submit(BlockRequest request) = 0;

  /// Hands everything submitted to the host, in one system call where possible.
  virtual void kick() = 0;

  /// Finishes what is in flight, calling `done` of each; false when `deadline` passed first.
  /// Requests that `done` callbacks submit are waited for too.
  virtual bool drain(std::chrono::steady_clock::time_point deadline) = 0;

  /// `listener` is called after each group of `done` calls, so that one interrupt covers the group.
  /// One listener; an empty function removes it.
  virtual void set_group_listener(std::function<void()> listener) = 0;
};

}  // namespace stasis::devices
