#include "snapshot/vm_present.h"

#include <nlohmann/json.hpp>

#include "snapshot/json_reader.h"
#include "snapshot/uuid.h"
#include "snapshot/vm_config.h"

namespace stasis::snapshot {
namespace {

using base::Result;
using nlohmann::json;
using Format = PresentLayer::Format;

constexpr std::size_t kMaxPresentDisks = 64;
constexpr std::size_t kMaxPresentLayers = 4096;

json layers_to_json(const std::vector<PresentLayer>& layers) {
  json list = json::array();
  for (const auto& [path, format] : layers) {
    list.push_back({{"path", path}, {"format", format == Format::kRaw ? "raw" : "qcow2"}});
  }
  return list;
}

Result<PresentLayer> read_present_layer(JsonReader& reader) {
  PresentLayer layer;
  layer.path = TRY(reader.text("path"));
  if (layer.path.empty()) return reader.bad("path", "empty");
  layer.format =
      TRY(reader.choice<Format>("format", {{"raw", Format::kRaw}, {"qcow2", Format::kQcow2}}));
  TRY(reader.finish());
  return layer;
}

Result<PresentDisk> read_present_disk(JsonReader& reader) {
  PresentDisk disk;
  disk.id = TRY(reader.text("id", 20));
  for (JsonReader& item : TRY(reader.objects("layers", kMaxPresentLayers))) {
    disk.layers.push_back(TRY(read_present_layer(item)));
  }
  if (disk.layers.empty()) return reader.bad("layers", "empty");
  TRY(reader.finish());
  return disk;
}

Result<std::string> read_snapshot_id(JsonReader& reader, const char* name) {
  std::string id = TRY(reader.text(name));
  if (!id.empty() && !is_uuid(id)) return reader.bad(name, "not a UUID in upper case");
  return id;
}

}  // namespace

Result<std::string> encode_present(const Present& present) {
  const auto& [disks, current, last_applied, saved_from, previous] = present;
  json list = json::array();
  for (const auto& [id, layers] : disks) {
    list.push_back({{"id", id}, {"layers", layers_to_json(layers)}});
  }
  return json_text({{"schema", kPresentSchema},
                    {"disks", std::move(list)},
                    {"current", current},
                    {"last_applied", last_applied},
                    {"saved_from", saved_from},
                    {"previous", previous}});
}

Result<Present> decode_present(std::string_view text) {
  JsonReader reader = TRY(JsonReader::parse(text, "current.json"));
  TRY(reader.check_schema(kPresentSchema));
  Present present;
  for (JsonReader& item : TRY(reader.objects("disks", kMaxPresentDisks))) {
    present.disks.push_back(TRY(read_present_disk(item)));
  }
  present.current = TRY(read_snapshot_id(reader, "current"));
  present.last_applied = TRY(read_snapshot_id(reader, "last_applied"));
  present.saved_from = TRY(read_snapshot_id(reader, "saved_from"));
  present.previous = TRY(read_snapshot_id(reader, "previous"));
  TRY(reader.finish());
  return present;
}

}  // namespace stasis::snapshot
