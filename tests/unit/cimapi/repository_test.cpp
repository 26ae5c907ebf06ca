#include "cimapi/repository.h"

#include <algorithm>
#include <catch2/catch.hpp>

#include "tests/unit/cimapi/service_fixture.h"

namespace stasis::cimapi {
namespace {

using namespace stasis::cimapi::testing;
using snapshot::PowerState;

std::vector<std::string> ids(const CimResult<std::vector<Instance>>& instances) {
  std::vector<std::string> out;
  for (const auto& instance : *instances) {
    const std::string id = instance.text("InstanceID");
    out.push_back(id.empty() ? instance.text("Name") : id);
  }
  std::sort(out.begin(), out.end());
  return out;
}

Instance only(const CimResult<std::vector<Instance>>& instances) {
  REQUIRE(instances);
  REQUIRE(instances->size() == 1);
  return instances->front();
}

const std::string kPrefix = "Microsoft:";

}  // namespace

TEST_CASE("repository: superclasses show the instances of their subclasses") {
  ServiceFixture at;
  const auto objects = at.manager.repository(Space::kV2);
  CHECK(ids(objects.enumerate("cim_virtualsystemsettingdata")).size() == 3);
  CHECK(objects.enumerate("CIM_Service")->size() == 2);
  CHECK(objects.enumerate("CIM_None").error().status == CimStatus::kInvalidClass);
  CHECK(objects.enumerate("CIM_SnapshotOfVirtualSystem")->size() == 2);
}

TEST_CASE("repository: an object is found by some of its keys, if it is the only one") {
  ServiceFixture at;
  const auto objects = at.manager.repository(Space::kV2);
  CHECK(objects.get({{}, "CIM_ComputerSystem", {{"Name", Value::text(FakeVm::kId)}}}));
  CHECK(objects.get(*of_class(machine(), "CIM_System")));
  const auto two = objects.get(
      {{}, "CIM_ComputerSystem", {{"CreationClassName", Value::text("Msvm_ComputerSystem")}}});
  CHECK(two.error().status == CimStatus::kInvalidParameter);
  CHECK(objects.get(computer_system_path("x")).error().status == CimStatus::kNotFound);
  CHECK(objects.get({{}, "CIM_ComputerSystem", {}}).error().status == CimStatus::kInvalidParameter);
  CHECK(objects.get(*with_key(machine(), "Other", "x")).error().status == CimStatus::kNotFound);
  const auto link = only(objects.references(setting_data_path(at.leaf),
                                            {"Msvm_MostCurrentSnapshotInBranch", {}, {}, {}}));
  CHECK(objects.get(link.path));
}

TEST_CASE("repository: the tree of snapshots in associations") {
  ServiceFixture at;
  const auto objects = at.manager.repository(Space::kV2);
  CHECK(ids(objects.associators(*machine(), {"CIM_SnapshotOfVirtualSystem", {}, {}, {}})) ==
        std::vector<std::string>{kPrefix + at.root, kPrefix + at.leaf});
  CHECK(only(objects.associators(*machine(), {"CIM_MostCurrentSnapshotInBranch", {}, {}, {}}))
            .text("ElementName") == "leaf");
  CHECK(objects.associators(*machine(), {"CIM_LastAppliedSnapshot", {}, {}, {}})->empty());
  CHECK(only(objects.associators(setting_data_path(at.leaf),
                                 {"Msvm_ParentChildSettingData", {}, "Child", "Parent"}))
            .text("ElementName") == "root");
  CHECK(only(objects.associators(setting_data_path(at.leaf),
                                 {"Msvm_ParentChildSettingData", {}, "Parent", {}}))
            .text("ElementName") == "web1");  // the machine's present descends from the leaf
  CHECK(only(objects.associators(*machine(), {"CIM_SettingsDefineState", {}, {}, {}}))
            .text("VirtualSystemType") == "Microsoft:Hyper-V:System:Realized");
}

TEST_CASE("repository: after an apply both links name the snapshot") {
  ServiceFixture at(PowerState::kOff);
  REQUIRE(at.services.snapshots.apply_snapshot({snapshot_ref(at.root)}).return_value == 4096);
  at.finished_job();
  const auto objects = at.manager.repository(Space::kV2);
  for (const char* link : {"CIM_LastAppliedSnapshot", "CIM_MostCurrentSnapshotInBranch"}) {
    CHECK(only(objects.associators(*machine(), {link, {}, {}, {}})).text("ElementName") == "root");
  }
  const Instance applied =
      only(objects.references(*machine(), {"CIM_LastAppliedSnapshot", {}, {}, {}}));
  CHECK(same_name(applied.find("Dependent")->as_reference()->class_name, kComputerSystem));
  at.services.snapshots.create_snapshot({machine(), "", 2});
  at.finished_job();
  CHECK(at.vm.snapshots().back().parent == at.root);  // a new branch
}

TEST_CASE("repository: a running job shows on the machine; its snapshot hangs on it when done") {
  ServiceFixture at;
  at.vm.hold();
  REQUIRE(at.services.snapshots.create_snapshot({machine(), "", 2}).return_value == 4096);
  at.vm.await_held();
  const auto objects = at.manager.repository(Space::kV2);
  const auto job_id = at.manager.jobs().list()[0].id;
  Instance job = *objects.get(job_path(job_id));
  CHECK(job.number("JobState") == 4);
  CHECK(job.number("PercentComplete") == 50);
  CHECK(job.number("BytesTotal") == 1000);
  CHECK(job.boolean("Cancellable"));
  CHECK(objects.get(*machine())->find("OperationalStatus")->texts ==
        std::vector<std::string>{"2", "32768"});
  CHECK(objects
            .associators(job_path(job_id),
                         {"CIM_AffectedJobElement", "CIM_VirtualSystemSettingData", {}, {}})
            ->empty());
  at.vm.let_go();
  at.finished_job();
  job = *objects.get(job_path(job_id));
  CHECK(job.number("JobState") == 7);
  CHECK(job.find("OperationalStatus")->texts == std::vector<std::string>{"17", "2"});
  CHECK(job.text("TimeBeforeRemoval") == "00000000000500.000000:000");
  CHECK(objects.get(*machine())->find("OperationalStatus")->texts == std::vector<std::string>{"2"});
  const Instance made = only(objects.associators(
      job_path(job_id), {"CIM_AffectedJobElement", "CIM_VirtualSystemSettingData", {}, {}}));
  CHECK(made.text("InstanceID") == kPrefix + at.vm.snapshots().back().id);
  const Instance link = only(objects.references(made.path, {"CIM_AffectedJobElement", {}, {}, {}}));
  CHECK(link.find("ElementEffects")->texts == std::vector<std::string>{"5"});
  CHECK(only(objects.associators(job_path(job_id), {"CIM_OwningJobElement", {}, {}, {}}))
            .text("Name") == kSnapshotServiceName);
}

TEST_CASE("repository: a failed job says why and has no snapshot") {
  ServiceFixture at;
  at.vm.fail_next(base::ErrorKind::kOutOfResources, "no space left");
  at.services.snapshots.create_snapshot({machine(), "", 2});
  const JobInfo info = at.finished_job();
  const auto objects = at.manager.repository(Space::kV2);
  const Instance job = *objects.get(job_path(info.id));
  CHECK(job.number("JobState") == 10);
  CHECK(job.number("ErrorCode") == 32'778);
  CHECK(job.text("ErrorDescription") == "no space left");
  CHECK(job.find("OperationalStatus")->texts == std::vector<std::string>{"17", "6"});
  CHECK(objects.enumerate("Msvm_SnapshotOfVirtualSystem")->size() == 2);
}

TEST_CASE("repository: states of the machine in both versions") {
  struct Row {
    PowerState state;
    std::uint64_t v2;
    std::uint64_t v1;
  };
  const auto row =
      GENERATE(Row{PowerState::kOff, 3, 3}, Row{PowerState::kRunning, 2, 2},
               Row{PowerState::kPaused, 9, 32'768}, Row{PowerState::kSaved, 6, 32'769},
               Row{PowerState::kStarting, 10, 32'770}, Row{PowerState::kStopping, 4, 32'774});
  ServiceFixture at(row.state);
  CHECK(at.manager.repository(Space::kV2).get(*machine())->number("EnabledState") == row.v2);
  CHECK(at.manager.repository(Space::kV1).get(*machine())->number("EnabledState") == row.v1);
}

TEST_CASE("repository: setting data in V1's terms") {
  ServiceFixture at;
  const auto objects = at.manager.repository(Space::kV1);
  const Instance snapshot = *objects.get(setting_data_path(at.leaf));
  CHECK(snapshot.number("SettingType") == 5);
  CHECK(snapshot.number("VirtualSystemType") == 301);
  CHECK(snapshot.text("SystemName") == FakeVm::kId);
  CHECK(snapshot.text("Parent").find(at.root) != std::string::npos);
  CHECK(objects.get(setting_data_path(FakeVm::kId))->number("SettingType") == 3);
  CHECK(only(objects.associators(*machine(), {"Msvm_PreviousSettingData", {}, {}, {}}))
            .text("ElementName") == "leaf");
}

TEST_CASE("repository: capabilities say what is supported, in the schema's spelling") {
  ServiceFixture at;
  const auto objects = at.manager.repository(Space::kV2);
  const ObjectPath service = service_path(kSnapshotService, kSnapshotServiceName);
  const Instance of_service =
      only(objects.associators(service, {"CIM_ElementCapabilities", {}, {}, {}}));
  CHECK(of_service.find("AynchronousMethodsSupported") != nullptr);
  CHECK(of_service.find("SnapshotTypesSupported")->texts == std::vector<std::string>{"2", "3"});
  const Instance of_machine =
      only(objects.associators(*machine(), {"CIM_ElementCapabilities", {}, {}, {}}));
  CHECK(of_machine.find("SnapshotTypesEnabled")->texts == std::vector<std::string>{"2", "3"});
  CHECK(
      only(objects.associators(service, {"CIM_ServiceAffectsElement", {}, {}, {}})).text("Name") ==
      FakeVm::kId);
  CHECK(only(objects.associators(service, {"CIM_HostedService", {}, {}, {}})).text("Name") ==
        host_name());
}

}  // namespace stasis::cimapi
