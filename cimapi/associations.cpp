// Instances of the association classes.
#include <algorithm>

#include "cimapi/instance_builder.h"
#include "cimapi/model.h"

namespace stasis::cimapi {
namespace {

constexpr std::uint64_t kCreate = 5;
constexpr std::uint64_t kOther = 1;
constexpr std::uint64_t kManages = 5;

ObjectPath machine_path(const ModelView& view) {
  return computer_system_path(view.vm.id);
}

ObjectPath owner_path(Space space) {
  return space == Space::kV1 ? service_path(kManagementService, kManagementServiceName)
                             : service_path(kSnapshotService, kSnapshotServiceName);
}

std::vector<ObjectPath> services(Space space) {
  std::vector<ObjectPath> paths{owner_path(space)};
  if (space == Space::kV2) {
    paths.push_back(service_path(kCollectionService, kCollectionServiceName));
  }
  return paths;
}

std::vector<Instance> snapshots_of_machine(const ModelView& view) {
  std::vector<Instance> instances;
  for (const auto& info : view.snapshots) {
    instances.push_back(association("Msvm_SnapshotOfVirtualSystem", "Antecedent",
                                    machine_path(view), "Dependent", setting_data_path(info.id))
                            .take());
  }
  return instances;
}

/// The association of the machine with at most one snapshot.
template <typename Make>
std::vector<Instance> with_one(const std::string& id, const Make& make) {
  if (id.empty()) return {};
  return {make()};
}

std::vector<Instance> most_current(const ModelView& view) {
  return with_one(view.vm.current, [&] {
    return association("Msvm_MostCurrentSnapshotInBranch", "Antecedent", machine_path(view),
                       "Dependent", setting_data_path(view.vm.current))
        .take();
  });
}

/// Its ends are the other way round, compared with the two above (DMTF schema).
std::vector<Instance> last_applied(const ModelView& view) {
  return with_one(view.vm.last_applied, [&] {
    return association("Msvm_LastAppliedSnapshot", "Antecedent",
                       setting_data_path(view.vm.last_applied), "Dependent", machine_path(view))
        .take();
  });
}

std::vector<Instance> previous_v1(const ModelView& view) {
  return with_one(view.vm.current, [&] {
    return association("Msvm_PreviousSettingData", "ManagedElement", machine_path(view),
                       "SettingData", setting_data_path(view.vm.current))
        .take();
  });
}

std::vector<Instance> last_applied_v1(const ModelView& view) {
  return with_one(view.vm.last_applied, [&] {
    return association("Msvm_LastAppliedSettingData", "ManagedElement", machine_path(view),
                       "SettingData", setting_data_path(view.vm.last_applied))
        .take();
  });
}

std::vector<Instance> parents(const ModelView& view) {
  std::vector<Instance> instances;
  const auto add = [&](const std::string& parent, const std::string& child) {
    if (parent.empty()) return;
    instances.push_back(association("Msvm_ParentChildSettingData", "Parent",
                                    setting_data_path(parent), "Child", setting_data_path(child))
                            .take());
  };
  for (const auto& info : view.snapshots) add(info.parent, info.id);
  add(view.vm.current, view.vm.id);
  return instances;
}

std::vector<Instance> affected_elements(const ModelView& view) {
  std::vector<Instance> instances;
  const auto add = [&](ObjectPath element, const JobInfo& job, std::uint64_t effect) {
    auto link = association("Msvm_AffectedJobElement", "AffectedElement", std::move(element),
                            "AffectingElement", job_path(job.id));
    link.u16s("ElementEffects", {effect});
    link.set("OtherElementEffectsDescriptions",
             Value::strings({effect == kOther ? job.title : std::string("Create")}));
    instances.push_back(link.take());
  };
  const auto is_there = [&](const std::string& id) {
    return std::any_of(view.snapshots.begin(), view.snapshots.end(),
                       [&](const auto& info) { return info.id == id; });
  };
  for (const JobInfo& job : view.jobs) {
    add(machine_path(view), job, kOther);
    if (!is_there(job.snapshot_id)) continue;
    add(setting_data_path(job.snapshot_id), job, job.creates_snapshot ? kCreate : kOther);
  }
  return instances;
}

std::vector<Instance> owners(const ModelView& view) {
  std::vector<Instance> instances;
  for (const JobInfo& job : view.jobs) {
    const bool is_system_job = job.type == JobType::kReboot;
    instances.push_back(association("Msvm_OwningJobElement", "OwningElement",
                                    is_system_job ? machine_path(view) : owner_path(view.space),
                                    "OwnedElement", job_path(job.id))
                            .take());
  }
  return instances;
}

std::vector<Instance> hosted_services(const ModelView& view) {
  std::vector<Instance> instances;
  for (const auto& service : services(view.space)) {
    instances.push_back(
        association("Msvm_HostedService", "Antecedent", host_path(), "Dependent", service).take());
  }
  return instances;
}

std::vector<Instance> service_effects(const ModelView& view) {
  return {association("Msvm_ServiceAffectsElement", "AffectedElement", machine_path(view),
                      "AffectingElement", owner_path(view.space))
              .u16s("ElementEffects", {kManages})
              .take()};
}

std::vector<Instance> defining_settings(const ModelView& view) {
  return {association("Msvm_SettingsDefineState", "ManagedElement", machine_path(view),
                      "SettingData", setting_data_path(view.vm.id))
              .take()};
}

std::vector<Instance> capabilities(const ModelView& view) {
  constexpr const char* kService = "CIM_VirtualSystemSnapshotServiceCapabilities";
  constexpr const char* kMachine = "CIM_VirtualSystemSnapshotCapabilities";
  const auto link = [](ObjectPath element, const char* class_name, std::string id) {
    ObjectPath capability{{}, class_name, {{"InstanceID", Value::text(std::move(id))}}};
    return association("Msvm_ElementCapabilities", "ManagedElement", std::move(element),
                       "Capabilities", std::move(capability))
        .u16s("Characteristics", {2, 3})
        .take();
  };
  return {link(owner_path(view.space), kService, "Stasis:SnapshotServiceCapabilities"),
          link(machine_path(view), kMachine, "Stasis:SnapshotCapabilities:" + view.vm.id)};
}

}  // namespace

std::vector<Provider> association_providers(Space space) {
  if (space == Space::kInterop) return {};
  std::vector<Provider> providers = {{"Msvm_AffectedJobElement", affected_elements, true},
                                     {"Msvm_OwningJobElement", owners},
                                     {"Msvm_HostedService", hosted_services},
                                     {"Msvm_ServiceAffectsElement", service_effects},
                                     {"Msvm_SettingsDefineState", defining_settings}};
  if (space == Space::kV1) {
    providers.push_back({"Msvm_PreviousSettingData", previous_v1});
    providers.push_back({"Msvm_LastAppliedSettingData", last_applied_v1});
  } else {
    providers.push_back({"Msvm_SnapshotOfVirtualSystem", snapshots_of_machine, true});
    providers.push_back({"Msvm_MostCurrentSnapshotInBranch", most_current});
    providers.push_back({"Msvm_LastAppliedSnapshot", last_applied});
    providers.push_back({"Msvm_ParentChildSettingData", parents, true});
    providers.push_back({"Msvm_ElementCapabilities", capabilities});
  }
  return providers;
}

}  // namespace stasis::cimapi
