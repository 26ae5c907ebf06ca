#include "snapshot/manifest.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

#include "snapshot/digest.h"
#include "snapshot/json_fields.h"
#include "snapshot/names.h"
#include "snapshot/uuid.h"

namespace stasis::snapshot {
namespace {

using base::ErrorKind;
using base::fail;
using Json = nlohmann::json;
using OrderedJson = nlohmann::ordered_json;

constexpr std::string_view kFormat = "stasis-snapshot";
// The file begins with these bytes and 32 hexadecimal digits: the checksum of all that follows
// them.
constexpr std::string_view kStart = "{\"digest\":\"xxh3-128:";
constexpr std::size_t kHexDigits = 32;
constexpr std::size_t kMaxFiles = 16;
constexpr std::size_t kMaxDisks = 64;
constexpr std::size_t kMaxLayers = 1024;

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
                   {"version", kManifestVersion},
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
  json["host_needs"] = TRY(parse_own(manifest.host_needs_json, "host needs"));
  json["disks"] = OrderedJson::array();
  for (const DiskRecord& disk : manifest.disks) json["disks"].push_back(encode_disk(disk));
  json["files"] = OrderedJson::array();
  for (const FileRecord& file : manifest.files) json["files"].push_back(encode_file(file));
  return json;
}

void read_capture(JsonFields& fields, CaptureReport& capture) {
  fields("engine", capture.engine)("pause_us", capture.pause_us)("total_us", capture.total_us)(
      "captured_bytes", capture.captured_bytes)("stored_bytes", capture.stored_bytes);
}

void read_kind(JsonFields& fields, SnapshotKind& kind) {
  std::string text;
  fields("kind", text);
  kind = text == "disk" ? SnapshotKind::kDisk : SnapshotKind::kFull;
  if (text != "disk" && text != "full") fields.note("kind", fmt::format("\"{}\" is unknown", text));
}

void read_id(JsonFields& fields, const char* name, std::string& id, bool may_be_empty) {
  fields(name, id);
  if (!is_uuid(id) && !(may_be_empty && id.empty())) fields.note(name, "is not an identifier");
}

void read_file(JsonFields& fields, FileRecord& file) {
  fields("name", file.name)("size_bytes", file.size_bytes)("mtime_ns", file.mtime_ns)("digest",
                                                                                      file.digest);
  const auto is_plain = [](char letter) {
    return (letter >= 'a' && letter <= 'z') || (letter >= '0' && letter <= '9') || letter == '.';
  };
  // Only names that cannot lead out of the snapshot's folder.
  if (file.name.empty() || file.name.size() > 64 || file.name[0] == '.' ||
      file.name == kManifestFile || !std::all_of(file.name.begin(), file.name.end(), is_plain)) {
    fields.note("name", fmt::format("\"{}\" is no name for a file of a snapshot", file.name));
  }
  const bool is_hex = file.digest.find_first_not_of("0123456789abcdef") == std::string::npos;
  if (!is_hex || (file.digest.size() != kHexDigits && !file.digest.empty())) {
    fields.note("digest", "is not 32 hexadecimal digits");
  }
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

void read_layer(JsonFields& fields, DiskLayer& layer) {
  fields("path", layer.path)("format", layer.format)("size_bytes", layer.size_bytes)(
      "mtime_ns", layer.mtime_ns)("uuid", layer.uuid);
  if (layer.path.empty() || layer.path.find('\0') != std::string::npos || leads_out(layer.path)) {
    fields.note("path", fmt::format("\"{}\" leads out of the machine's folder", layer.path));
  }
}

void read_disk(JsonFields& fields, DiskRecord& disk) {
  fields("id", disk.id)("read_only", disk.read_only);
  fields.list("layers", kMaxLayers, disk.layers, read_layer);
}

base::Result<Manifest> decode_fields(const Json& json) {
  Manifest manifest;
  SnapshotInfo& info = manifest.info;
  JsonFields fields(json, "");
  fields("name", info.name)("notes", info.notes)("created_unix_us", info.created_unix_us)(
      "has_memory", info.has_memory);
  read_id(fields, "id", info.id, false);
  read_id(fields, "parent", info.parent, true);
  read_id(fields, "vm_id", manifest.vm_id, false);
  read_kind(fields, info.kind);
  fields.object("capture", [&](JsonFields& inner) { read_capture(inner, info.capture); });
  fields.any("config", manifest.config_json).any("host_needs", manifest.host_needs_json);
  fields.list("disks", kMaxDisks, manifest.disks, read_disk);
  fields.list("files", kMaxFiles, manifest.files, read_file);
  TRY(fields.status());
  if (const auto named = check_snapshot_name(info.name); !named) {
    return fail(ErrorKind::kCorrupt, named.error().message());
  }
  return manifest;
}

base::Status check_version(const Json& json) {
  std::string format;
  std::uint64_t version = 0;
  JsonFields fields(json, "");
  fields("format", format)("version", version);
  TRY(fields.status());
  if (format != kFormat) return fail(ErrorKind::kCorrupt, "format: is not a snapshot of Stasis");
  if (version == 0) return fail(ErrorKind::kCorrupt, "version: 0 does not exist");
  if (version <= kManifestVersion) return {};
  return fail(ErrorKind::kUnsupported,
              fmt::format("version {} is newer than {} of this build; use the build that made the "
                          "snapshot",
                          version, kManifestVersion));
}

base::Status check_checksum(std::string_view text) {
  if (!text.starts_with(kStart) || text.size() < kStart.size() + kHexDigits) {
    return fail(ErrorKind::kCorrupt, "does not begin with a checksum");
  }
  const auto wanted = text.substr(kStart.size(), kHexDigits);
  const auto found = checksum_of(text.substr(kStart.size() + kHexDigits));
  if (found == wanted) return {};
  return fail(
      ErrorKind::kCorrupt,
      fmt::format("checksum is {}, not {}: the file was changed or damaged", found, wanted));
}

}  // namespace

base::Result<Json> parse_json(std::string_view text) {
  constexpr int kMaxDepth = 32;  // copying and printing a value call themselves once a level
  bool is_flat = true;
  const auto check = [&is_flat](int depth, Json::parse_event_t, Json&) {
    is_flat = is_flat && depth <= kMaxDepth;
    return is_flat;
  };
  Json json = Json::parse(text, check, false);
  if (!json.is_discarded() && is_flat) return json;
  return fail(ErrorKind::kCorrupt, is_flat ? "is not JSON" : "is nested too deep");
}

const FileRecord* Manifest::file(std::string_view name) const {
  const auto found = std::find_if(files.begin(), files.end(),
                                  [name](const FileRecord& file) { return file.name == name; });
  return found == files.end() ? nullptr : &*found;
}

base::Result<std::string> encode_manifest(const Manifest& manifest) {
  const auto json = TRY(encode_fields(manifest));
  constexpr auto kReplace =
      OrderedJson::error_handler_t::replace;  // names are checked UTF-8 anyway
  const std::string body = json.dump(2, ' ', false, kReplace);
  const std::string rest = "\"," + body.substr(1) + "\n";  // behind the digits; "{" is in kStart
  if (rest.size() + kStart.size() + kHexDigits > kMaxManifestBytes) {
    return fail(ErrorKind::kInvalidArgument,
                fmt::format("manifest of {} bytes; at most {}", rest.size(), kMaxManifestBytes));
  }
  return fmt::format("{}{}{}", kStart, checksum_of(rest), rest);
}

base::Result<Manifest> decode_manifest(std::string_view text) {
  if (text.size() > kMaxManifestBytes) {
    return fail(ErrorKind::kCorrupt,
                fmt::format("is {} bytes long; at most {}", text.size(), kMaxManifestBytes));
  }
  const Json json = TRY(parse_json(text));
  TRY(check_version(json));  // first: a newer version may be checked in another way
  TRY(check_checksum(text));
  return decode_fields(json);
}

}  // namespace stasis::snapshot
