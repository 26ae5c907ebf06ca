#include "snapshot/manifest.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "snapshot/digest.h"
#include "snapshot/json_reader.h"
#include "snapshot/names.h"
#include "snapshot/uuid.h"

namespace stasis::snapshot {
namespace {

using base::ErrorKind;
using base::fail;
using OrderedJson = nlohmann::ordered_json;

constexpr std::string_view kFormat = "stasis-snapshot";
// The file begins with these bytes and 32 hexadecimal digits: the checksum of all that follows
// them.
constexpr std::string_view kStart = "{\"digest\":\"xxh3-128:";
constexpr std::size_t kHexDigits = 32;
constexpr std::size_t kMaxFiles = 16;
constexpr std::size_t kMaxDiskRecords = 64;
constexpr std::size_t kMaxLayerRecords = 1024;

tl::unexpected<base::Error> corrupt(std::string_view what) {
  return fail(ErrorKind::kCorrupt, fmt::format("manifest: {}", what));
}

std::string checksum_of(std::string_view text) {
  return to_hex(digest_of(std::as_bytes(std::span(text))));
}

base::Result<OrderedJson> parse_own(const std::string& text, std::string_view what) {
  if (text.empty()) return OrderedJson();
  auto json = OrderedJson::parse(text, nullptr, false);
  if (json.is_discarded() || !json.is_structured()) {
    return fail(ErrorKind::kInvalidArgument, fmt::format("{}: not a JSON object or array", what));
  }
  return json;
}

OrderedJson encode_file(const FileRecord& file) {
  return {{"name", file.name},
          {"size_bytes", file.size_bytes},
          {"mtime_ns", file.mtime_ns},
          {"digest", file.digest}};
}

OrderedJson encode_disk(const DiskRecord& disk) {
  OrderedJson layers = OrderedJson::array();
  for (const DiskLayer& layer : disk.layers) {
    layers.push_back({{"path", layer.path},
                      {"format", layer.format},
                      {"size_bytes", layer.size_bytes},
                      {"mtime_ns", layer.mtime_ns},
                      {"uuid", layer.uuid}});
  }
  return {{"id", disk.id}, {"read_only", disk.read_only}, {"layers", std::move(layers)}};
}

OrderedJson encode_capture(const CaptureReport& capture) {
  return {{"engine", capture.engine},
          {"pause_us", capture.pause_us},
          {"total_us", capture.total_us},
          {"captured_bytes", capture.captured_bytes},
          {"stored_bytes", capture.stored_bytes}};
}

base::Result<OrderedJson> encode_fields(const Manifest& manifest) {
  const SnapshotInfo& info = manifest.info;
  OrderedJson json{{"format", kFormat},
                   {"schema", kManifestSchema},
                   {"id", info.id},
                   {"name", info.name},
                   {"notes", info.notes},
                   {"parent", info.parent},
                   {"created_unix_us", info.created_unix_us},
                   {"kind", info.kind == SnapshotKind::kFull ? "full" : "disk"},
                   {"has_memory", info.has_memory},
                   {"capture", encode_capture(info.capture)},
                   {"vm_id", manifest.vm_id}};
  json["config"] = TRY(parse_own(manifest.config_json, "configuration"));
  json["disks"] = OrderedJson::array();
  for (const DiskRecord& disk : manifest.disks) json["disks"].push_back(encode_disk(disk));
  json["files"] = OrderedJson::array();
  for (const FileRecord& file : manifest.files) json["files"].push_back(encode_file(file));
  return json;
}

base::Result<CaptureReport> read_capture(JsonReader in) {
  CaptureReport capture;
  capture.engine = TRY(in.text("engine"));
  capture.pause_us = TRY(in.number("pause_us"));
  capture.total_us = TRY(in.number("total_us"));
  capture.captured_bytes = TRY(in.number("captured_bytes"));
  capture.stored_bytes = TRY(in.number("stored_bytes"));
  TRY(in.finish());
  return capture;
}

base::Result<std::string> read_id(JsonReader& in, const char* name, bool may_be_empty) {
  const std::string id = TRY(in.text(name));
  if (!is_uuid(id) && !(may_be_empty && id.empty())) return in.bad(name, "not an identifier");
  return id;
}

/// Only names that cannot lead out of the snapshot's folder.
bool is_file_name(std::string_view name) {
  return !name.empty() && name.size() <= 64 && name[0] != '.' && name != kManifestFile &&
         std::all_of(name.begin(), name.end(), [](char letter) {
           return (letter >= 'a' && letter <= 'z') || (letter >= '0' && letter <= '9') ||
                  letter == '.';
         });
}

base::Result<FileRecord> read_file(JsonReader in) {
  FileRecord file;
  file.name = TRY(in.text("name"));
  if (!is_file_name(file.name)) return in.bad("name", "no name for a file of a snapshot");
  file.size_bytes = TRY(in.number("size_bytes"));
  file.mtime_ns = TRY(in.number("mtime_ns"));
  file.digest = TRY(in.text("digest"));
  const bool is_hex = file.digest.find_first_not_of("0123456789abcdef") == std::string::npos;
  if (!is_hex || (file.digest.size() != kHexDigits && !file.digest.empty())) {
    return in.bad("digest", "not 32 hexadecimal digits");
  }
  TRY(in.finish());
  return file;
}

/// Relative paths stay below the VM's folder.
bool leads_out(std::string_view path) {
  if (path.starts_with('/')) return false;
  while (!path.empty()) {
    const auto part = path.substr(0, path.find('/'));
    if (part == "..") return true;
    path.remove_prefix(std::min(path.size(), part.size() + 1));
  }
  return false;
}

base::Result<DiskLayer> read_layer_record(JsonReader in) {
  DiskLayer layer;
  layer.path = TRY(in.text("path"));
  if (layer.path.empty() || leads_out(layer.path)) {
    return in.bad("path", "leads out of the machine's folder");
  }
  layer.format = TRY(in.text("format"));
  layer.size_bytes = TRY(in.number("size_bytes"));
  layer.mtime_ns = TRY(in.number("mtime_ns"));
  layer.uuid = TRY(in.text("uuid"));
  TRY(in.finish());
  return layer;
}

base::Result<DiskRecord> read_disk_record(JsonReader in) {
  DiskRecord disk;
  disk.id = TRY(in.text("id"));
  disk.read_only = TRY(in.truth("read_only"));
  for (auto& layer : TRY(in.objects("layers", kMaxLayerRecords))) {
    disk.layers.push_back(TRY(read_layer_record(std::move(layer))));
  }
  TRY(in.finish());
  return disk;
}

base::Result<SnapshotInfo> read_info(JsonReader& in) {
  SnapshotInfo info;
  info.id = TRY(read_id(in, "id", false));
  info.name = TRY(in.text("name"));
  if (const auto named = check_snapshot_name(info.name); !named) {
    return in.bad("name", named.error().message());
  }
  info.notes = TRY(in.text("notes", kMaxManifestBytes));
  info.parent = TRY(read_id(in, "parent", true));
  info.created_unix_us = TRY(in.number("created_unix_us"));
  info.kind = TRY(in.choice<SnapshotKind>(
      "kind", {{"full", SnapshotKind::kFull}, {"disk", SnapshotKind::kDisk}}));
  info.has_memory = TRY(in.truth("has_memory"));
  info.capture = TRY(read_capture(TRY(in.object("capture"))));
  return info;
}

base::Result<Manifest> read_manifest(JsonReader& in) {
  Manifest manifest;
  TRY(in.text("digest"));  // checked already
  manifest.info = TRY(read_info(in));
  manifest.vm_id = TRY(read_id(in, "vm_id", false));
  manifest.config_json = TRY(in.any("config"));
  for (auto& disk : TRY(in.objects("disks", kMaxDiskRecords))) {
    manifest.disks.push_back(TRY(read_disk_record(std::move(disk))));
  }
  for (auto& file : TRY(in.objects("files", kMaxFiles))) {
    manifest.files.push_back(TRY(read_file(std::move(file))));
  }
  TRY(in.finish());
  return manifest;
}

base::Status check_checksum(std::string_view text) {
  if (!text.starts_with(kStart) || text.size() < kStart.size() + kHexDigits) {
    return corrupt("does not begin with a checksum");
  }
  const auto wanted = text.substr(kStart.size(), kHexDigits);
  const auto found = checksum_of(text.substr(kStart.size() + kHexDigits));
  if (found == wanted) return {};
  return corrupt(fmt::format("checksum {}, not {}: changed or damaged", found, wanted));
}

}  // namespace

const FileRecord* Manifest::file(std::string_view name) const {
  const auto found = std::find_if(files.begin(), files.end(),
                                  [name](const FileRecord& file) { return file.name == name; });
  return found == files.end() ? nullptr : &*found;
}

base::Result<std::string> encode_manifest(const Manifest& manifest) {
  const auto fields = TRY(encode_fields(manifest));
  constexpr auto kReplace =
      OrderedJson::error_handler_t::replace;  // names are checked UTF-8 anyway
  const std::string body = fields.dump(2, ' ', false, kReplace);
  const std::string rest = "\"," + body.substr(1) + "\n";  // behind the digits; "{" is in kStart
  if (rest.size() + kStart.size() + kHexDigits > kMaxManifestBytes) {
    return fail(ErrorKind::kInvalidArgument,
                fmt::format("manifest of {} bytes; at most {}", rest.size(), kMaxManifestBytes));
  }
  const std::string text = fmt::format("{}{}{}", kStart, checksum_of(rest), rest);
  // A snapshot that cannot be read again must not come to be.
  if (const auto readable = decode_manifest(text); !readable) {
    return fail(ErrorKind::kInvalidArgument, readable.error().message());
  }
  return text;
}

base::Result<Manifest> decode_manifest(std::string_view text) {
  if (text.size() > kMaxManifestBytes) {
    return corrupt(fmt::format("{} bytes; at most {}", text.size(), kMaxManifestBytes));
  }
  auto in = TRY(JsonReader::parse(text, "manifest"));
  if (TRY(in.text("format")) != kFormat) return in.bad("format", "not a snapshot of Stasis");
  TRY(in.check_schema(kManifestSchema));  // first: a newer one may have another checksum
  TRY(check_checksum(text));
  return read_manifest(in);
}

}  // namespace stasis::snapshot
