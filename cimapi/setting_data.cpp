#include "cimapi/setting_data.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "cimapi/instance_builder.h"

namespace stasis::cimapi {
namespace {

using base::ErrorKind;
using snapshot::SnapshotInfo;
using snapshot::SnapshotKind;
using snapshot::VmInfo;

constexpr const char* kRealizedSystem = "Microsoft:Hyper-V:System:Realized";
constexpr const char* kRealizedSnapshot = "Microsoft:Hyper-V:Snapshot:Realized";
constexpr std::uint64_t kStandardSnapshots = 5;

std::string id_of(const std::string& instance_id) {
  return same_name(std::string_view(instance_id).substr(0, kInstanceIdPrefix.size()),
                   kInstanceIdPrefix)
             ? instance_id.substr(kInstanceIdPrefix.size())
             : instance_id;
}

std::vector<std::string> lines_of(const std::string& notes) {
  std::vector<std::string> lines;
  for (std::size_t at = 0; at < notes.size();) {
    const std::size_t end = std::min(notes.find('\n', at), notes.size());
    lines.push_back(notes.substr(at, end - at));
    at = end + 1;
  }
  return lines;
}

std::string joined(const Value* lines) {
  std::string notes;
  for (std::size_t i = 0; lines != nullptr && i < lines->texts.size(); ++i) {
    notes += (i == 0 ? "" : "\n") + lines->texts[i];
  }
  return notes;
}

/// A path as text, in the namespace it is read in.
std::string parent_text(const std::string& parent, Space space) {
  ObjectPath path = setting_data_path(parent);
  path.name_space = space == Space::kV1 ? kV1Name : kV2Name;
  return to_text(path);
}

void set_kind(InstanceBuilder& instance, Space space, const VmInfo& vm, bool is_snapshot) {
  if (space == Space::kV1) {
    instance.text("SystemName", vm.id).u16("VirtualSystemType", 301);
    instance.u16("SettingType", is_snapshot ? 5 : 3);
    return;
  }
  instance.text("VirtualSystemIdentifier", vm.id);
  instance.text("VirtualSystemType", is_snapshot ? kRealizedSnapshot : kRealizedSystem);
  instance.u16("UserSnapshotType", kStandardSnapshots).text("ConfigurationID", vm.id);
  instance.flag("AutomaticSnapshotsEnabled", false).flag("IsAutomaticSnapshot", false);
  instance.flag("IncrementalBackupEnabled", false);
}

/// A disk's backing layers, base first, a line each: "qcow2 path".
std::string backing_text(const std::vector<devices::ImageLayer>& layers) {
  std::string text;
  for (const auto& layer : layers) {
    text += fmt::format("{}{} {}", text.empty() ? "" : "\n", name_of(layer.format), layer.path);
  }
  return text;
}

devices::ImageFormat format_named(std::string_view name) {
  return name == "qcow2" ? devices::ImageFormat::kQcow2 : devices::ImageFormat::kRaw;
}

std::vector<devices::ImageLayer> backing_of(const std::string& text) {
  std::vector<devices::ImageLayer> layers;
  for (const std::string& line : lines_of(text)) {
    const std::size_t space = std::min(line.find(' '), line.size());
    layers.push_back({line.substr(std::min(space + 1, line.size())),
                      format_named(std::string_view(line).substr(0, space))});
  }
  return layers;
}

/// Lists that belong together: element i of each is of disk i.
void set_disks(InstanceBuilder& instance, const std::vector<vmm::DiskConfig>& disks) {
  std::vector<std::string> paths;
  std::vector<std::string> ids;
  std::vector<std::string> formats;
  std::vector<std::string> backing;
  Value read_only = Value::null(Type::kBoolean, true);
  read_only.is_null = false;
  for (const auto& disk : disks) {
    paths.push_back(disk.path);
    ids.push_back(disk.id);
    formats.emplace_back(name_of(disk.format));
    backing.push_back(backing_text(disk.backing));
    read_only.texts.emplace_back(disk.read_only ? "TRUE" : "FALSE");
  }
  instance.set("DiskPaths", Value::strings(std::move(paths)));
  instance.set("DiskIDs", Value::strings(std::move(ids)));
  instance.set("DiskFormats", Value::strings(std::move(formats)));
  instance.set("DiskBacking", Value::strings(std::move(backing)));
  instance.set("DiskReadOnly", std::move(read_only));
}

std::vector<vmm::DiskConfig> disks_of(const Instance& instance) {
  const auto item = [&](const char* name, std::size_t i) {
    const Value* list = instance.find(name);
    return list != nullptr && i < list->texts.size() ? list->texts[i] : std::string();
  };
  const Value* paths = instance.find("DiskPaths");
  std::vector<vmm::DiskConfig> disks(paths == nullptr ? 0 : paths->texts.size());
  for (std::size_t i = 0; i < disks.size(); ++i) {
    disks[i].path = paths->texts[i];
    disks[i].id = item("DiskIDs", i);
    disks[i].format = format_named(item("DiskFormats", i));
    disks[i].backing = backing_of(item("DiskBacking", i));
    disks[i].read_only = same_name(item("DiskReadOnly", i), "true");
  }
  return disks;
}

void set_network(InstanceBuilder& instance, const std::optional<vmm::UserNetConfig>& net) {
  std::vector<std::string> forwards;
  if (net) {
    for (const auto& forward : net->forwards) {
      forwards.push_back(fmt::format("{}:{}:{}", forward.udp ? "udp" : "tcp", forward.host_port,
                                     forward.guest_port));
    }
  }
  instance.flag("HasUserNetwork", net.has_value());
  instance.set("PortForwards", Value::strings(std::move(forwards)));
}

std::vector<vmm::PortForward> forwards_of(const Value* texts) {
  std::vector<vmm::PortForward> forwards;
  for (std::size_t i = 0; texts != nullptr && i < texts->texts.size(); ++i) {
    const std::string& text = texts->texts[i];
    const std::size_t second = text.rfind(':');
    if (second == std::string::npos || second < 4) continue;
    const auto port = [](const std::string& digits) {
      return static_cast<std::uint16_t>(Value::text(digits).as_number());
    };
    forwards.push_back(
        {text.starts_with("udp"), port(text.substr(4, second - 4)), port(text.substr(second + 1))});
  }
  return forwards;
}

struct NamedConsole {
  vmm::ConsoleConfig::Kind kind;
  std::string_view name;
};
constexpr std::array<NamedConsole, 3> kConsoles = {{
    {vmm::ConsoleConfig::Kind::kNone, "none"},
    {vmm::ConsoleConfig::Kind::kStdio, "stdio"},
    {vmm::ConsoleConfig::Kind::kFile, "file"},
}};

void set_console(InstanceBuilder& instance, const vmm::ConsoleConfig& console) {
  const auto* found = std::find_if(kConsoles.begin(), kConsoles.end(),
                                   [&](const auto& entry) { return entry.kind == console.kind; });
  if (found != kConsoles.end()) instance.text("Console", std::string(found->name));
  instance.text("ConsoleFile", console.file);
  instance.text("ConsolePort",
                console.port == vmm::ConsoleConfig::Port::kVirtio ? "virtio" : "serial");
}

vmm::ConsoleConfig console_of(const Instance& instance) {
  vmm::ConsoleConfig console;
  const std::string kind = instance.text("Console");
  for (const NamedConsole& entry : kConsoles) {
    if (entry.name == kind) console.kind = entry.kind;
  }
  if (instance.text("ConsolePort") == "virtio") console.port = vmm::ConsoleConfig::Port::kVirtio;
  console.file = instance.text("ConsoleFile");
  return console;
}

void set_configuration(InstanceBuilder& instance, const VmInfo& vm) {
  const vmm::MachineConfig& config = vm.config;
  instance.set("ProcessorCount", Value::number(Type::kUint32, config.cpus));
  instance.u64("MemoryBytes", config.memory_bytes);
  instance.text("Kernel", config.kernel).text("InitialRamdisk", config.initrd);
  instance.text("CommandLine", config.cmdline);
  instance.text("ProcessorModel", config.cpu_model == vmm::CpuModel::kHost ? "host" : "baseline");
  set_disks(instance, config.disks);
  set_network(instance, config.net);
  set_console(instance, config.console);
  instance.flag("HasRandomDevice", config.rng);
  instance.time("StartTime", vm.started_unix_us).text("LastEnding", vm.last_ending);
}

void set_capture(InstanceBuilder& instance, const snapshot::CaptureReport& capture) {
  instance.text("Engine", capture.engine);
  instance.u64("PauseMicroseconds", capture.pause_us).u64("TotalMicroseconds", capture.total_us);
  instance.u64("CapturedBytes", capture.captured_bytes).u64("StoredBytes", capture.stored_bytes);
}

struct NamedKind {
  ErrorKind kind;
  std::string_view name;
};
constexpr std::array<NamedKind, 12> kKinds = {{
    {ErrorKind::kInvalidArgument, "invalid-argument"},
    {ErrorKind::kNotFound, "not-found"},
    {ErrorKind::kPermissionDenied, "permission-denied"},
    {ErrorKind::kInvalidState, "invalid-state"},
    {ErrorKind::kBusy, "busy"},
    {ErrorKind::kUnsupported, "unsupported"},
    {ErrorKind::kIo, "io"},
    {ErrorKind::kCorrupt, "corrupt"},
    {ErrorKind::kTimeout, "timeout"},
    {ErrorKind::kCancelled, "cancelled"},
    {ErrorKind::kOutOfResources, "out-of-resources"},
    {ErrorKind::kInternal, "internal"},
}};

}  // namespace

Instance current_setting_data(const VmInfo& vm, Space space) {
  InstanceBuilder instance(setting_data_path(vm.id));
  instance.text("ElementName", vm.config.name).time("CreationTime", vm.created_unix_us);
  set_kind(instance, space, vm, false);
  instance.flag("IsSaved", vm.state == snapshot::PowerState::kSaved);
  if (!vm.current.empty()) instance.text("Parent", parent_text(vm.current, space));
  if (space == Space::kV2) set_configuration(instance, vm);
  return instance.take();
}

Instance snapshot_setting_data(const SnapshotInfo& info, const VmInfo& vm, Space space) {
  InstanceBuilder instance(setting_data_path(info.id));
  instance.text("ElementName", info.name).time("CreationTime", info.created_unix_us);
  set_kind(instance, space, vm, true);
  instance.flag("IsSaved", info.has_memory);
  if (!info.parent.empty()) instance.text("Parent", parent_text(info.parent, space));
  if (space == Space::kV1) {
    instance.text("Notes", info.notes);
    return instance.take();
  }
  instance.set("Notes", Value::strings(lines_of(info.notes)));
  instance.u16("SnapshotType", info.kind == SnapshotKind::kFull ? 2 : 3);
  set_capture(instance, info.capture);
  return instance.take();
}

bool is_snapshot(const Instance& setting_data) {
  return same_name(setting_data.text("VirtualSystemType"), kRealizedSnapshot);
}

SnapshotInfo snapshot_info_of(const Instance& setting_data) {
  SnapshotInfo info;
  info.id = id_of(setting_data.text("InstanceID"));
  info.name = setting_data.text("ElementName");
  info.notes = joined(setting_data.find("Notes"));
  const std::string parent = setting_data.text("Parent");
  if (!parent.empty()) info.parent = id_of(path_from_text(parent).key_text("InstanceID"));
  info.created_unix_us = timestamp_us(setting_data.text("CreationTime")).value_or(0);
  info.kind = setting_data.number("SnapshotType") == 3 ? SnapshotKind::kDisk : SnapshotKind::kFull;
  info.has_memory = setting_data.boolean("IsSaved");
  info.capture = {setting_data.text("Engine"), setting_data.number("PauseMicroseconds"),
                  setting_data.number("TotalMicroseconds"), setting_data.number("CapturedBytes"),
                  setting_data.number("StoredBytes")};
  return info;
}

VmInfo vm_info_of(const Instance& setting_data) {
  VmInfo vm;
  vm.id = id_of(setting_data.text("InstanceID"));
  vm.created_unix_us = timestamp_us(setting_data.text("CreationTime")).value_or(0);
  vm.started_unix_us = timestamp_us(setting_data.text("StartTime")).value_or(0);
  vm.last_ending = setting_data.text("LastEnding");
  vmm::MachineConfig& config = vm.config;
  config.name = setting_data.text("ElementName");
  config.cpus = static_cast<unsigned>(setting_data.number("ProcessorCount"));
  config.memory_bytes = setting_data.number("MemoryBytes");
  config.kernel = setting_data.text("Kernel");
  config.initrd = setting_data.text("InitialRamdisk");
  config.cmdline = setting_data.text("CommandLine");
  config.rng = setting_data.boolean("HasRandomDevice");
  config.console = console_of(setting_data);
  if (setting_data.text("ProcessorModel") == "baseline")
    config.cpu_model = vmm::CpuModel::kBaseline;
  if (setting_data.boolean("HasUserNetwork")) {
    config.net = vmm::UserNetConfig{forwards_of(setting_data.find("PortForwards"))};
  }
  config.disks = disks_of(setting_data);
  return vm;
}

std::string kind_name(ErrorKind kind) {
  const auto* found = std::find_if(kKinds.begin(), kKinds.end(),
                                   [&](const NamedKind& entry) { return entry.kind == kind; });
  return std::string(found == kKinds.end() ? "internal" : found->name);
}

ErrorKind kind_named(std::string_view name) {
  const auto* found = std::find_if(kKinds.begin(), kKinds.end(),
                                   [&](const NamedKind& entry) { return entry.name == name; });
  return found == kKinds.end() ? ErrorKind::kInternal : found->kind;
}

}  // namespace stasis::cimapi
