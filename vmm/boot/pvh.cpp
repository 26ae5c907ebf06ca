#include "vmm/boot/pvh.h"

#include "base/check.h"
#include "vmm/machine_layout.h"

namespace stasis::vmm::pvh {
namespace {

constexpr std::uint64_t kModuleAt = layout::kPvhStartInfo + sizeof(StartInfo);
constexpr std::uint64_t kMapAt = kModuleAt + sizeof(Module);

template <typename T>
void store(const base::GuestMemory& memory, std::uint64_t address, const T& value) {
  STASIS_CHECK(memory.store(base::GuestAddress{address}, value));
}

}  // namespace

void write_start_info(const base::GuestMemory& memory, const BootRange& initrd) {
  const auto map = build_memory_map(memory);
  STASIS_CHECK(kMapAt + map.size() * sizeof(MapEntry) <= layout::kZeroPage);
  StartInfo info;
  info.cmdline = layout::kCmdline;
  info.rsdp = layout::kAcpiTables;
  info.memory_map = kMapAt;
  info.memory_map_entries = static_cast<std::uint32_t>(map.size());
  if (initrd.end > initrd.start) {
    info.module_count = 1;
    info.modules = kModuleAt;
    store(memory, kModuleAt, Module{initrd.start, initrd.end - initrd.start, 0, 0});
  }
  store(memory, layout::kPvhStartInfo, info);
  std::uint64_t at = kMapAt;
  for (const auto& range : map) {
    const auto type = static_cast<std::uint32_t>(range.kind);
    store(memory, at, MapEntry{range.start, range.size, type, 0});
    at += sizeof(MapEntry);
  }
}

}  // namespace stasis::vmm::pvh
