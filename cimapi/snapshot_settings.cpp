#include "cimapi/snapshot_settings.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "cimapi/value.h"
#include "cimapi/xml_reader.h"
#include "cimapi/xml_writer.h"
#include "snapshot/names.h"

namespace stasis::cimapi {
namespace {

using snapshot::Engine;

constexpr XmlLimits kLimits{64 << 10, 1000, 16};
constexpr std::size_t kMaxNotes = 4096;
constexpr const char* kOwnClass = "Stasis_VirtualSystemSnapshotSettingData";
constexpr std::array<std::string_view, 4> kClasses = {
    "CIM_SettingData", "CIM_VirtualSystemSnapshotSettingData",
    "Msvm_VirtualSystemSnapshotSettingData", kOwnClass};

tl::unexpected<Fault> wrong(std::string message) {
  return refuse(Verdict::kInvalidParameter, "SnapshotSettings: " + std::move(message));
}

using Setter = Checked<void> (*)(const Value&, SnapshotSettings&);

Checked<void> ignore(const Value& /*value*/, SnapshotSettings& /*settings*/) {
  return {};
}

Checked<void> set_name(const Value& value, SnapshotSettings& settings) {
  if (auto fine = snapshot::check_snapshot_name(value.as_text()); !fine) {
    return wrong("ElementName: " + fine.error().message());
  }
  settings.name = value.as_text();
  return {};
}

Checked<void> set_notes(const Value& value, SnapshotSettings& settings) {
  for (const std::string& line : value.texts) {
    if (!settings.notes.empty()) settings.notes += '\n';
    settings.notes += line;
  }
  if (settings.notes.size() > kMaxNotes) {
    return wrong(fmt::format("Notes: {} bytes; at most {}", settings.notes.size(), kMaxNotes));
  }
  return {};
}

Checked<void> in_range(std::string_view name, const Value& value, std::uint64_t maximum) {
  if (value.as_number() <= maximum) return {};
  return wrong(fmt::format("{} {}: at most {}", name, value.as_text(), maximum));
}

Checked<void> check_consistency(const Value& value, SnapshotSettings& /*settings*/) {
  constexpr std::uint64_t kApplicationConsistent = 1;
  if (auto fine = in_range("ConsistencyLevel", value, 2); !fine) return fine;
  if (value.as_number() != kApplicationConsistent) return {};
  return refuse(Verdict::kNotSupported,
                "SnapshotSettings: ConsistencyLevel 1 (application consistent) needs an agent in "
                "the guest; ask for 2 (crash consistent)");
}

Checked<void> check_backup_type(const Value& value, SnapshotSettings& /*settings*/) {
  return in_range("GuestBackupType", value, 2);
}

Checked<void> set_engine(const Value& value, SnapshotSettings& settings) {
  if (auto fine = in_range("Engine", value, 2); !fine) return fine;
  settings.engine = static_cast<Engine>(value.as_number());
  return {};
}

Checked<void> set_compression(const Value& value, SnapshotSettings& settings) {
  const std::uint64_t level = value.as_number();
  if (level == 0 || level > 19) {
    return wrong(fmt::format("CompressionLevel {}: use 1 to 19", level));
  }
  settings.compression_level = static_cast<int>(level);
  return {};
}

struct Setting {
  std::string_view name;
  Type type;
  bool is_ours;
  Setter set;
};

constexpr std::array<Setting, 10> kSettings = {{
    {"InstanceID", Type::kString, false, ignore},
    {"Caption", Type::kString, false, ignore},
    {"Description", Type::kString, false, ignore},
    {"ElementName", Type::kString, false, set_name},
    {"ConsistencyLevel", Type::kUint8, false, check_consistency},
    {"GuestBackupType", Type::kUint8, false, check_backup_type},
    {"IgnoreNonSnapshottableDisks", Type::kBoolean, false, ignore},  // all of ours can be
    {"Notes", Type::kString, true, set_notes},
    {"Engine", Type::kUint16, true, set_engine},
    {"CompressionLevel", Type::kUint16, true, set_compression},
}};

Checked<void> apply_property(const Property& property, bool is_own_class,
                             SnapshotSettings& settings) {
  const auto* setting = std::find_if(kSettings.begin(), kSettings.end(), [&](const Setting& entry) {
    return same_name(entry.name, property.name);
  });
  if (setting == kSettings.end() || (setting->is_ours && !is_own_class)) {
    return wrong(fmt::format("unknown property \"{}\"", property.name));
  }
  const Value& value = property.value;
  if (value.is_null) return {};
  if (value.is_array && setting->set != set_notes) {
    return wrong(fmt::format("{}: is no array", property.name));
  }
  if (value.type == Type::kReference || !is_valid_text(setting->type, value.as_text())) {
    return wrong(fmt::format("{}: \"{}\" is no {}", property.name, value.as_text(),
                             type_name(setting->type)));
  }
  return setting->set(value, settings);
}

/// The INSTANCE itself, or the one inside the usual envelopes.
pugi::xml_node find_instance(const pugi::xml_document& document) {
  pugi::xml_node node = document.document_element();
  for (const char* envelope :
       {"CIM", "DECLARATION", "DECLGROUP", "DECLGROUP.WITHNAME", "VALUE.OBJECT"}) {
    if (std::string_view(node.name()) == envelope) node = node.first_child();
  }
  return node;
}

}  // namespace

Checked<SnapshotSettings> decode_snapshot_settings(std::string_view text) {
  if (text.find_first_not_of(" \t\r\n") == std::string_view::npos) return SnapshotSettings{};
  const auto document = parse_xml(text, kLimits);
  if (!document) return wrong(document.error().message());
  const auto instance = read_instance(find_instance(**document));
  if (!instance) return wrong(instance.error().message());
  const std::string& name = instance->path.class_name;
  if (std::none_of(kClasses.begin(), kClasses.end(),
                   [&](std::string_view known) { return same_name(known, name); })) {
    return wrong(fmt::format("class \"{}\": use Msvm_VirtualSystemSnapshotSettingData", name));
  }
  SnapshotSettings settings;
  for (const Property& property : instance->properties) {
    if (auto fine = apply_property(property, same_name(name, kOwnClass), settings); !fine) {
      return tl::unexpected<Fault>(fine.error());
    }
  }
  return settings;
}

std::string encode_snapshot_settings(const SnapshotSettings& settings) {
  Instance instance;
  instance.path.class_name = kOwnClass;
  auto& properties = instance.properties;
  if (!settings.name.empty()) properties.push_back({"ElementName", Value::text(settings.name)});
  if (!settings.notes.empty()) {
    properties.push_back({"Notes", Value::strings({settings.notes})});
  }
  properties.push_back(
      {"Engine", Value::number(Type::kUint16, static_cast<std::uint64_t>(settings.engine))});
  if (settings.compression_level) {
    properties.push_back(
        {"CompressionLevel",
         Value::number(Type::kUint16, static_cast<std::uint64_t>(*settings.compression_level))});
  }
  return instance_xml(instance);
}

}  // namespace stasis::cimapi
