#pragma once

#include <cstdint>
#include <vector>

#include "base/result.h"
#include "devices/io_handler.h"

namespace stasis::devices {

/// An address space (ports, or memory-mapped I/O) that hands accesses to its handlers.
/// Threads: `add` before the first vCPU runs, the rest from any thread without a lock.
class IoBus {
 public:
  /// Puts `handler` at [start, start + size). Refuses an empty, wrapping or overlapping range.
  /// The handler must outlive the bus.
  base::Status add(std::uint64_t start, std::uint64_t size, IoHandler& handler);

  /// All ones where nobody answers; an access across the end of a range counts as nobody's.
  std::uint64_t read(std::uint64_t address, unsigned width) const;

  /// Ignored where nobody answers.
  void write(std::uint64_t address, unsigned width, std::uint64_t value) const;

 private:
  struct Range {
    std::uint64_t start;
    std::uint64_t size;
    IoHandler* handler;
  };

  const Range* find(std::uint64_t address, unsigned width) const;

  std::vector<Range> ranges_;  // sorted by start
};

}  // namespace stasis::devices
