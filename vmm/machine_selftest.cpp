#include "vmm/machine_selftest.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/state_item.h"
#include "vmm/machine_builder.h"
#include "vmm/machine_restore.h"

namespace stasis::vmm {
namespace {

constexpr std::size_t kApicCurrentCount = 0x390;  // Intel SDM volume 3A, table 10-1
constexpr int kTries = 3;

class NoConsole final : public devices::ByteSink {
 public:
  void write(std::span<const std::uint8_t> /*bytes*/) override {}
};

MachineState without_time(MachineState state) {
  state.vm.clock = {};
  const std::uint64_t first = state.vcpus.empty() ? 0 : state.vcpus.front().tsc;
  for (VcpuState& vcpu : state.vcpus) {
    vcpu.tsc -= first;
    std::fill_n(vcpu.lapic.begin() + kApicCurrentCount, sizeof(std::uint32_t), std::uint8_t{0});
  }
  return state;
}

base::Result<MachineState> restore_and_save(const MachineParts& parts, const MachineState& state) {
  NoConsole console;
  const auto second = TRY(rebuild_machine(
      parts.config, {console},
      {TRY(GroundAhead::begin_on(GuestRam::alias(parts.ram), GroundAhead::Purpose::kRestore).get()),
       state, state.platform, PciDevices::HostSide::kAbsent}));
  TRY(restore_kvm_state(*second, state, ClockPolicy::kCatchUp));
  return save_parts(*second);
}

}  // namespace

std::optional<std::string> difference(const MachineState& found, const MachineState& wanted) {
  const auto a = encode_machine_state(without_time(found));
  const auto b = encode_machine_state(without_time(wanted));
  for (std::size_t i = 0; i < std::min(a.size(), b.size()); ++i) {
    if (a[i].name != b[i].name) return fmt::format("section {}, not {}", a[i].name, b[i].name);
    if (const auto where = base::first_difference(a[i].cbor, b[i].cbor)) {
      return fmt::format("section {}: {}", b[i].name, *where);
    }
  }
  if (a.size() != b.size()) return fmt::format("{} sections, not {}", a.size(), b.size());
  return std::nullopt;
}

base::Result<std::string> test_state(const MachineParts& parts, const MachineState& state) {
  const auto sections = encode_machine_state(state);
  const MachineState decoded = TRY(decode_machine_state(sections));
  std::optional<std::string> where;
  // More than once, because the kernel's timer goes on: it may tick between restore and save.
  for (int i = 0; i < kTries; ++i) {
    where = difference(TRY(restore_and_save(parts, decoded)), state);
    if (!where) break;
  }
  if (where) {
    return base::fail(base::ErrorKind::kCorrupt,
                      fmt::format("the restored machine's state differs: {}", *where));
  }
  std::size_t bytes = 0;
  for (const auto& section : sections) bytes += section.cbor.size();
  return fmt::format("{} sections, {} bytes: equal after save, restore and save", sections.size(),
                     bytes);
}

}  // namespace stasis::vmm
