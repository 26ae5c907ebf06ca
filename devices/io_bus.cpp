#include "devices/io_bus.h"

#include <fmt/format.h>

#include <algorithm>

namespace stasis::devices {

base::Status IoBus::add(std::uint64_t start, std::uint64_t size, IoHandler& handler) {
  const std::uint64_t last = start + size - 1;
  if (size == 0 || last < start) {
    return base::fail(
        base::ErrorKind::kInternal,
        fmt::format("{}: range {:#x}+{:#x} is empty or wraps", handler.name(), start, size));
  }
  const auto next = std::find_if(ranges_.begin(), ranges_.end(), [&](const Range& range) {
    return range.start + range.size - 1 >= start;
  });
  if (next != ranges_.end() && next->start <= last) {
    return base::fail(base::ErrorKind::kInternal,
                      fmt::format("{}: range {:#x}+{:#x} overlaps {}", handler.name(), start, size,
                                  next->handler->name()));
  }
  ranges_.insert(next, Range{start, size, &handler});
  return {};
}

const IoBus::Range* IoBus::find(std::uint64_t address, unsigned width) const {
  auto after = std::upper_bound(
      ranges_.begin(), ranges_.end(), address,
      [](std::uint64_t wanted, const Range& range) { return wanted < range.start; });
  if (after == ranges_.begin()) return nullptr;
  const Range& range = *--after;
  const std::uint64_t offset = address - range.start;
  return offset < range.size && width <= range.size - offset ? &range : nullptr;
}

std::uint64_t IoBus::read(std::uint64_t address, unsigned width) const {
  const Range* range = find(address, width);
  if (range == nullptr) return all_ones(width);
  return range->handler->read({address - range->start, width}) & all_ones(width);
}

void IoBus::write(std::uint64_t address, unsigned width, std::uint64_t value) const {
  const Range* range = find(address, width);
  if (range != nullptr) {
    range->handler->write({address - range->start, width}, value & all_ones(width));
  }
}

}  // namespace stasis::devices
