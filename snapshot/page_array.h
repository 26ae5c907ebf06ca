#pragma once

#include <sys/mman.h>

#include <algorithm>
#include <cstddef>
#include <span>
#include <type_traits>
#include <utility>

namespace stasis::snapshot {

/// An array that grows in memory mapped for it alone: for code that runs where malloc may not, in
/// the child of a process with several threads.
template <typename T>
class PageArray {
  static_assert(std::is_trivially_copyable_v<T>);

 public:
  PageArray() = default;
  PageArray(const PageArray&) = delete;
  PageArray& operator=(const PageArray&) = delete;
  ~PageArray() {
    if (data_ != nullptr) ::munmap(data_, capacity_ * sizeof(T));
  }

  /// False when the host has no memory.
  bool push(const T& value) {
    if (size_ == capacity_ && !grow(std::max(capacity_ * 2, kFirst))) return false;
    data_[size_++] = value;
    return true;
  }

  /// Makes it `size` items, the new ones zero; never fewer. False when the host has no memory.
  bool extend(std::size_t size) {
    if (size > capacity_ && !grow(size)) return false;
    size_ = std::max(size, size_);
    return true;
  }

  std::size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  T& operator[](std::size_t i) { return data_[i]; }
  const T& operator[](std::size_t i) const { return data_[i]; }
  T& back() { return data_[size_ - 1]; }
  std::span<T> items() { return {data_, size_}; }
  std::span<const T> items() const { return {data_, size_}; }

 private:
  static constexpr std::size_t kFirst = (std::size_t{64} << 10) / sizeof(T);

  bool grow(std::size_t capacity) {
    const std::size_t bytes = capacity * sizeof(T);
    void* grown = data_ == nullptr ? ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE,
                                            MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0)
                                   : ::mremap(data_, capacity_ * sizeof(T), bytes, MREMAP_MAYMOVE);
    if (grown == MAP_FAILED) return false;
    data_ = static_cast<T*>(grown);
    capacity_ = capacity;
    return true;
  }

  T* data_ = nullptr;
  std::size_t size_ = 0;
  std::size_t capacity_ = 0;
};

}  // namespace stasis::snapshot
