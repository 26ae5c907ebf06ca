#include "cimapi/names.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <initializer_list>

#include "cimapi/host_name.h"

namespace stasis::cimapi {
namespace {

struct NamedSpace {
  std::string_view name;
  Space space;
};
constexpr std::array<NamedSpace, 5> kSpaces = {{
    {kV1Name, Space::kV1},
    {kV2Name, Space::kV2},
    {kClusterName, Space::kV2},
    {kInteropName, Space::kInterop},
    {kRootInteropName, Space::kInterop},
}};

bool is_one_of(std::string_view name, std::initializer_list<std::string_view> names) {
  return std::any_of(names.begin(), names.end(),
                     [&](std::string_view other) { return same_name(name, other); });
}

struct Kind {
  std::initializer_list<std::string_view> classes;
  std::initializer_list<std::string_view> keys;
};

Checked<void> check_form(const Ref& ref, std::string_view parameter, Space space,
                         const Kind& kind) {
  const auto wrong = [&](std::string_view why) {
    return refuse(Verdict::kInvalidParameter, fmt::format("{}: {}", parameter, why));
  };
  if (!ref) return wrong("is missing");
  if (ref->class_name.empty()) {
    return refuse(Verdict::kWrongDataType, fmt::format("{}: is no object path", parameter));
  }
  if (!is_one_of(ref->class_name, kind.classes)) {
    return wrong(fmt::format("{}: names another class", to_text(*ref)));
  }
  if (!ref->name_space.empty() && space_named(ref->name_space) != space) {
    return wrong(fmt::format("{}: names another namespace", to_text(*ref)));
  }
  for (const Property& key : ref->keys) {
    if (!is_one_of(key.name, kind.keys)) return wrong(fmt::format("unknown key \"{}\"", key.name));
  }
  return {};
}

}  // namespace

std::optional<Space> space_named(std::string_view name_space) {
  const auto* found = std::find_if(kSpaces.begin(), kSpaces.end(), [&](const NamedSpace& entry) {
    return same_name(entry.name, name_space);
  });
  if (found == kSpaces.end()) return std::nullopt;
  return found->space;
}

ObjectPath computer_system_path(const std::string& vm_id) {
  return {{},
          kComputerSystem,
          {{"CreationClassName", Value::text(kComputerSystem)}, {"Name", Value::text(vm_id)}}};
}

ObjectPath host_path() {
  return computer_system_path(host_name());
}

ObjectPath setting_data_path(const std::string& id) {
  return {{}, kSettingData, {{"InstanceID", Value::text(std::string(kInstanceIdPrefix) + id)}}};
}

ObjectPath job_path(const std::string& id) {
  return {{}, kJobClass, {{"InstanceID", Value::text(id)}}};
}

ObjectPath service_path(const char* class_name, const char* name) {
  return {{},
          class_name,
          {{"SystemCreationClassName", Value::text(kComputerSystem)},
           {"SystemName", Value::text(host_name())},
           {"CreationClassName", Value::text(class_name)},
           {"Name", Value::text(name)}}};
}

Checked<std::string> computer_system_of(const Ref& ref, std::string_view parameter, Space space) {
  const Kind kind = {{"CIM_ComputerSystem", kComputerSystem}, {"CreationClassName", "Name"}};
  if (auto fine = check_form(ref, parameter, space, kind); !fine) {
    return tl::unexpected<Fault>(fine.error());
  }
  const Value* creation = ref->key("CreationClassName");
  if (creation != nullptr && !is_one_of(creation->as_text(), kind.classes)) {
    return refuse(Verdict::kInvalidParameter,
                  fmt::format("{}: CreationClassName is not {}", parameter, kComputerSystem));
  }
  std::string name = ref->key_text("Name");
  if (same_name(name, host_name())) {
    return refuse(Verdict::kInvalidParameter, fmt::format("{}: names the host", parameter));
  }
  return name;
}

Checked<std::string> setting_data_of(const Ref& ref, std::string_view parameter, Space space) {
  const Kind kind = {
      {"CIM_VirtualSystemSettingData", "Msvm_VirtualSystemSettingData", kSettingData},
      {"InstanceID", ""}};
  if (auto fine = check_form(ref, parameter, space, kind); !fine) {
    return tl::unexpected<Fault>(fine.error());
  }
  std::string id = ref->key_text(ref->key("InstanceID") != nullptr ? "InstanceID" : "");
  if (!same_name(std::string_view(id).substr(0, kInstanceIdPrefix.size()), kInstanceIdPrefix)) {
    return refuse(Verdict::kInvalidParameter,
                  fmt::format("{}: InstanceID \"{}\" does not start with \"{}\"", parameter, id,
                              kInstanceIdPrefix));
  }
  return id.substr(kInstanceIdPrefix.size());
}

}  // namespace stasis::cimapi
