#include "vmm/boot/elf_image.h"

#include <elf.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <limits>
#include <string_view>

namespace stasis::vmm {

using base::ErrorKind;
using base::fail;
using base::Result;
using base::Status;

namespace {

constexpr std::uint32_t kXenNotePhys32Entry = 18;  // XEN_ELFNOTE_PHYS32_ENTRY
constexpr std::string_view kXenNoteName{"Xen\0", 4};
constexpr std::uint64_t kMaxNotesSize = 1 << 20;  // vmlinux has about 0.5 KiB

struct Elf32 {
  using Header = Elf32_Ehdr;
  using Program = Elf32_Phdr;
};
struct Elf64 {
  using Header = Elf64_Ehdr;
  using Program = Elf64_Phdr;
};

template <typename... Args>
tl::unexpected<base::Error> corrupt(fmt::format_string<Args...> format, Args&&... args) {
  return fail(ErrorKind::kCorrupt, fmt::format(format, std::forward<Args>(args)...));
}

std::string machine_name(unsigned machine) {
  switch (machine) {
    case EM_AARCH64:
      return "arm64";
    case EM_ARM:
      return "32-bit Arm";
    case EM_RISCV:
      return "RISC-V";
    case EM_PPC64:
      return "POWER";
    case EM_S390:
      return "s390";
    default:
      return fmt::format("machine {}", machine);
  }
}

Status check_machine(unsigned machine, bool is_64_bit) {
  const bool fits = is_64_bit ? machine == EM_X86_64 : machine == EM_386 || machine == EM_X86_64;
  if (fits) return {};
  return fail(ErrorKind::kUnsupported,
              fmt::format("an ELF file for {}, not x86-64; use a kernel built for x86-64",
                          machine_name(machine)));
}

Status check_in_file(std::uint64_t offset, std::uint64_t size, std::uint64_t file_size) {
  if (offset <= file_size && size <= file_size - offset) return {};
  return corrupt(
      "truncated: {} bytes at offset {} are beyond the file's {}; copy or download it again", size,
      offset, file_size);
}

template <typename Program>
Result<ElfSegment> read_segment(const Program& program, std::uint64_t file_size) {
  TRY(check_in_file(program.p_offset, program.p_filesz, file_size));
  if (program.p_filesz > program.p_memsz) {
    return corrupt("ELF segment at {:#x} has {} bytes in the file but {} in memory",
                   program.p_paddr, program.p_filesz, program.p_memsz);
  }
  if (program.p_memsz > std::numeric_limits<std::uint64_t>::max() - program.p_paddr) {
    return corrupt("ELF segment at {:#x} is {} bytes long, past the end of memory", program.p_paddr,
                   program.p_memsz);
  }
  return ElfSegment{program.p_offset, program.p_filesz, program.p_paddr, program.p_memsz};
}

Status sort_segments(std::vector<ElfSegment>& segments) {
  if (segments.empty()) return corrupt("an ELF file with nothing to load; give a linked kernel");
  std::ranges::sort(segments, {}, &ElfSegment::address);
  for (std::size_t i = 1; i < segments.size(); ++i) {
    const auto& before = segments[i - 1];
    if (segments[i].address < before.address + before.memory_size) {
      return corrupt("ELF segments at {:#x} and {:#x} overlap", before.address,
                     segments[i].address);
    }
  }
  return {};
}

/// `size` rounded up to a multiple of `align`, in 64 bits: a note's 32-bit sizes cannot overflow.
std::uint64_t padded(std::uint64_t size, std::uint64_t align) {
  return (size + align - 1) / align * align;
}

/// Value of a PHYS32_ENTRY note; 4 bytes, or 8 of which Linux fills the lower half.
std::optional<std::uint32_t> entry_of_note(std::span<const std::byte> value) {
  if (value.size() != 4 && value.size() != 8) return std::nullopt;
  std::uint32_t entry = 0;
  std::memcpy(&entry, value.data(), sizeof entry);
  return entry;
}

std::optional<std::uint32_t> find_pvh_entry(std::span<const std::byte> notes, std::uint64_t align) {
  while (notes.size() >= sizeof(Elf64_Nhdr)) {
    Elf64_Nhdr note{};  // three 32-bit words in either class
    std::memcpy(&note, notes.data(), sizeof note);
    const std::uint64_t value_at = padded(sizeof note + note.n_namesz, align);
    const std::uint64_t end = value_at + note.n_descsz;
    if (end > notes.size()) return std::nullopt;
    const std::string_view name(reinterpret_cast<const char*>(notes.data()) + sizeof note,
                                note.n_namesz);
    if (note.n_type == kXenNotePhys32Entry && name == kXenNoteName) {
      return entry_of_note(notes.subspan(value_at, note.n_descsz));
    }
    notes = notes.subspan(std::min<std::uint64_t>(padded(end, align), notes.size()));
  }
  return std::nullopt;
}

template <typename Program>
Result<std::optional<std::uint32_t>> read_pvh_entry(const ByteSource& source,
                                                    const Program& program) {
  TRY(check_in_file(program.p_offset, program.p_filesz, source.size_bytes()));
  if (program.p_filesz > kMaxNotesSize) {
    return corrupt("ELF notes of {} bytes, of which 1 MiB is the most", program.p_filesz);
  }
  std::vector<std::byte> notes(static_cast<std::size_t>(program.p_filesz));
  TRY(source.read(program.p_offset, notes));
  return find_pvh_entry(notes, program.p_align == 8 ? 8 : 4);
}

template <typename Elf>
Result<std::vector<typename Elf::Program>> read_programs(const ByteSource& source,
                                                         const typename Elf::Header& header) {
  if (header.e_phentsize != sizeof(typename Elf::Program) || header.e_phnum == 0) {
    return corrupt(
        "an ELF file without program headers, such as an object file; give a linked "
        "kernel");
  }
  std::vector<typename Elf::Program> programs(header.e_phnum);
  const auto bytes = std::as_writable_bytes(std::span(programs));
  TRY(check_in_file(header.e_phoff, bytes.size(), source.size_bytes()));
  TRY(source.read(header.e_phoff, bytes));
  return programs;
}

bool holds(const ElfSegment& segment, std::uint64_t address) {
  return address >= segment.address && address - segment.address < segment.memory_size;
}

/// Linux' e_entry is a physical address; other kernels give a virtual one.
template <typename Program>
std::uint64_t physical_entry(std::uint64_t entry, const std::vector<ElfSegment>& segments,
                             const std::vector<Program>& programs) {
  const auto has_entry = [entry](const ElfSegment& segment) { return holds(segment, entry); };
  if (std::ranges::any_of(segments, has_entry)) return entry;
  for (const auto& program : programs) {
    if (program.p_type == PT_LOAD && entry >= program.p_vaddr &&
        entry - program.p_vaddr < program.p_memsz) {
      return entry - program.p_vaddr + program.p_paddr;
    }
  }
  return entry;
}

Status check_entry(const ElfImage& image) {
  if (!image.is_64_bit && !image.pvh_entry) {
    return fail(ErrorKind::kUnsupported,
                "a 32-bit ELF kernel without a PVH note; use an x86-64 kernel");
  }
  const std::uint64_t entry = image.pvh_entry ? *image.pvh_entry : image.entry;
  const auto has_entry = [entry](const ElfSegment& segment) { return holds(segment, entry); };
  if (std::ranges::any_of(image.segments, has_entry)) return {};
  return corrupt("an ELF file whose entry {:#x} is outside its segments; give a linked kernel",
                 entry);
}

template <typename Elf>
Result<ElfImage> read_as(const ByteSource& source) {
  TRY(check_in_file(0, sizeof(typename Elf::Header), source.size_bytes()));
  const auto header = TRY(read_object<typename Elf::Header>(source, 0));
  ElfImage image;
  image.is_64_bit = std::is_same_v<Elf, Elf64>;
  TRY(check_machine(header.e_machine, image.is_64_bit));
  const auto programs = TRY(read_programs<Elf>(source, header));
  for (const auto& program : programs) {
    if (program.p_type == PT_INTERP) {
      return fail(ErrorKind::kInvalidArgument,
                  "a program that runs on Linux, not a kernel; give a bzImage (/boot/vmlinuz-*) or "
                  "an x86-64 ELF vmlinux");
    }
    if (program.p_type == PT_LOAD && program.p_memsz > 0) {
      image.segments.push_back(TRY(read_segment(program, source.size_bytes())));
    } else if (program.p_type == PT_NOTE && !image.pvh_entry) {
      image.pvh_entry = TRY(read_pvh_entry(source, program));
    }
  }
  TRY(sort_segments(image.segments));
  image.entry = physical_entry(header.e_entry, image.segments, programs);
  TRY(check_entry(image));
  return image;
}

}  // namespace

Result<ElfImage> read_elf_image(const ByteSource& source) {
  TRY(check_in_file(0, EI_NIDENT, source.size_bytes()));
  const auto ident = TRY((read_object<std::array<unsigned char, EI_NIDENT>>(source, 0)));
  if (ident[EI_DATA] != ELFDATA2LSB) {
    return fail(ErrorKind::kUnsupported,
                "a big-endian ELF file, so not for x86-64; use a kernel built for x86-64");
  }
  if (ident[EI_CLASS] == ELFCLASS64) return read_as<Elf64>(source);
  if (ident[EI_CLASS] == ELFCLASS32) return read_as<Elf32>(source);
  return corrupt("an ELF file of class {}, which is neither 32 nor 64 bits", ident[EI_CLASS]);
}

}  // namespace stasis::vmm
