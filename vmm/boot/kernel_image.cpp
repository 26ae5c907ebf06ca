#include "vmm/boot/kernel_image.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <string_view>
#include <vector>

namespace stasis::vmm {

using base::ErrorKind;
using base::fail;
using base::Result;
using base::Status;

namespace {

using std::string_view_literals::operator""sv;

constexpr std::uint64_t kHeaderOffset = offsetof(boot_params, hdr);
constexpr std::uint64_t kHeaderEnd = kHeaderOffset + sizeof(setup_header);
constexpr std::uint64_t kSectorSize = 512;
constexpr std::uint16_t kProtocol64Bit = 0x020C;  // first with xloadflags
constexpr std::size_t kVersionMax = 256;

constexpr std::string_view kWanted = "give a bzImage (/boot/vmlinuz-*) or an x86-64 ELF vmlinux";

/// A file that is no kernel for us, known by some bytes of it.
struct Impostor {
  std::size_t offset;
  std::string_view magic;
  ErrorKind kind;
  std::string_view message;
};

constexpr std::string_view kCompressed =
    "compressed, so its kind is hidden (often an arm64 kernel or a packed vmlinux)";

constexpr std::array kImpostors = {
    Impostor{0x38, "ARM\x64"sv, ErrorKind::kUnsupported,
             "an arm64 kernel; use a kernel built for x86-64"},
    Impostor{0x38, "RSC\x05"sv, ErrorKind::kUnsupported,
             "a RISC-V kernel; use a kernel built for x86-64"},
    Impostor{4, "zimg"sv, ErrorKind::kUnsupported,
             "an EFI zboot kernel of another architecture; use a kernel built for x86-64"},
    Impostor{0, "MZ"sv, ErrorKind::kUnsupported,
             "an EFI program without a Linux boot header, such as a boot loader or a unified "
             "kernel image; give the bzImage that is inside (/boot/vmlinuz-*)"},
    Impostor{0, "070701"sv, ErrorKind::kInvalidArgument,
             "an initramfs (cpio archive); give it with --initrd"},
    Impostor{0, "QFI\xfb"sv, ErrorKind::kInvalidArgument,
             "a qcow2 disk image; give it with --disk"},
    Impostor{510, "\x55\xAA"sv, ErrorKind::kInvalidArgument,
             "a boot sector or disk image; give a disk with --disk"},
};

struct Compression {
  std::string_view magic;
  std::string_view name;
  std::string_view unpack;  ///< the command that undoes it
};

constexpr std::array kCompressions = {
    Compression{"\x1f\x8b"sv, "gzip", "gzip -dc"},
    Compression{"BZh"sv, "bzip2", "bzip2 -dc"},
    Compression{"\xfd"
                "7zXZ"sv,
                "xz", "xz -dc"},
    Compression{"\x5d\0\0"sv, "lzma", "xz -dc --format=lzma"},
    Compression{"\x28\xb5\x2f\xfd"sv, "zstd", "zstd -dc"},
    Compression{"\x02\x21\x4c\x18"sv, "lz4", "lz4 -dc"},
    Compression{"\x04\x22\x4d\x18"sv, "lz4", "lz4 -dc"},
    Compression{"\x89LZO"sv, "lzo", "lzop -dc"},
};

const Compression* find_compression(std::string_view start) {
  const auto matches = [start](const Compression& c) { return start.starts_with(c.magic); };
  const auto* const found = std::ranges::find_if(kCompressions, matches);
  return found == kCompressions.end() ? nullptr : found;
}

/// Up to `wanted` bytes from `offset`, fewer at the end of the file.
Result<std::string> read_text(const ByteSource& source, std::uint64_t offset, std::size_t wanted) {
  if (offset >= source.size_bytes()) return std::string();
  std::string text(std::min<std::uint64_t>(wanted, source.size_bytes() - offset), '\0');
  TRY(source.read(offset, std::as_writable_bytes(std::span(text))));
  return text;
}

bool is_text(std::string_view start) {
  return std::ranges::all_of(start, [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return byte >= 0x80 || (byte >= 0x20 && byte != 0x7F) || (byte >= '\t' && byte <= '\r') ||
           byte == 0x1B;
  });
}

tl::unexpected<base::Error> refuse_stranger(std::string_view start) {
  for (const auto& impostor : kImpostors) {
    if (start.size() > impostor.offset &&
        start.substr(impostor.offset).starts_with(impostor.magic)) {
      return fail(impostor.kind, std::string(impostor.message));
    }
  }
  if (const auto* packed = find_compression(start)) {
    return fail(ErrorKind::kUnsupported,
                fmt::format("{} {}; unpack it with `{}` and give the result if it is for x86-64",
                            packed->name, kCompressed, packed->unpack));
  }
  return fail(ErrorKind::kInvalidArgument,
              fmt::format("{}, not a kernel; {}",
                          is_text(start) ? "a text file" : "data of unknown kind", kWanted));
}

// --- bzImage -----------------------------------------------------------------------------------

bool has_linux_header(std::string_view start) {
  if (start.size() < kHeaderOffset + offsetof(setup_header, version)) return false;
  constexpr auto kMagicAt = kHeaderOffset + offsetof(setup_header, header);
  return start.substr(kMagicAt).starts_with("HdrS") && start.substr(510).starts_with("\x55\xAA");
}

/// The header reaches to offset 0x202 plus the byte at 0x201, the target of its short jump.
std::uint64_t header_size(const setup_header& header) {
  const std::uint64_t end = offsetof(setup_header, header) + (header.jump >> 8);
  return std::min<std::uint64_t>(end, sizeof header);
}

Result<setup_header> read_header(const ByteSource& source) {
  const std::uint64_t present = std::min(source.size_bytes(), kHeaderEnd) - kHeaderOffset;
  setup_header header{};
  const auto bytes = std::as_writable_bytes(std::span(&header, 1));
  TRY(source.read(kHeaderOffset, bytes.first(present)));
  if (header_size(header) > present) {
    return fail(ErrorKind::kCorrupt,
                fmt::format("bzImage truncated within its header, at {} bytes; copy or download "
                            "it again",
                            source.size_bytes()));
  }
  std::ranges::fill(bytes.subspan(header_size(header)), std::byte{0});
  return header;
}

Status check_protocol(const setup_header& header) {
  if (header.version < kProtocol64Bit) {
    return fail(ErrorKind::kUnsupported,
                fmt::format("bzImage of boot protocol {}.{:02}, and the 64-bit entry came with "
                            "2.12; use Linux 3.8 or newer",
                            header.version >> 8, header.version & 0xFF));
  }
  if ((header.xloadflags & XLF_KERNEL_64) == 0) {
    return fail(ErrorKind::kUnsupported,
                "a 32-bit bzImage without a 64-bit entry; use a kernel built for x86-64 (amd64)");
  }
  return {};
}

Status check_sizes(const BzImage& image, std::uint64_t file_size) {
  const std::uint64_t promised = image.setup_size + image.image_size;
  if (file_size < promised) {
    return fail(ErrorKind::kCorrupt,
                fmt::format("bzImage truncated: {} bytes of {}; copy or download it again",
                            file_size, promised));
  }
  const auto& header = image.header;
  const std::uint64_t payload_end = std::uint64_t{header.payload_offset} + header.payload_length;
  if (image.image_size <= 0x200 || payload_end > image.image_size) {
    return fail(ErrorKind::kCorrupt,
                fmt::format("bzImage damaged: its payload ends at byte {} of {}; copy or download "
                            "it again",
                            payload_end, image.image_size));
  }
  return {};
}

Result<std::string> read_version(const ByteSource& source, const setup_header& header,
                                 std::uint64_t setup_size) {
  const std::uint64_t offset = std::uint64_t{header.kernel_version} + kSectorSize;
  if (header.kernel_version == 0 || offset >= setup_size) return std::string();
  std::string text = TRY(read_text(source, offset, kVersionMax));
  text.resize(std::min(text.find('\0'), text.size()));
  std::ranges::replace_if(
      text, [](char c) { return c < 0x20 || c > 0x7E || c == '"'; }, '?');
  return text;
}

Result<std::string> read_compression(const ByteSource& source, const BzImage& image) {
  const std::string start =
      TRY(read_text(source, image.setup_size + image.header.payload_offset, 8));
  if (start.starts_with("\x7f"
                        "ELF")) {
    return std::string("uncompressed");
  }
  const auto* const found = find_compression(start);
  return std::string(found == nullptr ? "unknown"sv : found->name);
}

Result<BzImage> read_bzimage(const ByteSource& source) {
  BzImage image;
  image.header = TRY(read_header(source));
  TRY(check_protocol(image.header));
  const unsigned sectors = image.header.setup_sects == 0 ? 4 : image.header.setup_sects;
  image.setup_size = (sectors + 1) * kSectorSize;
  image.image_size = std::uint64_t{image.header.syssize} * 16;
  TRY(check_sizes(image, source.size_bytes()));
  image.version = TRY(read_version(source, image.header, image.setup_size));
  image.compression = TRY(read_compression(source, image));
  return image;
}

std::string describe_format(const BzImage& image) {
  const unsigned version = image.header.version;
  std::string text =
      fmt::format("bzImage {}.{:02}, {} payload", version >> 8, version & 0xFF, image.compression);
  if (!image.version.empty()) text += fmt::format(", \"{}\"", image.version);
  return text;
}

std::string describe_format(const ElfImage& image) {
  return fmt::format("ELF vmlinux{}, {} entry", image.is_64_bit ? "" : " (32-bit)",
                     image.pvh_entry ? "PVH" : "64-bit");
}

}  // namespace

EntryKind KernelImage::entry() const {
  const auto* const elf = std::get_if<ElfImage>(&format);
  return elf != nullptr && elf->pvh_entry ? EntryKind::kPvh : EntryKind::kLinux64;
}

Result<KernelImage> identify(const ByteSource& source) {
  if (source.size_bytes() == 0) {
    return fail(ErrorKind::kInvalidArgument, fmt::format("empty, not a kernel; {}", kWanted));
  }
  const std::string start = TRY(read_text(source, 0, 1024));
  if (start.starts_with("\x7f"
                        "ELF")) {
    return KernelImage{TRY(read_elf_image(source))};
  }
  if (has_linux_header(start)) return KernelImage{TRY(read_bzimage(source))};
  return refuse_stranger(start);
}

std::string describe(const KernelImage& image) {
  return std::visit([](const auto& format) { return describe_format(format); }, image.format);
}

}  // namespace stasis::vmm
