#include "vmm/boot/loader.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>
#include <variant>

#include "base/check.h"
#include "vmm/boot/boot_params.h"
#include "vmm/boot/cpu_entry.h"
#include "vmm/boot/kernel_image.h"
#include "vmm/boot/memory_map.h"
#include "vmm/boot/pvh.h"
#include "vmm/machine_layout.h"

namespace stasis::vmm {

using base::ErrorKind;
using base::fail;
using base::GuestMemory;
using base::Result;
using base::Status;

namespace {

constexpr std::uint64_t kMib = 1 << 20;
constexpr std::uint64_t kPageSize = 4096;
constexpr std::uint64_t kEntryOffset64 = 0x200;  // of a bzImage's 64-bit entry
constexpr std::uint64_t kElfCmdlineMax = 2047;   // Linux' COMMAND_LINE_SIZE less the NUL
constexpr std::uint64_t kMaxAddress = std::uint64_t{1} << 52;  // of any x86 processor

/// Where a kernel goes and what it allows; the same for both formats.
struct Placement {
  std::uint64_t load_address = 0;
  BootRange claimed;             ///< the kernel with all the memory it uses before it knows the map
  std::uint64_t initrd_max = 0;  ///< last address the initrd may occupy
  std::uint64_t cmdline_max = 0;  ///< bytes without the NUL
};

std::uint64_t align_up(std::uint64_t value, std::uint64_t alignment) {
  return (value + alignment - 1) / alignment * alignment;
}

Result<Placement> place(const BzImage& image) {
  const auto& header = image.header;
  // Copies: the header is packed, and nothing may refer to a misaligned number.
  const std::uint64_t preferred = header.pref_address;
  const std::uint64_t wanted_alignment = header.kernel_alignment;
  if (preferred > kMaxAddress || wanted_alignment > preferred) {
    return fail(ErrorKind::kCorrupt,
                fmt::format("bzImage damaged: it wants to be at {:#x}, aligned to {:#x}; copy or "
                            "download it again",
                            preferred, wanted_alignment));
  }
  Placement placement;
  placement.load_address = preferred;
  if (header.relocatable_kernel != 0) {
    const std::uint64_t alignment = std::max<std::uint64_t>(wanted_alignment, kPageSize);
    placement.load_address = align_up(std::max(preferred, layout::kHimem), alignment);
  }
  const std::uint64_t size = std::max<std::uint64_t>(header.init_size, image.image_size);
  placement.claimed = {placement.load_address, placement.load_address + size};
  placement.initrd_max = header.initrd_addr_max;
  placement.cmdline_max = std::min<std::uint64_t>(header.cmdline_size, layout::kCmdlineMax - 1);
  return placement;
}

Result<Placement> place(const ElfImage& image) {
  if (image.end() > kMaxAddress) {
    return fail(ErrorKind::kCorrupt,
                fmt::format("an ELF file with a segment up to {:#x}, beyond any memory; link it at "
                            "its physical address",
                            image.end()));
  }
  Placement placement;
  placement.claimed = {image.start(), image.end()};
  placement.initrd_max = layout::kLowRamEnd - 1;
  placement.cmdline_max = kElfCmdlineMax;
  return placement;
}

Status check_start(const BootRange& claimed) {
  if (claimed.start >= layout::kHimem) return {};
  return fail(ErrorKind::kUnsupported,
              fmt::format("starts at {:#x}, in the first MiB, which the boot tables need; link it "
                          "at 1 MiB or above",
                          claimed.start));
}

/// A size to recommend: room to run in, and a round number.
std::uint64_t helpful_mib(std::uint64_t needed_bytes) {
  const std::uint64_t mib = needed_bytes / kMib;
  return align_up(mib + mib / 4 + 1, 64);
}

Status memory_too_small(std::uint64_t have, std::uint64_t needed, std::string_view what) {
  if (needed > layout::kLowRamEnd) {
    return fail(ErrorKind::kUnsupported,
                fmt::format("{} {}M of memory below 3G, where a guest has {}M; use a smaller one",
                            what, align_up(needed, kMib) / kMib, have / kMib));
  }
  return fail(ErrorKind::kInvalidArgument,
              fmt::format("memory {}M is smaller than {} (about {}M); --memory {}M helps",
                          have / kMib, what, align_up(needed, kMib) / kMib, helpful_mib(needed)));
}

Status check_memory(const GuestMemory& memory, const Placement& placement) {
  const std::uint64_t have = low_ram_end(memory);
  TRY(check_start(placement.claimed));
  if (placement.claimed.end <= have) return {};
  return memory_too_small(have, placement.claimed.end, "this kernel needs");
}

Status copy_in(const GuestMemory& memory, const ByteSource& source, std::uint64_t offset,
               std::uint64_t size, std::uint64_t address) {
  const auto target = memory.writable_slice({address}, size);
  STASIS_CHECK(target);  // the placement was checked
  return source.read(offset, *target);
}

Status copy_kernel(const GuestMemory& memory, const ByteSource& source, const BzImage& image,
                   const Placement& placement) {
  return copy_in(memory, source, image.setup_size, image.image_size, placement.load_address);
}

Status copy_kernel(const GuestMemory& memory, const ByteSource& source, const ElfImage& image,
                   const Placement&) {
  for (const auto& segment : image.segments) {  // RAM is zeroed: nothing to do past file_size
    TRY(copy_in(memory, source, segment.file_offset, segment.file_size, segment.address));
  }
  return {};
}

/// As high as the kernel and low RAM allow, page aligned, above the kernel.
Result<BootRange> load_initrd(const GuestMemory& memory, const ByteSource& source,
                              const Placement& placement) {
  const std::uint64_t size = source.size_bytes();
  if (size == 0) {
    return fail(ErrorKind::kInvalidArgument, "empty; give an initramfs or leave out --initrd");
  }
  const std::uint64_t ram_end = low_ram_end(memory);
  const std::uint64_t end = std::min(ram_end, placement.initrd_max + 1);
  const std::uint64_t lowest = align_up(placement.claimed.end, kPageSize);
  if (size > end || (end - size) / kPageSize * kPageSize < lowest) {
    const std::uint64_t needed = lowest + align_up(std::min(size, kMaxAddress), kPageSize);
    if (end < ram_end) {
      return fail(ErrorKind::kUnsupported,
                  fmt::format("{} bytes do not fit between this kernel and {:#x}, the highest "
                              "address it allows; use a smaller initramfs",
                              size, placement.initrd_max));
    }
    TRY(memory_too_small(ram_end, needed, "the kernel and this initrd need"));
  }
  const std::uint64_t start = (end - size) / kPageSize * kPageSize;
  TRY(copy_in(memory, source, 0, size, start));
  return BootRange{start, start + size};
}

Status write_cmdline(const GuestMemory& memory, std::string_view cmdline, std::uint64_t max) {
  if (cmdline.size() > max) {
    return fail(ErrorKind::kInvalidArgument,
                fmt::format("command line of {} bytes is longer than the {} this kernel reads; "
                            "shorten --cmdline",
                            cmdline.size(), max));
  }
  if (cmdline.find('\0') != std::string_view::npos) {
    return fail(ErrorKind::kInvalidArgument,
                "command line holds a NUL byte, where the kernel would stop; remove it");
  }
  STASIS_CHECK(memory.write({layout::kCmdline}, std::as_bytes(std::span(cmdline))));
  STASIS_CHECK(memory.store({layout::kCmdline + cmdline.size()}, '\0'));
  return {};
}

BootRegisters enter_linux(const GuestMemory& memory, const setup_header& header,
                          std::uint64_t entry, const BootRange& initrd) {
  write_boot_params(memory, header, initrd);
  return enter_long_mode(memory, entry, layout::kZeroPage);
}

BootRegisters enter(const GuestMemory& memory, const BzImage& image, const Placement& placement,
                    const BootRange& initrd) {
  setup_header header = image.header;
  header.code32_start = static_cast<std::uint32_t>(placement.load_address);
  return enter_linux(memory, header, placement.load_address + kEntryOffset64, initrd);
}

BootRegisters enter(const GuestMemory& memory, const ElfImage& image, const Placement&,
                    const BootRange& initrd) {
  if (!image.pvh_entry) return enter_linux(memory, default_setup_header(), image.entry, initrd);
  pvh::write_start_info(memory, initrd);
  return enter_protected_mode(memory, *image.pvh_entry, layout::kPvhStartInfo);
}

/// The names under which errors speak of the parts.
struct PartNames {
  std::string kernel = "kernel";
  std::string initrd = "initrd";
};

template <typename T>
Result<T> in_context(Result<T> result, const std::string& name) {
  if (!result) return fail(result.error().with_context(name));
  return result;
}

template <typename Format>
Result<BootPlan> load_format(const GuestMemory& memory, const BootSources& sources,
                             const Format& image, const PartNames& names) {
  BootPlan plan;
  const auto placement = TRY(in_context(place(image), names.kernel));
  TRY(in_context(check_memory(memory, placement), names.kernel));
  TRY(write_cmdline(memory, sources.cmdline, placement.cmdline_max));
  TRY(in_context(copy_kernel(memory, sources.kernel, image, placement), names.kernel));
  plan.kernel = placement.claimed;
  if (sources.initrd != nullptr) {
    plan.initrd = TRY(in_context(load_initrd(memory, *sources.initrd, placement), names.initrd));
  }
  plan.registers = enter(memory, image, placement, plan.initrd);
  return plan;
}

Result<BootPlan> load_named(const GuestMemory& memory, const BootSources& sources,
                            const PartNames& names) {
  const auto image = TRY(in_context(identify(sources.kernel), names.kernel));
  const auto load_this = [&](const auto& format) {
    return load_format(memory, sources, format, names);
  };
  BootPlan plan = TRY(std::visit(load_this, image.format));
  plan.entry = image.entry();
  plan.description = describe(image);
  return plan;
}

}  // namespace

Result<BootPlan> load(const GuestMemory& memory, const BootSources& sources) {
  return load_named(memory, sources, {});
}

Result<BootPlan> load_files(const GuestMemory& memory, const std::string& kernel_path,
                            const std::string& initrd_path, std::string_view cmdline) {
  const PartNames names{fmt::format("kernel \"{}\"", kernel_path),
                        fmt::format("initrd \"{}\"", initrd_path)};
  const FileSource kernel = TRY(in_context(FileSource::open(kernel_path), names.kernel));
  if (initrd_path.empty()) return load_named(memory, {kernel, nullptr, cmdline}, names);
  const FileSource initrd = TRY(in_context(FileSource::open(initrd_path), names.initrd));
  return load_named(memory, {kernel, &initrd, cmdline}, names);
}

}  // namespace stasis::vmm
