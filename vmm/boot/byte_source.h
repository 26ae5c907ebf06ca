#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <utility>

#include "base/fd.h"
#include "base/result.h"

namespace stasis::vmm {

/// Bytes of known length that can be read at any offset. Threads: one at a time.
class ByteSource {
 public:
  virtual ~ByteSource() = default;
  virtual std::uint64_t size_bytes() const = 0;

  /// Fills all of `out` from `offset` on. Bytes past the end are an error (kCorrupt).
  virtual base::Status read(std::uint64_t offset, std::span<std::byte> out) const = 0;
};

/// A regular file, read with pread(2) straight into where the bytes are wanted.
class FileSource final : public ByteSource {
 public:
  /// Errors say why; the caller adds what the file was wanted for. A folder, a pipe or a device is
  /// refused.
  static base::Result<FileSource> open(const std::string& path);

  std::uint64_t size_bytes() const override { return size_; }
  base::Status read(std::uint64_t offset, std::span<std::byte> out) const override;

 private:
  FileSource(base::Fd fd, std::uint64_t size) : fd_(std::move(fd)), size_(size) {}

  base::Fd fd_;
  std::uint64_t size_;
};

/// Bytes in memory; a view.
class MemorySource final : public ByteSource {
 public:
  explicit MemorySource(std::span<const std::byte> bytes) : bytes_(bytes) {}

  std::uint64_t size_bytes() const override { return bytes_.size(); }
  base::Status read(std::uint64_t offset, std::span<std::byte> out) const override;

 private:
  std::span<const std::byte> bytes_;
};

/// One trivially copyable object of `source` at `offset`, little-endian as on disk.
template <typename T>
base::Result<T> read_object(const ByteSource& source, std::uint64_t offset) {
  T value{};
  TRY(source.read(offset, std::as_writable_bytes(std::span(&value, 1))));
  return value;
}

}  // namespace stasis::vmm
