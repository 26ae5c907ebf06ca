#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <type_traits>
#include <vector>

#include "base/result.h"

namespace stasis::base {

/// A guest-physical address. Never converts to or from a host pointer by itself.
struct GuestAddress {
  std::uint64_t value = 0;

  constexpr GuestAddress operator+(std::uint64_t offset) const { return {value + offset}; }
  constexpr auto operator<=>(const GuestAddress&) const = default;
};

/// Told of every write that this program makes into guest RAM, because KVM's dirty log records
/// those of the guest only. Threads: called from any.
class DirtyMarks {
 public:
  virtual ~DirtyMarks() = default;
  virtual void mark(GuestAddress start, std::size_t size_bytes) = 0;
};

/// One piece of RAM: `bytes.size()` bytes of guest-physical memory from `start` on.
struct MemoryRegion {
  GuestAddress start;
  std::span<std::byte> bytes;
};

/// The guest's RAM as this program sees it: a view, it owns nothing. Every access is checked
/// against the regions and for overflow. Guest RAM changes under our feet: copy a structure once,
/// then check the copy. Threads: any, the layout never changes.
class GuestMemory {
 public:
  GuestMemory() = default;

  /// `regions` sorted by address and apart from each other; `marks` may be null.
  explicit GuestMemory(std::vector<MemoryRegion> regions, DirtyMarks* marks = nullptr)
      : regions_(std::move(regions)), marks_(marks) {}

  const std::vector<MemoryRegion>& regions() const { return regions_; }

  /// Sum of all regions.
  std::uint64_t size_bytes() const;

  /// Host view of [start, start + size) for reading, or nothing unless all of it is in one region.
  std::optional<std::span<const std::byte>> slice(GuestAddress start, std::uint64_t size) const;

  /// Host view for writing; marks all of it dirty, so ask when the write is about to happen.
  std::optional<std::span<std::byte>> writable_slice(GuestAddress start, std::uint64_t size) const;

  /// Copies out of or into RAM; false, with nothing copied, when the range is not all RAM.
  bool read(GuestAddress start, std::span<std::byte> out) const;
  bool write(GuestAddress start, std::span<const std::byte> in) const;

  /// Copies one trivially copyable object out of RAM (little-endian, no alignment needed).
  template <typename T>
  std::optional<T> load(GuestAddress start) const {
    static_assert(std::is_trivially_copyable_v<T>);
    T value;
    if (!read(start, std::as_writable_bytes(std::span(&value, 1)))) return std::nullopt;
    return value;
  }

  /// Copies one object into RAM; false when the range is not all RAM.
  template <typename T>
  bool store(GuestAddress start, const T& value) const {
    static_assert(std::is_trivially_copyable_v<T>);
    return write(start, std::as_bytes(std::span(&value, 1)));
  }

 private:
  std::span<std::byte> find(GuestAddress start, std::uint64_t size) const;

  std::vector<MemoryRegion> regions_;
  DirtyMarks* marks_ = nullptr;
};

}  // namespace stasis::base
