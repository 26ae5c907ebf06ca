#include "vmm/boot/boot_params.h"

#include "base/check.h"
#include "vmm/boot/memory_map.h"
#include "vmm/machine_layout.h"

namespace stasis::vmm {
namespace {

constexpr std::uint8_t kUnknownLoader = 0xFF;  // no registered id; extended fields unused

void fill_memory_map(boot_params& params, const base::GuestMemory& memory) {
  const auto map = build_memory_map(memory);
  STASIS_CHECK(map.size() <= E820_MAX_ENTRIES_ZEROPAGE);
  for (const auto& range : map) {
    params.e820_table[params.e820_entries++] = {range.start, range.size,
                                                static_cast<std::uint32_t>(range.kind)};
  }
}

}  // namespace

setup_header default_setup_header() {
  setup_header header{};
  header.boot_flag = 0xAA55;
  header.header = 0x5372'6448;  // "HdrS"
  header.version = 0x020C;
  header.kernel_alignment = 0x100'0000;
  header.loadflags = LOADED_HIGH;
  return header;
}

void write_boot_params(const base::GuestMemory& memory, const setup_header& header,
                       const BootRange& initrd) {
  boot_params params{};
  params.hdr = header;
  params.hdr.type_of_loader = kUnknownLoader;
  params.hdr.cmd_line_ptr = layout::kCmdline;
  params.hdr.ramdisk_image = static_cast<std::uint32_t>(initrd.start);
  params.hdr.ramdisk_size = static_cast<std::uint32_t>(initrd.end - initrd.start);
  params.hdr.setup_data = 0;
  params.acpi_rsdp_addr = layout::kAcpiTables;
  fill_memory_map(params, memory);
  STASIS_CHECK(memory.store(base::GuestAddress{layout::kZeroPage}, params));
}

}  // namespace stasis::vmm
