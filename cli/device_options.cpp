#include "cli/device_options.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>

#include "cli/bad_value.h"
#include "cli/key_values.h"
#include "cli/size_text.h"
#include "cli/spelling.h"

namespace stasis::cli {
namespace {

using base::Error;
using base::ErrorKind;
using base::fail;
using base::Result;
using base::Status;
using devices::ImageFormat;

constexpr std::size_t kMaxIdBytes = 20;  // virtio 1.2, 5.2.6: VIRTIO_BLK_ID_BYTES

/// The items after the first, which says what it is.
std::vector<KeyValue> rest_of(const std::vector<KeyValue>& items) {
  return {items.begin() + 1, items.end()};
}

Result<ImageFormat> parse_format(const std::string& format) {
  if (format == "raw") return ImageFormat::kRaw;
  if (format == "qcow2") return ImageFormat::kQcow2;
  return bad_value(format,
                   "unknown format; convert the disk with: qemu-img convert -O qcow2 OLD NEW");
}

/// `[raw:|qcow2:]FILE`; the base is raw and what lies over it qcow2 unless said otherwise.
Result<devices::ImageLayer> parse_backing(const std::string& value, bool is_base) {
  devices::ImageLayer layer{value, is_base ? ImageFormat::kRaw : ImageFormat::kQcow2};
  for (const ImageFormat format : {ImageFormat::kRaw, ImageFormat::kQcow2}) {
    const std::string prefix = fmt::format("{}:", devices::name_of(format));
    if (value.starts_with(prefix)) layer = {value.substr(prefix.size()), format};
  }
  if (layer.path.empty()) return bad_value(value, "no file; write backing=FILE");
  if (is_base || layer.format == ImageFormat::kQcow2) return layer;
  return bad_value(value, "a raw image cannot lie over another; name the base first");
}

Status check_layers(const vmm::DiskConfig& disk) {
  if (disk.backing.empty() || disk.format == ImageFormat::kQcow2) return {};
  return bad_value(disk.path,
                   "a raw image has no backing file; add format=qcow2, or leave out "
                   "backing=");
}

Status check_id(const std::string& id) {
  if (id.size() <= kMaxIdBytes) return {};
  return bad_value(id, fmt::format("id longer than {} bytes; shorten it", kMaxIdBytes));
}

Result<vmm::DiskConfig> parse_disk(const std::string& value, std::size_t place) {
  // The file is all up to the first single comma, "=" included.
  auto items = split_key_values(value);
  vmm::DiskConfig disk;
  disk.path = items[0].key + (items[0].value ? "=" + *items[0].value : "");
  disk.id = fmt::format("disk{}", place);
  if (disk.path.empty()) return bad_value(value, "no file; write --disk FILE");
  items = rest_of(items);
  TRY(check_keys(items, {{"format", true}, {"backing", true, true}, {"ro", false}, {"id", true}}));
  for (const KeyValue& item : items) {
    if (item.key == "format") disk.format = TRY(parse_format(*item.value));
    if (item.key == "backing") {
      disk.backing.push_back(TRY(parse_backing(*item.value, disk.backing.empty())));
    }
    if (item.key == "ro") disk.read_only = true;
    if (item.key == "id") disk.id = *item.value;
  }
  TRY(check_id(disk.id));
  TRY(check_layers(disk));
  return disk;
}

/// Two names of one file, as far as it can be told; a missing file is another's to refuse.
bool is_same_file(const std::string& a, const std::string& b) {
  struct stat first {};
  struct stat second {};
  if (a == b) return true;
  if (::stat(a.c_str(), &first) != 0 || ::stat(b.c_str(), &second) != 0) return false;
  return first.st_dev == second.st_dev && first.st_ino == second.st_ino;
}

Status check_against(const vmm::DiskConfig& disk, std::span<const vmm::DiskConfig> others) {
  for (const vmm::DiskConfig& other : others) {
    if (is_same_file(disk.path, other.path)) {
      return bad_value(disk.path, "given twice; a guest would corrupt it; give it once");
    }
    if (disk.id == other.id) {
      return bad_value(disk.path, fmt::format("id \"{}\" is taken by \"{}\"; give another by id=ID",
                                              disk.id, other.path));
    }
  }
  return {};
}

Result<std::vector<std::string>> split_forward(const std::string& value) {
  std::vector<std::string> parts(1);
  for (const char c : value) {
    if (c == ':') {
      parts.emplace_back();
    } else {
      parts.back() += c;
    }
  }
  if (parts.size() == 3) return parts;
  return bad_value(value, "not a forward; write tcp:HOSTPORT:GUESTPORT, such as tcp:8080:80");
}

Result<vmm::PortForward> parse_forward(const std::string& value) {
  constexpr std::uint64_t kMaxPort = 65535;
  const auto parts = TRY(split_forward(value));
  if (parts[0] != "tcp" && parts[0] != "udp") {
    const std::string_view words[] = {"tcp", "udp"};
    return bad_value(
        value, fmt::format("unknown protocol \"{}\"{}", parts[0], spelling_hint(parts[0], words)));
  }
  const auto port = [&](const std::string& text) { return parse_number(text, 1, kMaxPort); };
  vmm::PortForward forward;
  forward.udp = parts[0] == "udp";
  forward.host_port = static_cast<std::uint16_t>(TRY(port(parts[1])));
  forward.guest_port = static_cast<std::uint16_t>(TRY(port(parts[2])));
  return forward;
}

Status add_forward(vmm::UserNetConfig& net, const std::string& value) {
  const auto forward = parse_forward(value);
  if (!forward) return fail(forward.error().with_context("forward"));
  const bool is_taken =
      std::any_of(net.forwards.begin(), net.forwards.end(), [&](const vmm::PortForward& other) {
        return other.udp == forward->udp && other.host_port == forward->host_port;
      });
  if (is_taken) return bad_value(value, "host port is forwarded twice; choose another");
  net.forwards.push_back(*forward);
  return {};
}

Result<vmm::ConsoleConfig> parse_console_kind(const KeyValue& item) {
  using Kind = vmm::ConsoleConfig::Kind;
  vmm::ConsoleConfig console;
  const bool is_file = item.key == "file";
  if (is_file && (!item.value || item.value->empty())) {
    return bad_value("file", "no file named; write file=FILE");
  }
  if (is_file) {
    console.kind = Kind::kFile;
    console.file = *item.value;
    return console;
  }
  console.kind = item.key == "none" ? Kind::kNone : Kind::kStdio;
  if (!item.value && (item.key == "none" || item.key == "stdio")) return console;
  const std::string_view words[] = {"stdio", "file=FILE", "none"};
  const std::string word = item.key + (item.value ? "=" + *item.value : "");
  return bad_value(word, fmt::format("unknown console{}", spelling_hint(item.key, words)));
}

}  // namespace

Result<std::vector<vmm::DiskConfig>> parse_disks(std::span<const std::string> values) {
  std::vector<vmm::DiskConfig> disks;
  for (const std::string& value : values) {
    const auto disk = parse_disk(value, disks.size());
    if (!disk) return fail(disk.error().with_context("--disk"));
    const Status check = check_against(*disk, disks);
    if (!check) return fail(check.error().with_context("--disk"));
    disks.push_back(*disk);
  }
  return disks;
}

Result<std::optional<vmm::UserNetConfig>> parse_net(const std::string& value) {
  const auto items = split_key_values(value);
  const std::string& kind = items[0].key;
  const std::string_view words[] = {"user", "none"};
  if (items[0].value || (kind != "user" && kind != "none")) {
    return bad_value(value, fmt::format("unknown network{}", spelling_hint(kind, words)));
  }
  const auto rest = rest_of(items);
  if (kind == "none") {
    if (!rest.empty()) return bad_value(value, "\"none\" takes no keys; write --net none");
    return std::nullopt;
  }
  TRY(check_keys(rest, {{"forward", true, true}}));
  vmm::UserNetConfig net;
  for (const KeyValue& item : rest) TRY(add_forward(net, *item.value));
  return net;
}

Result<vmm::ConsoleConfig> parse_console(const std::string& value) {
  const auto items = split_key_values(value);
  vmm::ConsoleConfig console = TRY(parse_console_kind(items[0]));
  const auto rest = rest_of(items);
  TRY(check_keys(rest, {{"device", true}}));
  if (rest.empty()) return console;
  const std::string& device = *rest[0].value;
  if (device != "serial" && device != "virtio") {
    const std::string_view words[] = {"serial", "virtio"};
    return bad_value(device, fmt::format("unknown console device{}", spelling_hint(device, words)));
  }
  const bool is_serial = device == "serial";
  console.port = is_serial ? vmm::ConsoleConfig::Port::kSerial : vmm::ConsoleConfig::Port::kVirtio;
  return console;
}

std::string with_console(const std::string& cmdline, const vmm::ConsoleConfig& console) {
  constexpr std::string_view kOption = "console=";
  const bool is_named =
      cmdline.starts_with(kOption) || cmdline.find(" console=") != std::string::npos;
  if (is_named || console.kind == vmm::ConsoleConfig::Kind::kNone) return cmdline;
  const bool is_serial = console.port == vmm::ConsoleConfig::Port::kSerial;
  return fmt::format("{}{}{}{}", kOption, is_serial ? "ttyS0" : "hvc0", cmdline.empty() ? "" : " ",
                     cmdline);
}

}  // namespace stasis::cli
