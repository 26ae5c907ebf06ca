#include "vmm/boot/loader.h"

#include <unistd.h>

#include <catch2/catch.hpp>
#include <fstream>
#include <string>

#include "base/mapping.h"
#include "tests/unit/vmm/boot_synthetic_kernel.h"
#include "vmm/boot/memory_map.h"
#include "vmm/boot/pvh.h"
#include "vmm/machine_layout.h"

namespace stasis::vmm {
namespace {

using namespace testing;
using base::ErrorKind;
using base::GuestAddress;

constexpr std::size_t kMib = 1 << 20;

struct Ram {
  explicit Ram(std::size_t mib) : mapping(*base::Mapping::anonymous(mib * kMib)) {}
  base::Mapping mapping;
  base::GuestMemory memory{{{{0}, mapping.bytes()}}};

  base::Result<BootPlan> boot(const Bytes& kernel, std::string_view cmdline = "quiet") const {
    return load(memory, {MemorySource(kernel), nullptr, cmdline});
  }
  base::Result<BootPlan> boot(const Bytes& kernel, const Bytes& initrd) const {
    const MemorySource source(initrd);
    return load(memory, {MemorySource(kernel), &source, "quiet"});
  }
  boot_params zero_page() const { return *memory.load<boot_params>({layout::kZeroPage}); }
};

void check_refused(const base::Result<BootPlan>& plan, ErrorKind kind, std::string_view reason) {
  REQUIRE_FALSE(plan);
  CHECK(plan.error().kind() == kind);
  CHECK_THAT(plan.error().message(), Catch::Contains(std::string(reason)));
}

/// Walks four-level page tables with 2 MiB pages as the processor does.
std::uint64_t translate(const base::GuestMemory& memory, std::uint64_t cr3, std::uint64_t address) {
  std::uint64_t table = cr3;
  for (unsigned shift = 39; shift > 21; shift -= 9) {
    table = *memory.load<std::uint64_t>({table + (address >> shift & 511) * 8});
    REQUIRE((table & 3) == 3);
    table &= ~std::uint64_t{0xFFF};
  }
  const auto entry = *memory.load<std::uint64_t>({table + (address >> 21 & 511) * 8});
  REQUIRE((entry & 0x83) == 0x83);
  return (entry & ~std::uint64_t{0x1F'FFFF}) | (address & 0x1F'FFFF);
}

TEST_CASE("a bzImage is entered 0x200 behind its load address, boot_params in RSI") {
  const Ram ram(64);
  const auto file = make_bzimage();
  const auto plan = ram.boot(file);
  REQUIRE(plan);
  CHECK(plan->entry == EntryKind::kLinux64);
  CHECK(plan->registers.rip == 0x100'0200);
  CHECK(plan->registers.rsi == layout::kZeroPage);
  CHECK(plan->kernel == BootRange{0x100'0000, 0x140'0000});
  CHECK(plan->description == "bzImage 2.15, lz4 payload, \"6.1.0-test (me@here) #1\"");
  const auto loaded = ram.memory.slice({0x100'0000}, kImageSize);
  CHECK(std::equal(loaded->begin(), loaded->end(), file.begin() + kSetupSize));
  CHECK(ram.memory.load<std::uint8_t>({0x100'0000 + kImageSize}) == 0);
}

// boot_params is packed: `+field` is a copy, which CHECK may refer to.
TEST_CASE("the zero page holds the kernel's header and the loader's answers") {
  const Ram ram(64);
  REQUIRE(ram.boot(make_bzimage()));
  const auto params = ram.zero_page();
  CHECK(+params.hdr.init_size == 0x40'0000);
  CHECK(+params.hdr.type_of_loader == 0xFF);
  CHECK(+params.hdr.cmd_line_ptr == layout::kCmdline);
  CHECK(+params.hdr.code32_start == 0x100'0000);
  CHECK(+params.hdr.ramdisk_size == 0);
  CHECK(+params.acpi_rsdp_addr == layout::kAcpiTables);
  CHECK(+params.sentinel == 0);
  const auto cmdline = ram.memory.slice({layout::kCmdline}, 6);
  CHECK(std::memcmp(cmdline->data(), "quiet", 6) == 0);
}

TEST_CASE("long mode starts with paging on and the first 4 GiB mapped onto themselves") {
  const Ram ram(64);
  const auto registers = ram.boot(make_bzimage())->registers;
  CHECK((registers.cr0 & 0x8000'0001) == 0x8000'0001);
  CHECK(registers.cr4 == 0x20);
  CHECK(registers.efer == 0x500);
  CHECK(registers.rflags == 2);
  CHECK(registers.cs.long_mode);
  CHECK_FALSE(registers.cs.default_size_32);
  for (const std::uint64_t address :
       {0ULL, 0x7000ULL, 0x100'0200ULL, 0xFEE0'0000ULL, 0xFFFF'FFFFULL}) {
    CHECK(translate(ram.memory, registers.cr3, address) == address);
  }
}

TEST_CASE("the GDT in memory says what the segment registers hold") {
  const Ram ram(64);
  const auto registers = ram.boot(make_bzimage())->registers;
  const auto entry = [&](const SegmentValue& segment) {
    return ram.memory.load<std::uint64_t>({registers.gdt.base + segment.selector});
  };
  CHECK(entry(registers.cs) == 0x00AF'9B00'0000'FFFF);
  CHECK(entry(registers.data) == 0x00CF'9300'0000'FFFF);
  CHECK(entry(registers.task) == 0x0000'8B00'0000'0067);
  CHECK(registers.cs.selector == 0x10);
  CHECK(registers.data.selector == 0x18);
  CHECK(registers.gdt.limit == 0x2F);
}

TEST_CASE("a kernel that cannot be relocated stays where it wants to be") {
  auto header = good_header();
  header.relocatable_kernel = 0;
  header.pref_address = 0x123'0000;
  header.kernel_alignment = 0x1'0000;
  CHECK(Ram(64).boot(make_bzimage(header))->registers.rip == 0x123'0200);
  header.relocatable_kernel = 1;
  header.kernel_alignment = 0x20'0000;
  header.pref_address = 0x21'0000;
  CHECK(Ram(64).boot(make_bzimage(header))->registers.rip == 0x40'0200);
}

TEST_CASE("memory that is too small is told with a size that helps") {
  const auto file = make_bzimage();
  check_refused(Ram(19).boot(file), ErrorKind::kInvalidArgument,
                "memory 19M is smaller than this kernel needs (about 20M); --memory 64M helps");
  CHECK(Ram(20).boot(file));
  check_refused(load({}, {MemorySource(file), nullptr, ""}), ErrorKind::kInvalidArgument,
                "memory 0M");
}

TEST_CASE("a kernel with absurd addresses is refused") {
  auto header = good_header();
  header.pref_address = ~std::uint64_t{0};
  check_refused(Ram(64).boot(make_bzimage(header)), ErrorKind::kCorrupt, "damaged");
  header.pref_address = 0x1000;
  header.relocatable_kernel = 0;
  header.kernel_alignment = 0x1000;
  check_refused(Ram(64).boot(make_bzimage(header)), ErrorKind::kUnsupported, "first MiB");
  header = good_header();
  header.pref_address = 0x1'0000'0000;
  check_refused(Ram(64).boot(make_bzimage(header)), ErrorKind::kUnsupported, "below 3G");
}

TEST_CASE("the initrd is as high as RAM allows, on a page, and told to the kernel") {
  const Ram ram(64);
  const Bytes initrd(5000, std::byte{0x5A});
  const auto plan = ram.boot(make_bzimage(), initrd);
  REQUIRE(plan);
  CHECK(plan->initrd.start == 64 * kMib - 0x2000);
  CHECK(plan->initrd.end == plan->initrd.start + 5000);
  const auto params = ram.zero_page();
  CHECK(+params.hdr.ramdisk_image == plan->initrd.start);
  CHECK(+params.hdr.ramdisk_size == 5000);
  CHECK(ram.memory.load<std::uint8_t>({plan->initrd.end - 1}) == 0x5A);
}

TEST_CASE("the initrd stays below the highest address the kernel allows") {
  auto header = good_header();
  header.initrd_addr_max = 0x17F'FFFF;
  const Bytes initrd(0x1000, std::byte{1});
  CHECK(Ram(64).boot(make_bzimage(header), initrd)->initrd == BootRange{0x17F'F000, 0x180'0000});
  header.initrd_addr_max = 0x13F'FFFF;  // where the kernel ends
  check_refused(Ram(64).boot(make_bzimage(header), initrd), ErrorKind::kUnsupported, "do not fit");
}

TEST_CASE("an initrd that would touch the kernel is refused, one that just fits is not") {
  const auto kernel = make_bzimage();  // ends at 20 MiB
  CHECK(Ram(24).boot(kernel, Bytes(4 * kMib))->initrd.start == 20 * kMib);
  check_refused(Ram(24).boot(kernel, Bytes(4 * kMib + 1)), ErrorKind::kInvalidArgument,
                "memory 24M is smaller than the kernel and this initrd need (about 25M)");
  check_refused(Ram(24).boot(kernel, Bytes(64 * kMib)), ErrorKind::kInvalidArgument, "memory 24M");
  check_refused(Ram(24).boot(kernel, Bytes{}), ErrorKind::kInvalidArgument, "initrd: empty");
}

TEST_CASE("the command line may be as long as the kernel reads and no longer") {
  const Ram ram(64);
  CHECK(ram.boot(make_bzimage(), std::string(2047, 'x')));
  check_refused(ram.boot(make_bzimage(), std::string(2048, 'x')), ErrorKind::kInvalidArgument,
                "2048 bytes is longer than the 2047");
  auto header = good_header();
  header.cmdline_size = 0xFFFF'FFFF;
  check_refused(ram.boot(make_bzimage(header), std::string(0x1'0000, 'x')),
                ErrorKind::kInvalidArgument, "65536 bytes is longer than the 65535");
  check_refused(ram.boot(make_bzimage(), std::string_view("a\0b", 3)), ErrorKind::kInvalidArgument,
                "NUL");
}

TEST_CASE("an ELF kernel without a note is entered in long mode") {
  const Ram ram(4);
  const auto plan = ram.boot(make_elf(good_elf()));
  REQUIRE(plan);
  CHECK(plan->entry == EntryKind::kLinux64);
  CHECK(plan->registers.rip == 0x20'0010);
  CHECK(plan->registers.rsi == layout::kZeroPage);
  CHECK(ram.memory.load<std::uint8_t>({0x20'0011}) == 0x33);
  CHECK(+ram.zero_page().hdr.header == 0x53726448);
}

TEST_CASE("PVH is entered in flat protected mode with the start information in EBX") {
  const Ram ram(4);
  const auto plan = ram.boot(make_pvh_elf(), Bytes(100, std::byte{9}));
  REQUIRE(plan);
  CHECK(plan->entry == EntryKind::kPvh);
  CHECK(plan->registers.rip == 0x20'0020);
  CHECK(plan->registers.rbx == layout::kPvhStartInfo);
  CHECK(plan->registers.cr0 == 0x11);
  CHECK(plan->registers.cr4 == 0);
  CHECK(plan->registers.efer == 0);
  CHECK(plan->registers.cs.default_size_32);
  const auto info = *ram.memory.load<pvh::StartInfo>({layout::kPvhStartInfo});
  CHECK(info.magic == 0x336E'C578);
  CHECK(info.version == 1);
  CHECK(info.cmdline == layout::kCmdline);
  CHECK(info.rsdp == layout::kAcpiTables);
  REQUIRE(info.module_count == 1);
  const auto module = *ram.memory.load<pvh::Module>({info.modules});
  CHECK(module.address == plan->initrd.start);
  CHECK(module.size == 100);
}

TEST_CASE("both protocols tell the same memory map") {
  const Ram ram(4);
  REQUIRE(ram.boot(make_pvh_elf()));
  REQUIRE(ram.boot(make_elf(good_elf())));
  const auto map = build_memory_map(ram.memory);
  const auto info = *ram.memory.load<pvh::StartInfo>({layout::kPvhStartInfo});
  const auto params = ram.zero_page();
  REQUIRE(info.memory_map_entries == map.size());
  REQUIRE(params.e820_entries == map.size());
  for (std::size_t i = 0; i < map.size(); ++i) {
    const auto entry = *ram.memory.load<pvh::MapEntry>({info.memory_map + i * 24});
    const auto kind = static_cast<std::uint32_t>(map[i].kind);
    CHECK((entry.address == map[i].start && entry.size == map[i].size && entry.type == kind));
    const auto e820 = params.e820_table[i];
    CHECK((e820.addr == map[i].start && e820.size == map[i].size && e820.type == kind));
  }
}

TEST_CASE("an ELF segment below 1 MiB is refused, RAM that ends within one too") {
  auto parts = good_elf();
  parts.programs[0].p_paddr = parts.programs[0].p_vaddr = parts.header.e_entry = 0xF'0000;
  check_refused(Ram(4).boot(make_elf(parts)), ErrorKind::kUnsupported, "starts at 0xf0000");
  parts = good_elf();
  parts.programs[0].p_memsz = 2 * kMib + 1;
  check_refused(Ram(4).boot(make_elf(parts)), ErrorKind::kInvalidArgument, "memory 4M");
}

TEST_CASE("the memory map has RAM around the holes, above 4 GiB too") {
  const auto low = *base::Mapping::anonymous(layout::kLowRamEnd);
  const auto high = *base::Mapping::anonymous(kMib);
  const base::GuestMemory memory({{{0}, low.bytes()}, {{layout::kHighRamStart}, high.bytes()}});
  const std::vector<MemoryRange> expected = {
      {0, 0x9'FC00, MemoryKind::kRam},
      {0x9'FC00, 0x400, MemoryKind::kReserved},
      {0xE'0000, 0x2'0000, MemoryKind::kReserved},
      {0x10'0000, 0xBFF0'0000, MemoryKind::kRam},
      {0xE000'0000, 0x10'0000, MemoryKind::kReserved},
      {0x1'0000'0000, kMib, MemoryKind::kRam},
  };
  CHECK(build_memory_map(memory) == expected);
  CHECK(low_ram_end(memory) == layout::kLowRamEnd);
}

struct TemporaryFile {
  explicit TemporaryFile(const Bytes& bytes) {
    path = "boot_loader_test." + std::to_string(::getpid());
    std::ofstream(path, std::ios::binary)
        .write(reinterpret_cast<const char*>(bytes.data()), static_cast<long>(bytes.size()));
  }
  ~TemporaryFile() { ::unlink(path.c_str()); }
  std::string path;
};

TEST_CASE("files are loaded as memory is, and errors name the file") {
  const Ram ram(64);
  const TemporaryFile kernel(make_bzimage());
  const auto plan = load_files(ram.memory, kernel.path, kernel.path, "");
  REQUIRE(plan);
  CHECK(plan->initrd.end - plan->initrd.start == kSetupSize + kImageSize);
  check_refused(load_files(ram.memory, "no/such", "", ""), ErrorKind::kNotFound,
                "kernel \"no/such\": not found");
  check_refused(load_files(ram.memory, kernel.path, "no/such", ""), ErrorKind::kNotFound,
                "initrd \"no/such\": not found");
  check_refused(load_files(ram.memory, "/", "", ""), ErrorKind::kInvalidArgument,
                "kernel \"/\": a folder");
  check_refused(load_files(ram.memory, "/dev/null", "", ""), ErrorKind::kInvalidArgument,
                "kernel \"/dev/null\": a pipe");
}

}  // namespace
}  // namespace stasis::vmm
