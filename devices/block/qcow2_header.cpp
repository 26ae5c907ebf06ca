#include "devices/block/qcow2_header.h"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>

namespace stasis::devices {
namespace {

using base::ErrorKind;
using base::fail;
using base::Result;
using base::Status;
using Bytes = std::span<const std::byte>;

constexpr std::uint32_t kMagic = 0x5146'49FB;
constexpr std::size_t kHeaderBytes = 104;
constexpr std::uint64_t kMaxL1Bytes = 32 << 20;            // as QEMU's limit
constexpr std::uint64_t kMaxRefcountTableBytes = 8 << 20;  // as QEMU's limit
constexpr std::uint32_t kMaxBackingBytes = 1023;
constexpr std::uint64_t kIncompatibleDirty = 1;
constexpr std::uint64_t kIncompatibleCorrupt = 2;
constexpr std::uint64_t kAutoclearBitmaps = 1;

enum Extension : std::uint32_t {
  kEnd = 0,
  kBackingFormat = 0xE279'2ACA,
  kFeatureNames = 0x6803'F857,
  kBitmaps = 0x2385'2875,
  kEncryption = 0x0537'BE77,
  kExternalData = 0x4441'5441,
  kStasis = 0x5354'4153,  // "STAS": ours; the version of its layout, 0, then a UUID
};
constexpr std::uint32_t kStasisVersion = 1;
constexpr std::size_t kStasisBytes = 24;

tl::unexpected<base::Error> corrupt(std::string_view what) {
  return fail(ErrorKind::kCorrupt,
              fmt::format("damaged qcow2 header: {}; check it with: qemu-img check", what));
}

tl::unexpected<base::Error> unsupported(std::string_view what, std::string_view remedy) {
  return fail(ErrorKind::kUnsupported, fmt::format("{}, which is not supported; {}", what, remedy));
}

constexpr std::string_view kConvert = "convert it with: qemu-img convert -O qcow2 OLD NEW";

/// The name that the file itself gives to an incompatible feature, or its number.
std::string feature_name(Bytes names, unsigned bit) {
  constexpr std::size_t kEntry = 48;
  for (std::size_t at = 0; at + kEntry <= names.size(); at += kEntry) {
    if (load_be(names, at, 1) != 0 || load_be(names, at + 1, 1) != bit) continue;
    std::string name;
    for (std::size_t i = 2; i < kEntry; ++i) {
      const auto letter = static_cast<char>(names[at + i]);
      if (letter < ' ' || letter > '~') break;
      name += letter;
    }
    return fmt::format("\"{}\" (incompatible bit {})", name, bit);
  }
  return fmt::format("incompatible bit {}", bit);
}

Status check_features(std::uint64_t features, Bytes names) {
  if ((features & kIncompatibleCorrupt) != 0) {
    return fail(ErrorKind::kCorrupt,
                "marked as corrupt; repair it with: qemu-img check -r all FILE");
  }
  if ((features & kIncompatibleDirty) != 0) {
    return fail(ErrorKind::kCorrupt,
                "was not closed by who wrote it last; repair it with: qemu-img check -r all FILE");
  }
  if ((features & 4) != 0) return unsupported("has an external data file", kConvert);
  if ((features & 8) != 0) return unsupported("uses another compression than deflate", kConvert);
  if ((features & 16) != 0) return unsupported("has extended L2 entries (subclusters)", kConvert);
  for (unsigned bit = 5; bit < 64; ++bit) {
    if ((features >> bit & 1) == 0) continue;
    return unsupported(fmt::format("has the feature {}", feature_name(names, bit)), kConvert);
  }
  return {};
}

Status check_version(Bytes start) {
  if (start.size() < kHeaderBytes) return corrupt("the file is too short");
  if (load_be(start, 0, 4) != kMagic) {
    return fail(ErrorKind::kInvalidArgument,
                "is not a qcow2 image; say what it is by format=raw, or convert it");
  }
  const auto version = load_be(start, 4, 4);
  if (version == 2) {
    return unsupported("has version 2 of the format",
                       "update it with: qemu-img amend -f qcow2 -o "
                       "compat=1.1 FILE");
  }
  if (version == 3) return {};
  return unsupported(fmt::format("has version {} of the format", version), kConvert);
}

Status check_plain(Bytes start) {
  if (load_be(start, 32, 4) != 0) return unsupported("is encrypted", kConvert);
  const auto snapshots = load_be(start, 60, 4);
  if (snapshots == 0) return {};
  return unsupported(fmt::format("has {} internal snapshots", snapshots),
                     "delete them with: qemu-img snapshot -d NAME FILE");
}

/// Whether `size` bytes from `offset` are whole clusters' worth inside the file.
bool is_inside(std::uint64_t offset, std::uint64_t size, std::uint64_t file_bytes) {
  return offset <= file_bytes && size <= file_bytes - offset;
}

Status check_geometry(const Qcow2Header& header, std::uint64_t file_bytes) {
  const std::uint64_t mask = header.cluster_size() - 1;
  if (header.size_bytes == 0 || header.size_bytes % 512 != 0) {
    return fail(ErrorKind::kInvalidArgument,
                fmt::format("virtual size {} is not a positive multiple of 512 bytes; change it "
                            "with: qemu-img resize FILE SIZE",
                            header.size_bytes));
  }
  if (header.size_bytes > std::uint64_t{1} << 56) return corrupt("the virtual size is over 64 PiB");
  const std::uint64_t l1_bytes = std::uint64_t{header.l1_entries} * 8;
  if (l1_bytes > kMaxL1Bytes) return corrupt("the L1 table is over 32 MiB");
  if (header.l1_entries < header.l1_needed()) return corrupt("the L1 table is too short");
  if ((header.l1_offset & mask) != 0 || header.l1_offset == 0 ||
      !is_inside(header.l1_offset, l1_bytes, file_bytes)) {
    return corrupt(fmt::format("the L1 table at {} is not inside the file", header.l1_offset));
  }
  const auto table_bytes = header.refcount_table_clusters * header.cluster_size();
  if (table_bytes == 0 || table_bytes > kMaxRefcountTableBytes) {
    return corrupt(fmt::format("a refcount table of {} bytes", table_bytes));
  }
  if ((header.refcount_table_offset & mask) != 0 || header.refcount_table_offset == 0 ||
      !is_inside(header.refcount_table_offset, table_bytes, file_bytes)) {
    return corrupt(fmt::format("the refcount table at {} is not inside the file",
                               header.refcount_table_offset));
  }
  return {};
}

Result<std::optional<std::string>> read_backing_path(Bytes start, const Qcow2Header& header) {
  const auto offset = load_be(start, 8, 8);
  const auto size = load_be(start, 16, 4);
  if (offset == 0) return std::nullopt;
  if (size == 0) return std::nullopt;
  const auto limit = std::min<std::uint64_t>(start.size(), header.cluster_size());
  if (size > kMaxBackingBytes || !is_inside(offset, size, limit)) {
    return corrupt("the backing file's name is not inside the first cluster");
  }
  return std::string(reinterpret_cast<const char*>(start.data()) + offset, size);
}

struct Extensions {
  std::optional<std::string> backing_format;
  std::optional<ImageUuid> uuid;
  Bytes feature_names;
  bool has_bitmaps = false;
};

Status take_extension(Extensions& extensions, std::uint32_t type, Bytes data) {
  if (type == kBackingFormat) {
    extensions.backing_format.emplace(reinterpret_cast<const char*>(data.data()), data.size());
  }
  if (type == kFeatureNames) extensions.feature_names = data;
  if (type == kBitmaps) extensions.has_bitmaps = true;
  if (type == kEncryption) return unsupported("is encrypted", kConvert);
  if (type == kExternalData) return unsupported("has an external data file", kConvert);
  if (type == kStasis && data.size() == kStasisBytes && load_be(data, 0, 4) == kStasisVersion) {
    ImageUuid& uuid = extensions.uuid.emplace();
    for (std::size_t i = 0; i < uuid.size(); ++i) uuid[i] = static_cast<std::uint8_t>(data[8 + i]);
  }
  return {};
}

Result<Extensions> read_extensions(Bytes area, std::size_t at) {
  Extensions extensions;
  while (at + 8 <= area.size()) {
    const auto type = static_cast<std::uint32_t>(load_be(area, at, 4));
    const std::size_t size = load_be(area, at + 4, 4);
    at += 8;
    if (type == kEnd) return extensions;
    if (size > area.size() - at) return corrupt("an extension is longer than the header");
    TRY(take_extension(extensions, type, area.subspan(at, size)));
    at += std::min(area.size() - at, (size + 7) / 8 * 8);
  }
  return extensions;
}

/// The bytes in which extensions are: of the first cluster, up to the backing file's name.
Bytes extension_area(Bytes start, const Qcow2Header& header) {
  std::uint64_t end = std::min<std::uint64_t>(start.size(), header.cluster_size());
  if (header.backing_path) end = std::min(end, load_be(start, 8, 8));
  return start.first(end);
}

Result<Qcow2Header> read_fields(Bytes start) {
  Qcow2Header header;
  const auto bits = load_be(start, 20, 4);
  if (bits < 9 || bits > 21) return corrupt(fmt::format("cluster bits {}, not 9..21", bits));
  header.cluster_bits = static_cast<unsigned>(bits);
  header.size_bytes = load_be(start, 24, 8);
  header.l1_entries = static_cast<std::uint32_t>(load_be(start, 36, 4));
  header.l1_offset = load_be(start, 40, 8);
  header.refcount_table_offset = load_be(start, kQcow2RefcountTableField, 8);
  header.refcount_table_clusters = static_cast<std::uint32_t>(load_be(start, 56, 4));
  header.autoclear_features = load_be(start, kQcow2AutoclearField, 8);
  const auto order = load_be(start, 96, 4);
  if (order > 6) return corrupt(fmt::format("refcount order {}, not 0..6", order));
  header.refcount_order = static_cast<unsigned>(order);
  return header;
}

void append_extension(std::vector<std::byte>& out, std::uint32_t type, Bytes data) {
  const std::size_t at = out.size();
  out.resize(at + 8 + (data.size() + 7) / 8 * 8);
  store_be(out, at, 4, type);
  store_be(out, at + 4, 4, data.size());
  std::copy(data.begin(), data.end(), out.begin() + static_cast<std::ptrdiff_t>(at) + 8);
}

void append_uuid(std::vector<std::byte>& out, const ImageUuid& uuid) {
  std::array<std::byte, kStasisBytes> data{};
  store_be(data, 0, 4, kStasisVersion);
  for (std::size_t i = 0; i < uuid.size(); ++i) data[8 + i] = std::byte{uuid[i]};
  append_extension(out, kStasis, data);
}

}  // namespace

std::uint64_t load_be(std::span<const std::byte> bytes, std::size_t at, std::size_t size) {
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < size; ++i) {
    value = value << 8 | std::to_integer<std::uint64_t>(bytes[at + i]);
  }
  return value;
}

void store_be(std::span<std::byte> bytes, std::size_t at, std::size_t size, std::uint64_t value) {
  for (std::size_t i = size; i-- > 0; value >>= 8) {
    bytes[at + i] = static_cast<std::byte>(value & 0xFF);
  }
}

std::string uuid_text(const ImageUuid& uuid) {
  std::string text;
  for (std::size_t i = 0; i < uuid.size(); ++i) {
    if (i == 4 || i == 6 || i == 8 || i == 10) text += '-';
    text += fmt::format("{:02X}", uuid[i]);
  }
  return text;
}

base::Result<Qcow2Header> parse_qcow2_header(std::span<const std::byte> start,
                                             std::uint64_t file_bytes) {
  TRY(check_version(start));
  Qcow2Header header = TRY(read_fields(start));
  const auto header_bytes = load_be(start, 100, 4);
  if (header_bytes < kHeaderBytes || header_bytes % 8 != 0 ||
      header_bytes > std::min<std::uint64_t>(start.size(), header.cluster_size())) {
    return corrupt(fmt::format("a length of {} bytes", header_bytes));
  }
  header.backing_path = TRY(read_backing_path(start, header));
  const Extensions extensions = TRY(read_extensions(extension_area(start, header), header_bytes));
  TRY(check_features(load_be(start, 72, 8), extensions.feature_names));
  TRY(check_plain(start));
  TRY(check_geometry(header, file_bytes));
  header.backing_format = extensions.backing_format;
  header.uuid = extensions.uuid;
  header.has_bitmaps =
      extensions.has_bitmaps && (header.autoclear_features & kAutoclearBitmaps) != 0;
  return header;
}

std::vector<std::byte> encode_qcow2_header(const Qcow2Header& header) {
  std::vector<std::byte> out(kHeaderBytes + 8);  // the 8: compression type and padding
  store_be(out, 0, 4, kMagic);
  store_be(out, 4, 4, 3);
  store_be(out, 20, 4, header.cluster_bits);
  store_be(out, 24, 8, header.size_bytes);
  store_be(out, 36, 4, header.l1_entries);
  store_be(out, 40, 8, header.l1_offset);
  store_be(out, kQcow2RefcountTableField, 8, header.refcount_table_offset);
  store_be(out, 56, 4, header.refcount_table_clusters);
  store_be(out, kQcow2AutoclearField, 8, header.autoclear_features);
  store_be(out, 96, 4, header.refcount_order);
  store_be(out, 100, 4, out.size());
  if (header.backing_format) {
    append_extension(out, kBackingFormat, std::as_bytes(std::span(*header.backing_format)));
  }
  if (header.uuid) append_uuid(out, *header.uuid);
  append_extension(out, kEnd, {});
  if (header.backing_path) {
    store_be(out, 8, 8, out.size());
    store_be(out, 16, 4, header.backing_path->size());
    const auto name = std::as_bytes(std::span(*header.backing_path));
    out.insert(out.end(), name.begin(), name.end());
  }
  return out;
}

}  // namespace stasis::devices
