#pragma once

#include <cstdint>
#include <string>

namespace stasis::vmm {

/// One segment register with its hidden part, field by field as in a descriptor (Intel SDM volume
/// 3, section 3.4.5). `limit` is in bytes, the last one that can be reached.
struct SegmentValue {
  std::uint64_t base = 0;
  std::uint32_t limit = 0;
  std::uint16_t selector = 0;
  std::uint8_t type = 0;
  std::uint8_t dpl = 0;
  bool present = false;
  bool code_or_data = false;     ///< S
  bool default_size_32 = false;  ///< D/B
  bool long_mode = false;        ///< L
  bool granular = false;         ///< G
  bool operator==(const SegmentValue&) const = default;
};

/// GDTR or IDTR.
struct TableRegister {
  std::uint64_t base = 0;
  std::uint16_t limit = 0;
  bool operator==(const TableRegister&) const = default;
};

/// What the boot processor starts with; every register that is not here is 0.
struct BootRegisters {
  std::uint64_t rip = 0;
  std::uint64_t rsp = 0;
  std::uint64_t rbp = 0;
  std::uint64_t rbx = 0;  ///< PVH: hvm_start_info
  std::uint64_t rsi = 0;  ///< Linux 64-bit entry: boot_params
  std::uint64_t rflags = 0x2;
  SegmentValue cs;
  SegmentValue data;  ///< DS, ES, FS, GS and SS
  SegmentValue task;  ///< TR; LDTR is unusable
  TableRegister gdt;
  TableRegister idt;
  std::uint64_t cr0 = 0;
  std::uint64_t cr3 = 0;
  std::uint64_t cr4 = 0;
  std::uint64_t efer = 0;
  bool operator==(const BootRegisters&) const = default;
};

/// By which protocol a kernel is entered.
enum class EntryKind {
  kLinux64,  ///< long mode, identity page tables (Linux Documentation/arch/x86/boot.rst)
  kPvh,      ///< 32-bit protected mode, no paging (Xen docs/misc/pvh.pandoc)
};

/// A guest-physical range, [start, end).
struct BootRange {
  std::uint64_t start = 0;
  std::uint64_t end = 0;
  bool operator==(const BootRange&) const = default;
};

/// The result of loading: RAM is filled, this is what is left to do. A plain value.
struct BootPlan {
  EntryKind entry = EntryKind::kLinux64;
  BootRegisters registers;  ///< of the boot processor; the others wait for SIPI
  BootRange kernel;         ///< all the memory the kernel claims at its start
  BootRange initrd;         ///< empty: none
  std::string description;  ///< what the kernel file is, for people
};

}  // namespace stasis::vmm
