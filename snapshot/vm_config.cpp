#include "snapshot/vm_config.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "snapshot/json_reader.h"
#include "snapshot/names.h"
#include "snapshot/uuid.h"

namespace stasis::snapshot {
namespace {

using base::ErrorKind;
using base::fail;
using base::Result;
using base::Status;
using nlohmann::json;
using vmm::ConsoleConfig;
using vmm::CpuModel;

constexpr std::size_t kMaxDisks = 64;
constexpr std::size_t kMaxLayers = 4096;
constexpr std::size_t kMaxForwards = 1024;
constexpr std::size_t kMaxCmdline = 64 * 1024;
constexpr std::uint64_t kMaxMemory = std::uint64_t{1} << 46;
constexpr std::uint64_t kPage = 4096;

// The structured bindings below name every member: a new one does not compile until it is here.

json layer_to_json(const devices::ImageLayer& layer) {
  const auto& [path, format] = layer;
  return {{"path", path}, {"format", devices::name_of(format)}};
}

json disk_to_json(const vmm::DiskConfig& disk) {
  const auto& [path, read_only, id, format, backing] = disk;
  json layers = json::array();
  for (const devices::ImageLayer& layer : backing) layers.push_back(layer_to_json(layer));
  return {{"path", path},
          {"read_only", read_only},
          {"id", id},
          {"format", devices::name_of(format)},
          {"backing", std::move(layers)}};
}

Result<devices::ImageFormat> format_from_json(JsonReader& reader) {
  using devices::ImageFormat;
  return reader.choice<ImageFormat>("format",
                                    {{"raw", ImageFormat::kRaw}, {"qcow2", ImageFormat::kQcow2}});
}

Result<devices::ImageLayer> layer_from_json(JsonReader& reader) {
  devices::ImageLayer layer;
  layer.path = TRY(reader.text("path"));
  layer.format = TRY(format_from_json(reader));
  TRY(reader.finish());
  return layer;
}

Result<vmm::DiskConfig> disk_from_json(JsonReader& reader) {
  vmm::DiskConfig disk;
  disk.path = TRY(reader.text("path"));
  disk.read_only = TRY(reader.truth("read_only"));
  disk.id = TRY(reader.text("id", 20));
  disk.format = TRY(format_from_json(reader));
  for (JsonReader& layer : TRY(reader.objects("backing", kMaxLayers))) {
    disk.backing.push_back(TRY(layer_from_json(layer)));
  }
  TRY(reader.finish());
  return disk;
}

json net_to_json(const vmm::UserNetConfig& net) {
  const auto& [forwards] = net;
  json list = json::array();
  for (const auto& [udp, host_port, guest_port] : forwards) {
    list.push_back({{"protocol", udp ? "udp" : "tcp"}, {"host", host_port}, {"guest", guest_port}});
  }
  return {{"kind", "user"}, {"forwards", std::move(list)}};
}

Result<vmm::PortForward> forward_from_json(JsonReader& reader) {
  vmm::PortForward forward;
  forward.udp = TRY(reader.choice<bool>("protocol", {{"tcp", false}, {"udp", true}}));
  forward.host_port = static_cast<std::uint16_t>(TRY(reader.number("host", 1, 65535)));
  forward.guest_port = static_cast<std::uint16_t>(TRY(reader.number("guest", 1, 65535)));
  TRY(reader.finish());
  return forward;
}

Result<vmm::UserNetConfig> net_from_json(JsonReader& reader) {
  vmm::UserNetConfig net;
  TRY(reader.choice<bool>("kind", {{"user", true}}));
  for (JsonReader& item : TRY(reader.objects("forwards", kMaxForwards))) {
    net.forwards.push_back(TRY(forward_from_json(item)));
  }
  TRY(reader.finish());
  return net;
}

json console_to_json(const ConsoleConfig& console) {
  const auto& [kind, port, file] = console;
  const char* const words[] = {"none", "stdio", "file"};
  return {{"kind", words[static_cast<int>(kind)]},
          {"port", port == ConsoleConfig::Port::kSerial ? "serial" : "virtio"},
          {"file", file}};
}

Result<ConsoleConfig> console_from_json(JsonReader reader) {
  using Kind = ConsoleConfig::Kind;
  using Port = ConsoleConfig::Port;
  ConsoleConfig console;
  console.kind = TRY(reader.choice<Kind>(
      "kind", {{"none", Kind::kNone}, {"stdio", Kind::kStdio}, {"file", Kind::kFile}}));
  console.port =
      TRY(reader.choice<Port>("port", {{"serial", Port::kSerial}, {"virtio", Port::kVirtio}}));
  console.file = TRY(reader.text("file"));
  TRY(reader.finish());
  return console;
}

Status read_size(JsonReader& reader, vmm::MachineConfig& machine) {
  machine.cpus = static_cast<unsigned>(TRY(reader.number("cpus", 1, vmm::kMaxCpus)));
  machine.memory_bytes = TRY(reader.number("memory_bytes", kPage, kMaxMemory));
  if (machine.memory_bytes % kPage != 0) return reader.bad("memory_bytes", "not whole pages");
  machine.cpu_model = TRY(reader.choice<CpuModel>(
      "cpu_model", {{"host", CpuModel::kHost}, {"baseline", CpuModel::kBaseline}}));
  return {};
}

json machine_to_json(const vmm::MachineConfig& machine) {
  const auto& [name, kernel, initrd, cmdline, cpus, memory_bytes, cpu_model, disks, net, console,
               rng] = machine;
  json list = json::array();
  for (const vmm::DiskConfig& disk : disks) list.push_back(disk_to_json(disk));
  json value = {{"name", name},
                {"kernel", kernel},
                {"initrd", initrd},
                {"cmdline", cmdline},
                {"cpus", cpus},
                {"memory_bytes", memory_bytes},
                {"cpu_model", cpu_model == CpuModel::kHost ? "host" : "baseline"},
                {"disks", std::move(list)},
                {"console", console_to_json(console)},
                {"rng", rng}};
  if (net) value["net"] = net_to_json(*net);
  return value;
}

}  // namespace

Result<vmm::MachineConfig> machine_from_json(JsonReader& reader) {
  vmm::MachineConfig machine;
  machine.name = TRY(reader.text("name"));
  if (const Status name = check_vm_name(machine.name); !name) {
    return reader.bad("name", name.error().message());
  }
  machine.kernel = TRY(reader.text("kernel"));
  machine.initrd = TRY(reader.text("initrd"));
  machine.cmdline = TRY(reader.text("cmdline", kMaxCmdline));
  TRY(read_size(reader, machine));
  for (JsonReader& disk : TRY(reader.objects("disks", kMaxDisks))) {
    machine.disks.push_back(TRY(disk_from_json(disk)));
  }
  if (reader.has("net")) {
    JsonReader net = TRY(reader.object("net"));
    machine.net = TRY(net_from_json(net));
  }
  machine.console = TRY(console_from_json(TRY(reader.object("console"))));
  machine.rng = TRY(reader.truth("rng"));
  TRY(reader.finish());
  return machine;
}

Result<std::string> machine_text(const vmm::MachineConfig& machine) {
  return json_text(machine_to_json(machine));
}

Result<std::string> json_text(const json& value) {
  try {
    return value.dump(2) + '\n';
  } catch (const json::exception&) {  // its only cause: a string that is not UTF-8
    return fail(ErrorKind::kInvalidArgument,
                "a path or text is not valid UTF-8; rename the file, or give another name");
  }
}

Result<std::string> encode_config(const VmConfig& config) {
  const auto& [id, created_unix_us, restart_on_reboot, machine] = config;
  return json_text({{"schema", kConfigSchema},
                    {"id", id},
                    {"created_unix_us", created_unix_us},
                    {"on_reboot", restart_on_reboot ? "restart" : "exit"},
                    {"machine", machine_to_json(machine)}});
}

Result<VmConfig> decode_config(std::string_view text) {
  JsonReader reader = TRY(JsonReader::parse(text, "config.json"));
  TRY(reader.check_schema(kConfigSchema));
  VmConfig config;
  config.id = TRY(reader.text("id"));
  if (!is_uuid(config.id)) return reader.bad("id", "not a UUID in upper case");
  config.created_unix_us = TRY(reader.number("created_unix_us"));
  config.restart_on_reboot =
      TRY(reader.choice<bool>("on_reboot", {{"restart", true}, {"exit", false}}));
  JsonReader machine = TRY(reader.object("machine"));
  config.machine = TRY(machine_from_json(machine));
  TRY(reader.finish());
  return config;
}

}  // namespace stasis::snapshot
