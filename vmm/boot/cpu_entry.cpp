#include "vmm/boot/cpu_entry.h"

#include <array>
#include <cstddef>

#include "base/check.h"
#include "vmm/machine_layout.h"

namespace stasis::vmm {
namespace {

// Intel SDM volume 3, sections 2.5 (control registers), 2.2.1 (EFER) and 3.4.5.1 (segment types)
constexpr std::uint64_t kCr0ProtectedMode = 1 << 0;
constexpr std::uint64_t kCr0ExtensionType = 1 << 4;
constexpr std::uint64_t kCr0Paging = 1U << 31;
constexpr std::uint64_t kCr4PhysicalAddressExtension = 1 << 5;
constexpr std::uint64_t kEferLongModeEnable = 1 << 8;
constexpr std::uint64_t kEferLongModeActive = 1 << 10;
constexpr std::uint8_t kReadWriteAccessed = 0x3;
constexpr std::uint8_t kExecuteReadAccessed = 0xB;
constexpr std::uint8_t kBusyTask = 0xB;

// Linux' boot protocol wants exactly these (__BOOT_CS, __BOOT_DS)
constexpr std::uint16_t kCodeSelector = 0x10;
constexpr std::uint16_t kDataSelector = 0x18;
constexpr std::uint16_t kTaskSelector = 0x20;

constexpr std::uint64_t kPagePresent = 1 << 0;
constexpr std::uint64_t kPageWritable = 1 << 1;
constexpr std::uint64_t kPageLarge = 1 << 7;
constexpr std::size_t kTableEntries = 512;
constexpr std::uint64_t kTableSize = kTableEntries * 8;
constexpr std::uint64_t kLargePageSize = 2 << 20;
constexpr unsigned kDirectories = 4;  // 1 GiB each

SegmentValue flat_segment(std::uint16_t selector, std::uint8_t type) {
  SegmentValue segment;
  segment.limit = 0xFFFF'FFFF;
  segment.selector = selector;
  segment.type = type;
  segment.present = true;
  segment.code_or_data = true;
  segment.granular = true;
  return segment;
}

SegmentValue data_segment() {
  auto segment = flat_segment(kDataSelector, kReadWriteAccessed);
  segment.default_size_32 = true;
  return segment;
}

SegmentValue code_segment(bool long_mode) {
  auto segment = flat_segment(kCodeSelector, kExecuteReadAccessed);
  segment.long_mode = long_mode;
  segment.default_size_32 = !long_mode;
  return segment;
}

SegmentValue task_segment() {
  SegmentValue segment;
  segment.limit = 0x67;
  segment.selector = kTaskSelector;
  segment.type = kBusyTask;
  segment.present = true;
  return segment;
}

/// The eight bytes of a descriptor (Intel SDM volume 3, figure 3-8).
std::uint64_t descriptor(const SegmentValue& segment) {
  const std::uint64_t limit = segment.granular ? segment.limit >> 12 : segment.limit;
  const std::uint64_t access = segment.type | segment.code_or_data << 4 | segment.dpl << 5 |
                               segment.present << 7 | segment.long_mode << 13 |
                               segment.default_size_32 << 14 | segment.granular << 15;
  return (limit & 0xFFFF) | (segment.base & 0xFF'FFFF) << 16 | access << 40 |
         (limit >> 16 & 0xF) << 48 | (segment.base >> 24 & 0xFF) << 56;
}

template <typename T>
void store(const base::GuestMemory& memory, std::uint64_t address, const T& value) {
  STASIS_CHECK(memory.store(base::GuestAddress{address}, value));
}

/// Null, unused, code, data and a task descriptor of 16 bytes, as long mode has it.
TableRegister write_gdt(const base::GuestMemory& memory, const BootRegisters& registers) {
  const std::array<std::uint64_t, 6> gdt = {
      0, 0, descriptor(registers.cs), descriptor(registers.data), descriptor(registers.task), 0};
  store(memory, layout::kGdt, gdt);
  return {layout::kGdt, sizeof gdt - 1};
}

void write_page_tables(const base::GuestMemory& memory) {
  constexpr std::uint64_t kPointers = layout::kPageTables + kTableSize;
  constexpr std::uint64_t kFirstDirectory = kPointers + kTableSize;
  std::array<std::uint64_t, kTableEntries> table{};
  table[0] = kPointers | kPagePresent | kPageWritable;
  store(memory, layout::kPageTables, table);
  table = {};
  for (unsigned i = 0; i < kDirectories; ++i) {
    table[i] = (kFirstDirectory + i * kTableSize) | kPagePresent | kPageWritable;
  }
  store(memory, kPointers, table);
  for (unsigned i = 0; i < kDirectories; ++i) {
    for (std::uint64_t j = 0; j < kTableEntries; ++j) {
      table[j] =
          (i * kTableEntries + j) * kLargePageSize | kPagePresent | kPageWritable | kPageLarge;
    }
    store(memory, kFirstDirectory + i * kTableSize, table);
  }
}

}  // namespace

BootRegisters enter_long_mode(const base::GuestMemory& memory, std::uint64_t entry,
                              std::uint64_t boot_params) {
  BootRegisters registers;
  registers.rip = entry;
  registers.rsp = registers.rbp = layout::kBootStack;
  registers.rsi = boot_params;
  registers.cs = code_segment(true);
  registers.data = data_segment();
  registers.task = task_segment();
  registers.gdt = write_gdt(memory, registers);
  write_page_tables(memory);
  registers.cr0 = kCr0ProtectedMode | kCr0ExtensionType | kCr0Paging;
  registers.cr3 = layout::kPageTables;
  registers.cr4 = kCr4PhysicalAddressExtension;
  registers.efer = kEferLongModeEnable | kEferLongModeActive;
  return registers;
}

BootRegisters enter_protected_mode(const base::GuestMemory& memory, std::uint32_t entry,
                                   std::uint32_t start_info) {
  BootRegisters registers;
  registers.rip = entry;
  registers.rsp = layout::kBootStack;  // not promised by the protocol; kind to tiny guests
  registers.rbx = start_info;
  registers.cs = code_segment(false);
  registers.data = data_segment();
  registers.task = task_segment();
  registers.gdt = write_gdt(memory, registers);
  registers.cr0 = kCr0ProtectedMode | kCr0ExtensionType;
  return registers;
}

}  // namespace stasis::vmm
