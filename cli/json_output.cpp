#include "cli/json_output.h"

#include "cli/time_text.h"

namespace stasis::cli {
namespace {

using nlohmann::ordered_json;

ordered_json text_or_null(const std::string& text) {
  return text.empty() ? ordered_json(nullptr) : ordered_json(text);
}

ordered_json disks_json(const std::vector<vmm::DiskConfig>& disks) {
  ordered_json list = ordered_json::array();
  for (const vmm::DiskConfig& disk : disks) {
    ordered_json backing = ordered_json::array();
    for (const devices::ImageLayer& layer : disk.backing) {
      backing.push_back({{"path", layer.path}, {"format", devices::name_of(layer.format)}});
    }
    list.push_back({{"id", disk.id},
                    {"path", disk.path},
                    {"format", devices::name_of(disk.format)},
                    {"read_only", disk.read_only},
                    {"backing", std::move(backing)}});
  }
  return list;
}

ordered_json forwards_json(const vmm::UserNetConfig& net) {
  ordered_json list = ordered_json::array();
  for (const vmm::PortForward& forward : net.forwards) {
    list.push_back({{"protocol", forward.udp ? "udp" : "tcp"},
                    {"host_port", forward.host_port},
                    {"guest_port", forward.guest_port}});
  }
  return list;
}

ordered_json last_run_json(const VmView& view) {
  if (!view.last_run) return nullptr;
  const snapshot::RunRecord& run = *view.last_run;
  return {{"pid", run.pid},
          {"started", text_or_null(utc_text(run.started_unix_us))},
          {"ended", text_or_null(utc_text(run.ended_unix_us))},
          {"end", text_or_null(std::string(snapshot::run_end_word(run.end)))},
          {"detail", text_or_null(run.detail)}};
}

}  // namespace

std::string json_record(const ordered_json& members) {
  ordered_json record = {{"schema", kJsonSchema}};
  record.update(members);
  return record.dump(2, ' ', false, ordered_json::error_handler_t::replace) + '\n';
}

ordered_json machine_json(const VmView& view) {
  const vmm::MachineConfig& config = view.info.config;
  ordered_json value = {{"name", view.name},
                        {"id", view.info.id},
                        {"state", view.state},
                        {"pid", view.pid == 0 ? ordered_json(nullptr) : ordered_json(view.pid)},
                        {"created", utc_text(view.info.created_unix_us)},
                        {"started", text_or_null(utc_text(view.info.started_unix_us))},
                        {"last_run", last_run_json(view)},
                        {"current_snapshot", text_or_null(view.info.current)},
                        {"last_applied_snapshot", text_or_null(view.info.last_applied)},
                        {"kernel", config.kernel},
                        {"initrd", text_or_null(config.initrd)},
                        {"cmdline", config.cmdline},
                        {"cpus", config.cpus},
                        {"memory_bytes", config.memory_bytes},
                        {"disks", disks_json(config.disks)},
                        {"net", nullptr}};
  if (config.net) value["net"] = {{"kind", "user"}, {"forwards", forwards_json(*config.net)}};
  return value;
}

ordered_json snapshot_json(const snapshot::SnapshotInfo& snapshot) {
  const snapshot::CaptureReport& capture = snapshot.capture;
  constexpr double kPerMs = 1000.0;
  return {{"id", snapshot.id},
          {"name", snapshot.name},
          {"notes", snapshot.notes},
          {"parent", text_or_null(snapshot.parent)},
          {"created", utc_text(snapshot.created_unix_us)},
          {"type", snapshot.kind == snapshot::SnapshotKind::kFull ? "full" : "disk"},
          {"has_memory", snapshot.has_memory},
          {"engine", capture.engine},
          {"pause_ms", static_cast<double>(capture.pause_us) / kPerMs},
          {"total_ms", static_cast<double>(capture.total_us) / kPerMs},
          {"captured_bytes", capture.captured_bytes},
          {"stored_bytes", capture.stored_bytes}};
}

}  // namespace stasis::cli
