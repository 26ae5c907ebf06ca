#pragma once

#include <cstddef>
#include <span>

#include "base/fd.h"
#include "base/result.h"

namespace stasis::base {

/// Owner of one memory mapping; unmaps it once. Empty when default-constructed or moved from.
class Mapping {
 public:
  /// `size_bytes` of private zero pages that cost nothing until touched (MAP_NORESERVE), aligned
  /// to 2 MiB when at least that large, so that transparent huge pages can back them.
  static Result<Mapping> anonymous(std::size_t size_bytes);

  /// `size_bytes` of zero pages that this process and its forked children share.
  static Result<Mapping> shared_anonymous(std::size_t size_bytes);

  /// `size_bytes` of `fd` from offset 0, shared, readable and writable.
  static Result<Mapping> shared(const Fd& fd, std::size_t size_bytes);

  Mapping() = default;
  Mapping(Mapping&& other) noexcept;
  Mapping& operator=(Mapping&& other) noexcept;
  ~Mapping();

  std::byte* data() const { return data_; }
  std::size_t size() const { return size_; }
  std::span<std::byte> bytes() const { return {data_, size_}; }

 private:
  Mapping(void* data, std::size_t size) : data_(static_cast<std::byte*>(data)), size_(size) {}

  std::byte* data_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace stasis::base
