// Instances of the classes that are no associations.
#include <fmt/format.h>

#include <algorithm>

#include "cimapi/host_name.h"
#include "cimapi/instance_builder.h"
#include "cimapi/model.h"
#include "cimapi/setting_data.h"

namespace stasis::cimapi {
namespace {

using snapshot::PowerState;

std::uint64_t enabled_state(PowerState state) {
  switch (state) {
    case PowerState::kRunning:
      return 2;
    case PowerState::kOff:
      return 3;
    case PowerState::kStopping:
      return 4;
    case PowerState::kSaved:
      return 6;
    case PowerState::kPaused:
      return 9;
    case PowerState::kStarting:
      return 10;
  }
  return 0;
}

std::uint64_t enabled_state_v1(PowerState state) {
  switch (state) {
    case PowerState::kPaused:
      return 32'768;
    case PowerState::kSaved:
      return 32'769;
    case PowerState::kStarting:
      return 32'770;
    case PowerState::kStopping:
      return 32'774;
    default:
      return enabled_state(state);
  }
}

/// The operation that the second element of OperationalStatus shows; 0: none.
std::uint64_t operation_in_progress(const std::vector<JobInfo>& jobs) {
  for (const JobInfo& job : jobs) {
    if (is_finished(job.state)) continue;
    if (job.type == JobType::kSnapshot) return 32'768;
    if (job.type == JobType::kApply) return 32'769;
    if (job.type == JobType::kDelete) return 32'770;
  }
  return 0;
}

std::uint64_t first_status(PowerState state) {
  return state == PowerState::kOff || state == PowerState::kSaved ? 10 : 2;  // stopped, OK
}

Instance machine(const ModelView& view) {
  InstanceBuilder instance(computer_system_path(view.vm.id));
  instance.text("Caption", "Virtual Machine").text("ElementName", view.vm.config.name);
  const PowerState state = view.vm.state;
  instance.u16("EnabledState",
               view.space == Space::kV1 ? enabled_state_v1(state) : enabled_state(state));
  instance.u16("RequestedState", 12).u16("EnabledDefault", 3).u16("HealthState", 5);
  if (const std::uint64_t operation = operation_in_progress(view.jobs)) {
    instance.u16s("OperationalStatus", {first_status(state), operation});
  } else {
    instance.u16s("OperationalStatus", {first_status(state)});
  }
  if (!view.vm.last_ending.empty()) instance.text("Status", view.vm.last_ending);
  return instance.take();
}

Instance host() {
  return InstanceBuilder(host_path())
      .text("Caption", "Hosting Computer System")
      .text("ElementName", host_name())
      .u16("EnabledState", 2)
      .u16("RequestedState", 12)
      .u16("EnabledDefault", 2)
      .u16("HealthState", 5)
      .u16s("OperationalStatus", {2})
      .take();
}

std::vector<Instance> computer_systems(const ModelView& view) {
  return {host(), machine(view)};
}

Instance service(const char* class_name, const char* name, const char* caption) {
  return InstanceBuilder(service_path(class_name, name))
      .text("Caption", caption)
      .text("ElementName", caption)
      .u16("EnabledState", 2)
      .u16("RequestedState", 12)
      .u16("EnabledDefault", 2)
      .u16("HealthState", 5)
      .u16s("OperationalStatus", {2})
      .flag("Started", true)
      .take();
}

std::vector<Instance> snapshot_services(const ModelView& /*view*/) {
  return {
      service(kSnapshotService, kSnapshotServiceName, "Stasis Virtual System Snapshot Service")};
}
std::vector<Instance> collection_services(const ModelView& /*view*/) {
  return {
      service(kCollectionService, kCollectionServiceName, "Stasis Collection Snapshot Service")};
}
std::vector<Instance> management_services(const ModelView& /*view*/) {
  return {service(kManagementService, kManagementServiceName,
                  "Stasis Virtual System Management Service")};
}

void set_job_status(InstanceBuilder& instance, const JobInfo& job) {
  switch (job.state) {
    case JobState::kCompleted:
      instance.u16s("OperationalStatus", {17, 2});
      break;
    case JobState::kException:
      instance.u16s("OperationalStatus", {17, 6});
      break;
    case JobState::kTerminated:
    case JobState::kKilled:
      instance.u16s("OperationalStatus", {10});
      break;
    case JobState::kNew:
      instance.u16s("OperationalStatus", {15});
      break;
    default:
      instance.u16s("OperationalStatus", {2});
  }
}

void set_job_error(InstanceBuilder& instance, const JobInfo& job) {
  const bool failed = job.state == JobState::kException && job.error;
  instance.u16("ErrorCode",
               failed ? code_of(Family::kV1, verdict_of(job.error->kind())) : std::uint64_t{0});
  if (!job.error) return;
  instance.text("ErrorKind", kind_name(job.error->kind()));
  instance.text("JobStatus", job.error->message());
  if (failed) instance.text("ErrorDescription", job.error->message());
  if (failed) instance.text("ErrorSummaryDescription", job.title + " failed");
}

Instance job_instance(const JobInfo& job) {
  InstanceBuilder instance(job_path(job.id));
  instance.text("Name", job.title).text("Caption", job.title).text("ElementName", job.title);
  instance.u16("JobState", static_cast<std::uint64_t>(job.state));
  instance.u16("PercentComplete", job.percent);
  instance.u16("JobType", static_cast<std::uint64_t>(job.type));
  instance.flag("Cancellable", job.cancellable).flag("DeleteOnCompletion", true);
  set_job_status(instance, job);
  set_job_error(instance, job);
  instance.time("TimeSubmitted", job.submitted_us).time("StartTime", job.submitted_us);
  instance.time("TimeOfLastStateChange", job.changed_us);
  instance.set("ElapsedTime", Value::datetime(interval_text(job.elapsed_us)));
  instance.set("TimeBeforeRemoval", Value::datetime(interval_text(JobTable::kTimeBeforeRemovalUs)));
  instance.u64("BytesDone", job.bytes_done).u64("BytesTotal", job.bytes_total);
  if (!job.snapshot_id.empty()) instance.text("SnapshotID", job.snapshot_id);
  return instance.take();
}

std::vector<Instance> jobs(const ModelView& view) {
  std::vector<Instance> instances;
  for (const JobInfo& job : view.jobs) instances.push_back(job_instance(job));
  return instances;
}

std::vector<Instance> setting_data(const ModelView& view) {
  std::vector<Instance> instances{current_setting_data(view.vm, view.space)};
  for (const auto& info : view.snapshots) {
    instances.push_back(snapshot_setting_data(info, view.vm, view.space));
  }
  return instances;
}

std::vector<Instance> service_capabilities(const ModelView& /*view*/) {
  return {InstanceBuilder({{},
                           "CIM_VirtualSystemSnapshotServiceCapabilities",
                           {{"InstanceID", Value::text("Stasis:SnapshotServiceCapabilities")}}})
              .text("ElementName", "Snapshot Service Capabilities")
              .u16s("SynchronousMethodsSupported", {2, 3})
              .u16s("AynchronousMethodsSupported", {2, 4})
              .u16s("SnapshotTypesSupported", {2, 3})
              .take()};
}

std::vector<Instance> machine_capabilities(const ModelView& view) {
  return {
      InstanceBuilder({{},
                       "CIM_VirtualSystemSnapshotCapabilities",
                       {{"InstanceID", Value::text("Stasis:SnapshotCapabilities:" + view.vm.id)}}})
          .text("ElementName", "Snapshot Capabilities")
          .u16s("SnapshotTypesEnabled", {2, 3})
          .flag("GuestOSNotificationEnabled", false)
          .take()};
}

ObjectPath interop_path(const char* class_name, const char* name) {
  return {{},
          class_name,
          {{"SystemCreationClassName", Value::text(kComputerSystem)},
           {"SystemName", Value::text(host_name())},
           {"ObjectManagerCreationClassName", Value::text("CIM_ObjectManager")},
           {"ObjectManagerName", Value::text("stasis")},
           {"CreationClassName", Value::text(class_name)},
           {"Name", Value::text(name)}}};
}

std::vector<Instance> name_spaces(const ModelView& /*view*/) {
  std::vector<Instance> instances;
  for (const char* name : {kV1Name, kV2Name, kClusterName, kInteropName, kRootInteropName}) {
    instances.push_back(InstanceBuilder(interop_path("CIM_Namespace", name))
                            .u16("ClassInfo", 1)
                            .text("Caption", name)
                            .take());
  }
  return instances;
}

std::vector<Instance> object_managers(const ModelView& /*view*/) {
  return {InstanceBuilder(service_path("CIM_ObjectManager", "stasis"))
              .text("ElementName", "Stasis")
              .text("Description", "Stasis CIM object manager version " STASIS_VERSION)
              .flag("Started", true)
              .take()};
}

}  // namespace

std::vector<Provider> object_providers(Space space) {
  if (space == Space::kInterop) {
    return {{"CIM_Namespace", name_spaces}, {"CIM_ObjectManager", object_managers}};
  }
  std::vector<Provider> providers = {
      {kComputerSystem, computer_systems}, {kSettingData, setting_data, true}, {kJobClass, jobs}};
  if (space == Space::kV1) {
    providers.push_back({kManagementService, management_services});
  } else {
    providers.push_back({kSnapshotService, snapshot_services});
    providers.push_back({kCollectionService, collection_services});
    providers.push_back({"CIM_VirtualSystemSnapshotServiceCapabilities", service_capabilities});
    providers.push_back({"CIM_VirtualSystemSnapshotCapabilities", machine_capabilities});
  }
  return providers;
}

}  // namespace stasis::cimapi
