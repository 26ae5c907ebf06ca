#include "vmm/boot/kernel_image.h"

#include <array>
#include <catch2/catch.hpp>
#include <string>

#include "tests/unit/vmm/boot_synthetic_kernel.h"

namespace stasis::vmm {
namespace {

using namespace testing;
using base::ErrorKind;

base::Result<KernelImage> identify_bytes(const Bytes& file) {
  return identify(MemorySource(file));
}

std::string description_of(const Bytes& file) {
  const auto image = identify_bytes(file);
  return image ? describe(*image) : "error: " + image.error().message();
}

void check_refused(const Bytes& file, ErrorKind kind, std::string_view reason) {
  const auto image = identify_bytes(file);
  REQUIRE_FALSE(image);
  CHECK(image.error().kind() == kind);
  CHECK_THAT(image.error().message(), Catch::Contains(std::string(reason)));
}

TEST_CASE("a bzImage tells protocol, compression and version") {
  CHECK(description_of(make_bzimage()) == "bzImage 2.15, lz4 payload, \"6.1.0-test (me@here) #1\"");
}

TEST_CASE("the compression is told by the payload's first bytes") {
  const std::array<std::pair<std::string_view, std::string_view>, 6> cases = {{
      {"\x1f\x8b\x08", "gzip payload"},
      {"\xfd"
       "7zXZ",
       "xz payload"},
      {"\x28\xb5\x2f\xfd", "zstd payload"},
      {"BZh9", "bzip2 payload"},
      {"\x7f"
       "ELF",
       "uncompressed payload"},
      {"what", "unknown payload"},
  }};
  for (const auto& [magic, text] : cases) {
    auto file = make_bzimage();
    put_text(file, kSetupSize + 0x400, magic);
    CHECK_THAT(description_of(file), Catch::Contains(std::string(text)));
  }
}

TEST_CASE("a version string is shown in print, and may be absent or cut off") {
  auto file = make_bzimage();
  put_text(file, 0x300, "\x1b[2J\"");
  CHECK_THAT(description_of(file), Catch::Contains("\"?[2J?"));
  auto header = good_header();
  header.kernel_version = 0;
  CHECK(description_of(make_bzimage(header)) == "bzImage 2.15, lz4 payload");
  header.kernel_version = 0xFFFF;
  CHECK(description_of(make_bzimage(header)) == "bzImage 2.15, lz4 payload");
}

TEST_CASE("header fields newer than the kernel's header are zero") {
  auto header = good_header();
  header.jump = 0x3EEB;  // up to 0x240: before pref_address
  const auto image = identify_bytes(make_bzimage(header));
  REQUIRE(image);
  const auto& read = std::get<BzImage>(image->format).header;
  CHECK(std::uint32_t{read.cmdline_size} == 2047);  // copies: the header is packed
  CHECK(std::uint32_t{read.payload_offset} == 0);
  CHECK(std::uint64_t{read.pref_address} == 0);
}

TEST_CASE("a bzImage without a 64-bit entry is refused") {
  auto header = good_header();
  header.xloadflags = 0;
  check_refused(make_bzimage(header), ErrorKind::kUnsupported, "32-bit bzImage");
  header = good_header();
  header.version = 0x020B;
  check_refused(make_bzimage(header), ErrorKind::kUnsupported, "boot protocol 2.11");
}

TEST_CASE("a bzImage that is cut off anywhere is refused") {
  const auto whole = make_bzimage();
  for (std::size_t size = 0; size < whole.size(); size += size < 0x400 ? 1 : 97) {
    CAPTURE(size);
    CHECK_FALSE(identify_bytes(Bytes(whole.begin(), whole.begin() + static_cast<long>(size))));
  }
  check_refused(Bytes(whole.begin(), whole.end() - 1), ErrorKind::kCorrupt,
                "truncated: 9215 bytes of 9216");
  check_refused(Bytes(whole.begin(), whole.begin() + 0x220), ErrorKind::kCorrupt,
                "truncated within its header");
}

TEST_CASE("a payload beyond the image is refused") {
  auto header = good_header();
  header.payload_length = 0xFFFF'FFFF;
  check_refused(make_bzimage(header), ErrorKind::kCorrupt, "damaged");
}

TEST_CASE("an ELF kernel tells its entry, and PVH is preferred") {
  CHECK(description_of(make_elf(good_elf())) == "ELF vmlinux, 64-bit entry");
  CHECK(description_of(make_pvh_elf()) == "ELF vmlinux, PVH entry");
  CHECK(description_of(make_elf_32(true)) == "ELF vmlinux (32-bit), PVH entry");
  CHECK(identify_bytes(make_pvh_elf())->entry() == EntryKind::kPvh);
  CHECK(identify_bytes(make_elf(good_elf()))->entry() == EntryKind::kLinux64);
}

TEST_CASE("the PVH note is found behind another one") {
  const auto image = identify_bytes(make_pvh_elf(0x20'0abc));
  REQUIRE(image);
  CHECK(std::get<ElfImage>(image->format).pvh_entry == 0x20'0abcU);
}

TEST_CASE("a virtual entry address becomes a physical one") {
  auto parts = good_elf();
  parts.header.e_entry = 0xFFFF'FFFF'8100'0010;
  parts.programs[0].p_vaddr = 0xFFFF'FFFF'8100'0000;
  const auto image = identify_bytes(make_elf(parts));
  REQUIRE(image);
  CHECK(std::get<ElfImage>(image->format).entry == 0x20'0010);
}

TEST_CASE("an ELF file that we cannot enter is refused") {
  check_refused(make_elf_32(false), ErrorKind::kUnsupported, "32-bit ELF kernel without a PVH");
  auto parts = good_elf();
  parts.header.e_machine = EM_AARCH64;
  check_refused(make_elf(parts), ErrorKind::kUnsupported, "for arm64");
  parts = good_elf();
  parts.header.e_ident[EI_DATA] = ELFDATA2MSB;
  check_refused(make_elf(parts), ErrorKind::kUnsupported, "big-endian");
  parts = good_elf();
  parts.header.e_entry = 0x10;
  check_refused(make_elf(parts), ErrorKind::kCorrupt, "entry 0x10 is outside");
  parts = good_elf();
  parts.programs[0].p_type = PT_INTERP;
  check_refused(make_elf(parts), ErrorKind::kInvalidArgument, "program that runs on Linux");
  parts.programs.clear();
  check_refused(make_elf(parts), ErrorKind::kCorrupt, "without program headers");
}

TEST_CASE("ELF segments beyond the file, memory or each other are refused") {
  auto parts = good_elf();
  parts.programs[0].p_filesz = 0x801;
  parts.programs[0].p_memsz = 0x1000;
  check_refused(make_elf(parts), ErrorKind::kCorrupt, "truncated");
  parts = good_elf();
  parts.programs[0].p_offset = ~std::uint64_t{0};
  check_refused(make_elf(parts), ErrorKind::kCorrupt, "truncated");
  parts = good_elf();
  parts.programs[0].p_memsz = 0x7FF;
  check_refused(make_elf(parts), ErrorKind::kCorrupt, "in the file but");
  parts = good_elf();
  parts.programs[0].p_memsz = ~std::uint64_t{0};
  check_refused(make_elf(parts), ErrorKind::kCorrupt, "past the end of memory");
  parts = good_elf();
  parts.programs.push_back(make_program(PT_LOAD, 0x1000, 0x10, 0x20'0FFF, 0x10));
  check_refused(make_elf(parts), ErrorKind::kCorrupt, "overlap");
  parts = good_elf();
  parts.header.e_phoff = ~std::uint64_t{0} - 8;
  parts.programs.clear();
  auto file = make_elf(good_elf());
  parts.header.e_phnum = 1;
  put(file, 0, parts.header);
  check_refused(file, ErrorKind::kCorrupt, "truncated");
}

TEST_CASE("notes with absurd sizes are no PVH entry") {
  auto file = make_pvh_elf();
  put(file, kNoteAt, std::uint32_t{0xFFFF'FFFF});
  CHECK(description_of(file) == "ELF vmlinux, 64-bit entry");
  file = make_pvh_elf();
  put(file, kNoteAt + 4, std::uint32_t{0xFFFF'FFFF});
  CHECK(description_of(file) == "ELF vmlinux, 64-bit entry");
}

TEST_CASE("what is no kernel is told by name") {
  check_refused({}, ErrorKind::kInvalidArgument, "empty");
  check_refused(bytes_of("#!/bin/sh\necho hello\n"), ErrorKind::kInvalidArgument, "text file");
  check_refused(bytes_of(std::string(600, '\0')), ErrorKind::kInvalidArgument, "unknown kind");
  check_refused(bytes_of("070701000000"), ErrorKind::kInvalidArgument, "--initrd");
  check_refused(bytes_of("QFI\xfb"), ErrorKind::kInvalidArgument, "--disk");
  Bytes disk(1024);
  put_text(disk, 510, "\x55\xAA");
  check_refused(disk, ErrorKind::kInvalidArgument, "boot sector or disk image");
}

TEST_CASE("kernels of other machines and containers are told by name") {
  Bytes arm64(128);
  put_text(arm64, 0x38, "ARM\x64");
  check_refused(arm64, ErrorKind::kUnsupported, "arm64");
  put_text(arm64, 0, "MZ");
  check_refused(arm64, ErrorKind::kUnsupported, "arm64");
  Bytes efi(1024);
  put_text(efi, 0, "MZ");
  check_refused(efi, ErrorKind::kUnsupported, "EFI program");
  check_refused(bytes_of("\x1f\x8b\x08...."), ErrorKind::kUnsupported, "gzip -dc");
  check_refused(bytes_of("\x28\xb5\x2f\xfd...."), ErrorKind::kUnsupported, "zstd -dc");
  check_refused(bytes_of("\xfd"
                         "7zXZ"),
                ErrorKind::kUnsupported, "xz -dc");
}

}  // namespace
}  // namespace stasis::vmm
