#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "base/result.h"
#include "devices/interrupts.h"
#include "devices/io_handler.h"

namespace stasis::devices {

/// One entry of an MSI-X table (PCI Local Bus 3.0, section 6.8.2.6 and on).
struct MsixEntryState {
  std::uint64_t address = 0;
  std::uint32_t data = 0;
  bool masked = true;
  bool pending = false;  ///< its bit in the pending bit array
  bool operator==(const MsixEntryState&) const = default;

  template <typename Self, typename Fields>
  static void describe(Self& self, Fields& fields) {
    auto& [a, d, m, p] = self;
    fields("address", a)("data", d)("masked", m)("pending", p);
  }
};

struct MsixState {
  bool enabled = false;          ///< message control, bit 15
  bool function_masked = false;  ///< message control, bit 14
  std::vector<MsixEntryState> entries;
  bool operator==(const MsixState&) const = default;

  template <typename Self, typename Fields>
  static void describe(Self& self, Fields& fields) {
    auto& [e, m, list] = self;
    fields("enabled", e)("function_masked", m)("entries", list);
  }
};

/// MSI-X: the table, the pending bit array and the two control bits of the capability. Signals of
/// a masked entry, or while the function may not master the bus, wait as pending bits.
/// Threads: any. Its lock is a leaf: only MsiVector is called under it.
class MsixTable {
 public:
  using State = MsixState;
  static constexpr std::uint64_t kEntrySize = 16;
  static constexpr unsigned kMaxVectors = 256;  ///< ours: the table is one page

  /// `count` sources from `vectors`, asked for in order; a state that has no entries is a reset
  /// one. Entries that can send are routed at once; `bus_master` is as in `set_bus_master`. Errors:
  /// the state has another number of entries, or a source could not be had.
  static base::Result<std::unique_ptr<MsixTable>> create(MsiVectors& vectors, unsigned count,
                                                         State state = {}, bool bus_master = true);

  unsigned count() const { return static_cast<unsigned>(vectors_.size()); }

  /// Sends the vector's message, or sets its pending bit. Nothing while MSI-X is disabled or for a
  /// vector beyond the table.
  void signal(unsigned vector);

  /// Sends the message only if that is possible now: for signals that may have been lost on the way
  /// to a controller whose state was saved.
  void repeat(unsigned vector);

  /// Message control (section 6.8.2.3): the table's size, and bits 15 and 14 which are writable.
  std::uint16_t control() const;
  void set_control(std::uint16_t value);
  bool is_enabled() const;

  /// Messages are writes to memory: none leave while the function is no bus master.
  void set_bus_master(bool allowed);

  /// Table and pending bits, by offset; accesses of any width and alignment. Beyond the end reads
  /// are zero and writes ignored.
  std::uint64_t read_table(IoAccess access) const;
  void write_table(IoAccess access, std::uint64_t value);
  std::uint64_t read_pending(IoAccess access) const;

  State save() const;

 private:
  MsixTable(std::vector<std::unique_ptr<MsiVector>> vectors, State state, bool bus_master);
  bool can_send(unsigned vector) const;
  void update(unsigned vector);
  void update_all();

  mutable std::mutex mutex_;
  State state_;
  bool bus_master_;
  std::vector<std::unique_ptr<MsiVector>> vectors_;
  std::vector<std::optional<MsiMessage>> routed_;  // what each vector was last told
};

}  // namespace stasis::devices
