#pragma once

#include <cstdint>
#include <mutex>
#include <string_view>

#include "devices/checkpointable.h"
#include "devices/legacy/byte_io_handler.h"
#include "devices/machine_events.h"

namespace stasis::devices {

struct PvPanicState {
  static constexpr std::string_view kName = "pvpanic";
  static constexpr std::uint32_t kVersion = 1;

  bool panicked = false;  ///< the guest reported a crash that the host has to act on

  bool operator==(const PvPanicState&) const = default;
  template <typename Self, typename Fields>
  static void describe(Self& self, Fields& fields) {
    auto& [a] = self;
    fields("panicked", a);
  }
};

/// Paravirtual panic port (QEMU docs/specs/pvpanic, ISA interface; Linux <misc/pvpanic.h>): one
/// byte register, reads as the events it knows, a write reports one. The DSDT declares it as
/// "QEMU0001". Missing: the shutdown event (bit 2); guests switch off by ACPI. Threads: any. Saved:
/// PvPanicState.
class PvPanic final : public ByteIoHandler {
 public:
  using State = PvPanicState;
  struct Wiring {
    MachineEvents& events;
  };

  explicit PvPanic(Wiring wiring, State state = {});

  std::string_view name() const override { return "pvpanic"; }
  State save() const;

 private:
  std::uint8_t read_byte(std::uint64_t offset) override;
  void write_byte(std::uint64_t offset, std::uint8_t value) override;

  const Wiring wiring_;
  mutable std::mutex mutex_;
  State state_;  // guarded by mutex_
};
static_assert(Checkpointable<PvPanic>);

}  // namespace stasis::devices
