#pragma once

#include <asm/bootparam.h>
#include <elf.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

/// Kernel files made by hand, small enough to read, valid unless a test spoils them.
namespace stasis::vmm::testing {

using Bytes = std::vector<std::byte>;

template <typename T>
void put(Bytes& bytes, std::size_t offset, const T& value) {
  if (bytes.size() < offset + sizeof value) bytes.resize(offset + sizeof value);
  std::memcpy(bytes.data() + offset, &value, sizeof value);
}

inline void put_text(Bytes& bytes, std::size_t offset, std::string_view text) {
  if (bytes.size() < offset + text.size()) bytes.resize(offset + text.size());
  std::memcpy(bytes.data() + offset, text.data(), text.size());
}

inline Bytes bytes_of(std::string_view text) {
  Bytes bytes;
  put_text(bytes, 0, text);
  return bytes;
}

inline constexpr std::size_t kSetupSize = 2 * 512;
inline constexpr std::size_t kImageSize = 0x2000;

inline setup_header good_header() {
  setup_header header{};
  header.setup_sects = 1;
  header.syssize = kImageSize / 16;
  header.boot_flag = 0xAA55;
  header.jump = 0x66EB;
  header.header = 0x53726448;
  header.version = 0x020F;
  header.kernel_version = 0x100;  // at 0x300
  header.loadflags = LOADED_HIGH;
  header.initrd_addr_max = 0x7FFF'FFFF;
  header.kernel_alignment = 0x20'0000;
  header.relocatable_kernel = 1;
  header.xloadflags = XLF_KERNEL_64;
  header.cmdline_size = 2047;
  header.payload_offset = 0x400;
  header.payload_length = 0x1000;
  header.pref_address = 0x100'0000;
  header.init_size = 0x40'0000;
  return header;
}

/// A setup part of two sectors, then the kernel, whose byte n is n * 7 (mod 256).
inline Bytes make_bzimage(const setup_header& header = good_header()) {
  Bytes file(kSetupSize + kImageSize);
  for (std::size_t i = 0; i < kImageSize; ++i) file[kSetupSize + i] = static_cast<std::byte>(i * 7);
  put_text(file, 0, "MZ");
  put(file, 0x1F1, header);
  put_text(file, 0x300, std::string_view("6.1.0-test (me@here) #1\0", 24));
  put_text(file, kSetupSize + 0x400, "\x02\x21\x4c\x18");
  return file;
}

struct Elf64Parts {
  Elf64_Ehdr header{};
  std::vector<Elf64_Phdr> programs;
};

inline Elf64_Phdr make_program(unsigned type, std::uint64_t offset, std::uint64_t size,
                               std::uint64_t address, std::uint64_t memory_size) {
  Elf64_Phdr program{};
  program.p_type = type;
  program.p_offset = offset;
  program.p_filesz = size;
  program.p_paddr = program.p_vaddr = address;
  program.p_memsz = memory_size;
  program.p_align = 4;
  return program;
}

/// One segment of 0x800 bytes at file offset 0x1000, for 2 MiB, with 0x1000 bytes of memory.
inline Elf64Parts good_elf() {
  Elf64Parts parts;
  std::memcpy(parts.header.e_ident, ELFMAG, SELFMAG);
  parts.header.e_ident[EI_CLASS] = ELFCLASS64;
  parts.header.e_ident[EI_DATA] = ELFDATA2LSB;
  parts.header.e_type = ET_EXEC;
  parts.header.e_machine = EM_X86_64;
  parts.header.e_entry = 0x20'0010;
  parts.header.e_phoff = sizeof(Elf64_Ehdr);
  parts.header.e_phentsize = sizeof(Elf64_Phdr);
  parts.programs = {make_program(PT_LOAD, 0x1000, 0x800, 0x20'0000, 0x1000)};
  return parts;
}

inline constexpr std::size_t kNoteAt = 0x900;

/// A note that is not ours, then XEN_ELFNOTE_PHYS32_ENTRY.
inline Bytes make_pvh_note(std::uint32_t entry) {
  Bytes note;
  put(note, 0, std::array<std::uint32_t, 3>{5, 6, 18});
  put_text(note, 12, std::string_view("Else\0\0\0\0......\0\0", 16));
  put(note, 28, std::array<std::uint32_t, 3>{4, 4, 18});
  put_text(note, 40, std::string_view("Xen\0", 4));
  put(note, 44, entry);
  return note;
}

inline Bytes make_elf(Elf64Parts parts) {
  Bytes file(0x1800);
  for (std::size_t i = 0; i < 0x800; ++i) file[0x1000 + i] = static_cast<std::byte>(i * 3);
  parts.header.e_phnum = static_cast<std::uint16_t>(parts.programs.size());
  put(file, 0, parts.header);
  for (std::size_t i = 0; i < parts.programs.size(); ++i) {
    put(file, parts.header.e_phoff + i * sizeof(Elf64_Phdr), parts.programs[i]);
  }
  return file;
}

inline Bytes make_pvh_elf(std::uint32_t entry = 0x20'0020) {
  auto parts = good_elf();
  const auto note = make_pvh_note(entry);
  parts.programs.push_back(make_program(PT_NOTE, kNoteAt, note.size(), 0, 0));
  auto file = make_elf(parts);
  std::memcpy(file.data() + kNoteAt, note.data(), note.size());
  return file;
}

/// A 32-bit file with the same segment; with a PVH note or without.
inline Bytes make_elf_32(bool with_note) {
  Bytes file(0x1800);
  Elf32_Ehdr header{};
  std::memcpy(header.e_ident, ELFMAG, SELFMAG);
  header.e_ident[EI_CLASS] = ELFCLASS32;
  header.e_ident[EI_DATA] = ELFDATA2LSB;
  header.e_machine = EM_386;
  header.e_entry = 0x20'0010;
  header.e_phoff = sizeof header;
  header.e_phentsize = sizeof(Elf32_Phdr);
  header.e_phnum = with_note ? 2 : 1;
  put(file, 0, header);
  put(file, sizeof header, Elf32_Phdr{PT_LOAD, 0x1000, 0x20'0000, 0x20'0000, 0x800, 0x1000, 7, 4});
  const auto note = make_pvh_note(0x20'0030);
  const auto size = static_cast<std::uint32_t>(note.size());
  put(file, sizeof header + sizeof(Elf32_Phdr), Elf32_Phdr{PT_NOTE, kNoteAt, 0, 0, size, 0, 0, 4});
  std::memcpy(file.data() + kNoteAt, note.data(), note.size());
  return file;
}

}  // namespace stasis::vmm::testing
