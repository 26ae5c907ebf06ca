#include "cimapi/methods.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "cimapi/job_error.h"

namespace stasis::cimapi {
namespace {

/// What a handler needs.
struct Context {
  Services& services;
  Space space;
  const MethodCall& call;
};

using Handler = MethodAnswer (*)(const Context& context);

void add_ref(MethodAnswer& answer, const char* name, const Ref& ref) {
  if (ref) answer.out.push_back({name, Value::reference(*ref)});
}

MethodAnswer plain(const Answer& answer) {
  return {answer.return_value, {}, answer.reason};
}

MethodAnswer with_job(const JobAnswer& answer) {
  MethodAnswer method = plain(answer);
  add_ref(method, "Job", answer.job);
  return method;
}

MethodAnswer with_snapshot(const CreateAnswer& answer, const char* name) {
  MethodAnswer method = plain(answer);
  add_ref(method, name, answer.snapshot);
  add_ref(method, "Job", answer.job);
  return method;
}

MethodAnswer create_snapshot(const Context& context) {
  const MethodCall& call = context.call;
  return with_snapshot(
      context.services.snapshots.create_snapshot(
          {call.ref("AffectedSystem"), call.text("SnapshotSettings"), call.number("SnapshotType")}),
      "ResultingSnapshot");
}

MethodAnswer apply_snapshot(const Context& context) {
  return with_job(context.services.snapshots.apply_snapshot({context.call.ref("Snapshot")}));
}

MethodAnswer destroy_snapshot(const Context& context) {
  return with_job(
      context.services.snapshots.destroy_snapshot({context.call.ref("AffectedSnapshot")}));
}

MethodAnswer destroy_snapshot_tree(const Context& context) {
  return with_job(
      context.services.snapshots.destroy_snapshot_tree({context.call.ref("SnapshotSettingData")}));
}

MethodAnswer clear_snapshot_state(const Context& context) {
  return with_job(
      context.services.snapshots.clear_snapshot_state({context.call.ref("SnapshotSettingData")}));
}

MethodAnswer convert_to_reference_point(const Context& context) {
  return with_job(context.services.snapshots.convert_to_reference_point(
      {context.call.ref("AffectedSnapshot")}));
}

MethodAnswer change_service(const Context& context) {
  return plain(context.services.snapshots.change_service());
}

MethodAnswer apply_snapshot_in_place(const Context& context) {
  const MethodCall& call = context.call;
  return with_job(context.services.snapshots.apply_snapshot_in_place(
      {call.ref("Snapshot"), call.number("ClockPolicy"), call.boolean("NewGeneration")}));
}

MethodAnswer verify_snapshot(const Context& context) {
  return with_job(context.services.snapshots.verify_snapshot({context.call.ref("Snapshot")}));
}

MethodAnswer rename_snapshot(const Context& context) {
  const MethodCall& call = context.call;
  return plain(context.services.snapshots.rename_snapshot(
      {call.ref("Snapshot"), call.text("NewName"), call.text("Notes")}));
}

MethodAnswer self_test(const Context& context) {
  const SelfTestAnswer answer =
      context.services.snapshots.self_test({context.call.ref("AffectedSystem")});
  MethodAnswer method = plain(answer);
  if (answer.return_value == 0) method.out.push_back({"Report", Value::text(answer.report)});
  return method;
}

MethodAnswer create_virtual_system_snapshot(const Context& context) {
  return with_snapshot(context.services.management.create_virtual_system_snapshot(
                           {context.call.ref("SourceSystem")}),
                       "SnapshotSettingData");
}

ApplyVirtualSystemSnapshotIn apply_in(const MethodCall& call) {
  return {call.ref("ComputerSystem"), call.ref("SnapshotSettingData")};
}

MethodAnswer apply_virtual_system_snapshot(const Context& context) {
  return plain(context.services.management.apply_virtual_system_snapshot(apply_in(context.call)));
}

MethodAnswer apply_virtual_system_snapshot_ex(const Context& context) {
  return with_job(
      context.services.management.apply_virtual_system_snapshot_ex(apply_in(context.call)));
}

MethodAnswer remove_virtual_system_snapshot(const Context& context) {
  return with_job(context.services.management.remove_virtual_system_snapshot(
      {context.call.ref("SnapshotSettingData")}));
}

MethodAnswer remove_virtual_system_snapshot_tree(const Context& context) {
  return with_job(context.services.management.remove_virtual_system_snapshot_tree(
      {context.call.ref("SnapshotSettingData")}));
}

MethodAnswer management_not_supported(const Context& context) {
  return plain(context.services.management.not_supported());
}

MethodAnswer create_collection_snapshot(const Context& context) {
  const MethodCall& call = context.call;
  return with_job(context.services.collections.create_snapshot(
      {call.ref("Collection"), call.text("SnapshotSettings"), call.number("SnapshotType")}));
}

MethodAnswer apply_collection_snapshot(const Context& context) {
  return with_job(context.services.collections.use_snapshot(context.call.ref("SnapshotCollection"),
                                                            "SnapshotCollection"));
}

MethodAnswer destroy_collection_snapshot(const Context& context) {
  return with_job(context.services.collections.use_snapshot(
      context.call.ref("AffectedSnapshotCollection"), "AffectedSnapshotCollection"));
}

MethodAnswer change_computer_system(const Context& context) {
  const ChangeStateIn in{context.call.object, context.call.number("RequestedState")};
  ComputerSystem& system = context.services.computer_system;
  return with_job(context.space == Space::kV1 ? system.request_state_change_v1(in)
                                              : system.request_state_change(in));
}

MethodAnswer change_job(const Context& context) {
  const MethodCall& call = context.call;
  const auto code = context.services.jobs.request_state_change(
      call.object.key_text(call.object.key("InstanceID") != nullptr ? "InstanceID" : ""),
      call.number("RequestedState").value_or(0), call.text("TimeoutPeriod").value_or(""));
  return {static_cast<std::uint32_t>(code), {}, reason_of(code)};
}

MethodAnswer kill_job(const Context& /*context*/) {
  constexpr std::uint32_t kNotSupported = 1;
  return {kNotSupported,
          {},
          base::Error(base::ErrorKind::kUnsupported, "KillJob: use RequestStateChange 5")};
}

MethodAnswer get_error(const Context& context) {
  MethodAnswer answer;
  const auto error = error_of_job(context.services.jobs, context.call.object);
  if (error) answer.out.push_back({"Error", Value::embedded(*error)});
  return answer;
}

MethodAnswer get_errors(const Context& context) {
  MethodAnswer answer;
  const auto error = error_of_job(context.services.jobs, context.call.object);
  if (error) answer.out.push_back({"Errors", Value::strings({*error})});
  return answer;
}

struct MethodEntry {
  std::string_view class_name;
  std::string_view method;
  Handler handler;
};

constexpr std::array<MethodEntry, 36> kMethods = {{
    {kSnapshotService, "CreateSnapshot", create_snapshot},
    {kSnapshotService, "ApplySnapshot", apply_snapshot},
    {kSnapshotService, "DestroySnapshot", destroy_snapshot},
    {kSnapshotService, "DestroySnapshotTree", destroy_snapshot_tree},
    {kSnapshotService, "ClearSnapshotState", clear_snapshot_state},
    {kSnapshotService, "ConvertToReferencePoint", convert_to_reference_point},
    {kSnapshotService, "RequestStateChange", change_service},
    {kSnapshotService, "StartService", change_service},
    {kSnapshotService, "StopService", change_service},
    {kSnapshotService, "ApplySnapshotInPlace", apply_snapshot_in_place},
    {kSnapshotService, "VerifySnapshot", verify_snapshot},
    {kSnapshotService, "RenameSnapshot", rename_snapshot},
    {kSnapshotService, "SelfTest", self_test},
    {kManagementService, "CreateVirtualSystemSnapshot", create_virtual_system_snapshot},
    {kManagementService, "ApplyVirtualSystemSnapshot", apply_virtual_system_snapshot},
    {kManagementService, "ApplyVirtualSystemSnapshotEx", apply_virtual_system_snapshot_ex},
    {kManagementService, "RemoveVirtualSystemSnapshot", remove_virtual_system_snapshot},
    {kManagementService, "RemoveVirtualSystemSnapshotTree", remove_virtual_system_snapshot_tree},
    {kManagementService, "CloneVirtualSystem", management_not_supported},
    {kManagementService, "InstantiateVirtualSystem", management_not_supported},
    {kManagementService, "PlanVirtualSystem", management_not_supported},
    {kManagementService, "RequestStateChange", management_not_supported},
    {kManagementService, "StartService", management_not_supported},
    {kManagementService, "StopService", management_not_supported},
    {kCollectionService, "CreateSnapshot", create_collection_snapshot},
    {kCollectionService, "ApplySnapshot", apply_collection_snapshot},
    {kCollectionService, "DestroySnapshot", destroy_collection_snapshot},
    {kCollectionService, "RequestStateChange", change_service},
    {kCollectionService, "StartService", change_service},
    {kCollectionService, "StopService", change_service},
    {kComputerSystem, "RequestStateChange", change_computer_system},
    {kJobClass, "RequestStateChange", change_job},
    {kJobClass, "KillJob", kill_job},
    {kJobClass, "GetError", get_error},
    {kJobClass, "GetErrorEx", get_errors},
    {kJobClass, "GetErrors", get_errors},
}};

}  // namespace

CimResult<MethodAnswer> call_method(Services& services, Space space, std::string_view class_name,
                                    std::string_view method, const MethodCall& call) {
  const auto* entry =
      std::find_if(kMethods.begin(), kMethods.end(), [&](const MethodEntry& candidate) {
        return same_name(candidate.class_name, class_name) && same_name(candidate.method, method);
      });
  if (entry == kMethods.end()) {
    return cim_fail(CimStatus::kMethodNotAvailable,
                    fmt::format("{}.{} is not available", class_name, method));
  }
  return entry->handler({services, space, call});
}

}  // namespace stasis::cimapi
