#include "vmm/guest_ram.h"

#include <fmt/format.h>
#include <sys/mman.h>

#include <algorithm>

#include "vmm/machine_layout.h"

namespace stasis::vmm {

base::Result<GuestRam> GuestRam::allocate(std::uint64_t size_bytes) {
  GuestRam ram;
  const std::uint64_t low = std::min(size_bytes, layout::kLowRamEnd);
  TRY(ram.add({0}, low));
  if (size_bytes > low) TRY(ram.add({layout::kHighRamStart}, size_bytes - low));
  return ram;
}

GuestRam GuestRam::alias(const GuestRam& other) {
  GuestRam ram;
  ram.regions_ = other.regions_;
  return ram;
}

base::Status GuestRam::add(base::GuestAddress start, std::uint64_t size_bytes) {
  auto mapping = base::Mapping::anonymous(size_bytes);
  if (!mapping) return base::fail(mapping.error().with_context("guest memory"));
  // Both are wishes: without huge pages the guest is slower, with RAM in a core dump it is fatter.
  ::madvise(mapping->data(), mapping->size(), MADV_HUGEPAGE);
  ::madvise(mapping->data(), mapping->size(), MADV_DONTDUMP);
  regions_.push_back({start, mapping->bytes()});
  mappings_.push_back(std::move(*mapping));
  return {};
}

}  // namespace stasis::vmm
