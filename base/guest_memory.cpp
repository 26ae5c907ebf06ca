#include "base/guest_memory.h"

#include <algorithm>

namespace stasis::base {

std::uint64_t GuestMemory::size_bytes() const {
  std::uint64_t sum = 0;
  for (const auto& region : regions_) sum += region.bytes.size();
  return sum;
}

std::span<std::byte> GuestMemory::find(GuestAddress start, std::uint64_t size) const {
  for (const auto& region : regions_) {
    if (start < region.start) break;
    const std::uint64_t offset = start.value - region.start.value;
    // Subtractions only: `start + size` may overflow, the guest chooses both.
    if (offset < region.bytes.size() && size <= region.bytes.size() - offset) {
      return region.bytes.subspan(offset, size);
    }
  }
  return {};
}

std::optional<std::span<const std::byte>> GuestMemory::slice(GuestAddress start,
                                                             std::uint64_t size) const {
  const auto found = find(start, size);
  if (found.data() == nullptr) return std::nullopt;
  return found;
}

std::optional<std::span<std::byte>> GuestMemory::writable_slice(GuestAddress start,
                                                                std::uint64_t size) const {
  const auto found = find(start, size);
  if (found.data() == nullptr) return std::nullopt;
  if (marks_ != nullptr) marks_->mark(start, size);
  return found;
}

bool GuestMemory::read(GuestAddress start, std::span<std::byte> out) const {
  const auto from = find(start, out.size());
  if (from.data() == nullptr) return false;
  std::copy(from.begin(), from.end(), out.begin());  // none at all, too: memcpy would not take it
  return true;
}

bool GuestMemory::write(GuestAddress start, std::span<const std::byte> in) const {
  const auto to = writable_slice(start, in.size());
  if (!to) return false;
  std::copy(in.begin(), in.end(), to->begin());
  return true;
}

}  // namespace stasis::base
