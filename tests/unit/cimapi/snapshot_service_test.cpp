#include "cimapi/snapshot_service.h"

#include <catch2/catch.hpp>
#include <vector>

#include "cimapi/snapshot_settings.h"
#include "tests/unit/cimapi/service_fixture.h"

namespace stasis::cimapi {
namespace {

using namespace stasis::cimapi::testing;
using base::ErrorKind;
using snapshot::PowerState;

struct CreateCase {
  const char* what;
  std::uint32_t code;
  CreateSnapshotIn in;
};

std::vector<CreateCase> create_cases() {
  const auto settings = [](const char* text) { return CreateSnapshotIn{machine(), text, 2}; };
  return {
      {"full, empty settings", 4096, {machine(), "", 2}},
      {"full, no settings", 4096, {machine(), {}, 2}},
      {"full, blank settings", 4096, {machine(), " \n\t", 2}},
      {"disk", 0, {machine(), "", 3}},
      {"id in lower case",
       0,
       {computer_system_path("11111111-2222-4333-8444-555555555555"), "", 3}},
      {"Name alone", 0, {Ref(ObjectPath{{}, kComputerSystem, {machine()->keys[1]}}), "", 3}},
      {"type unknown to DMTF: 0", 6, {machine(), "", 0}},
      {"type 1", 6, {machine(), "", 1}},
      {"type 4", 6, {machine(), "", 4}},
      {"type 32767", 6, {machine(), "", 32'767}},
      {"vendor type 32768", 1, {machine(), "", 32'768}},
      {"vendor type 65535", 1, {machine(), "", 65'535}},
      {"no type", 4, {machine(), "", {}}},
      {"no machine", 4, {{}, "", 2}},
      {"unknown machine", 4, {computer_system_path("22222222-2222-4333-8444-555555555555"), "", 2}},
      {"the host", 4, {host_path(), "", 2}},
      {"a job", 4, {job_path("x"), "", 2}},
      {"setting data", 4, {snapshot_ref(FakeVm::kId), "", 2}},
      {"another namespace", 4, {in_name_space(machine(), kV1Name), "", 2}},
      {"the cluster's namespace", 0, {in_name_space(machine(), kClusterName), "", 3}},
      {"unknown namespace", 4, {in_name_space(machine(), "root/cimv2"), "", 2}},
      {"an extra key", 4, {with_key(machine(), "Other", "x"), "", 2}},
      {"wrong CreationClassName",
       4,
       {ObjectPath{
            {}, kComputerSystem, {{"CreationClassName", Value::text("Foo")}, machine()->keys[1]}},
        "", 2}},
      {"no keys", 4, {ObjectPath{{}, kComputerSystem, {}}, "", 2}},
      {"no path", 4, {no_path(), "", 2}},
      {"bad REF and bad type: the REF counts", 4, {host_path(), "", 1}},
      {"bad type and bad settings: the type counts", 6, {machine(), "<", 1}},
      {"settings that are no XML", 4, settings("monday")},
      {"settings that end early", 4, settings("<INSTANCE CLASSNAME=\"CIM_SettingData\">")},
      {"application consistent", 1,
       settings("<INSTANCE CLASSNAME=\"Msvm_VirtualSystemSnapshotSettingData\">"
                "<PROPERTY NAME=\"ConsistencyLevel\" TYPE=\"uint8\"><VALUE>1</VALUE></PROPERTY>"
                "</INSTANCE>")},
  };
}

}  // namespace

TEST_CASE("CreateSnapshot: documented codes by parameters") {
  for (const CreateCase& entry : create_cases()) {
    DYNAMIC_SECTION(entry.what) {
      ServiceFixture at;
      const CreateAnswer answer = at.services.snapshots.create_snapshot(entry.in);
      CHECK(answer.return_value == entry.code);
      CHECK(answer.job.has_value() == (entry.code == 4096));
      CHECK(answer.snapshot.has_value() == (entry.code == 0));
      CHECK(answer.reason.has_value() == (entry.code != 0 && entry.code != 4096));
      CHECK(at.vm.seen().calls.size() <= (entry.code == 0 || entry.code == 4096 ? 1U : 0U));
    }
  }
}

TEST_CASE("CreateSnapshot: documented codes by state") {
  struct Row {
    PowerState state;
    std::uint16_t type;
    std::uint32_t code;
  };
  const auto row = GENERATE(Row{PowerState::kOff, 2, 0}, Row{PowerState::kOff, 3, 0},
                            Row{PowerState::kRunning, 2, 4096}, Row{PowerState::kPaused, 2, 4096},
                            Row{PowerState::kPaused, 3, 0}, Row{PowerState::kSaved, 2, 4096},
                            Row{PowerState::kStarting, 2, 5}, Row{PowerState::kStopping, 3, 5});
  ServiceFixture at(row.state);
  const auto answer = at.services.snapshots.create_snapshot({machine(), "", row.type});
  CHECK(answer.return_value == row.code);
  at.await_idle();
  CHECK(at.vm.state() == row.state);
}

TEST_CASE("CreateSnapshot: documented codes by what went wrong") {
  struct Row {
    ErrorKind kind;
    std::uint32_t code;
  };
  const auto row = GENERATE(Row{ErrorKind::kIo, 2}, Row{ErrorKind::kOutOfResources, 2},
                            Row{ErrorKind::kCorrupt, 2}, Row{ErrorKind::kPermissionDenied, 2},
                            Row{ErrorKind::kTimeout, 3}, Row{ErrorKind::kBusy, 5},
                            Row{ErrorKind::kInvalidState, 5}, Row{ErrorKind::kUnsupported, 1});
  ServiceFixture at;
  at.vm.fail_next(row.kind, "why");
  const auto answer = at.services.snapshots.create_snapshot({machine(), "", 3});
  CHECK(answer.return_value == row.code);
  REQUIRE(answer.reason);
  CHECK(answer.reason->kind() == row.kind);
  CHECK(at.vm.snapshots().size() == 2);
}

TEST_CASE("CreateSnapshot: a second one while the first runs is refused and names it") {
  ServiceFixture at;
  at.vm.hold();
  REQUIRE(at.services.snapshots.create_snapshot({machine(), "", 2}).return_value == 4096);
  at.vm.await_held();
  const auto second = at.services.snapshots.create_snapshot({machine(), "", 2});
  const auto disk = at.services.snapshots.create_snapshot({machine(), "", 3});
  const auto destroy = at.services.snapshots.destroy_snapshot({snapshot_ref(at.leaf)});
  const auto tree = at.services.snapshots.destroy_snapshot_tree({snapshot_ref(at.leaf)});
  at.vm.let_go();
  CHECK(second.return_value == 5);
  CHECK(second.reason->message().find(at.manager.jobs().list()[0].id) != std::string::npos);
  CHECK(disk.return_value == 5);
  CHECK(destroy.return_value == 5);
  CHECK(tree.return_value == 32'774);
}

TEST_CASE("CreateSnapshot: honours name, engine and compression of the settings") {
  ServiceFixture at;
  const auto text =
      encode_snapshot_settings({"monday", "notes", snapshot::Engine::kStopAndCopy, 19});
  REQUIRE(at.services.snapshots.create_snapshot({machine(), text, 3}).return_value == 0);
  CHECK(at.vm.seen().create.name == "monday");
  CHECK(at.vm.seen().create.notes == "notes");
  CHECK(at.vm.seen().create.engine == snapshot::Engine::kStopAndCopy);
  CHECK(at.vm.seen().create.compression_level == 19);
}

TEST_CASE("ApplySnapshot: documented codes") {
  ServiceFixture at(PowerState::kOff);
  auto& service = at.services.snapshots;
  const auto code = [&](const Ref& ref) { return service.apply_snapshot({ref}).return_value; };
  SECTION("off: a job; with memory the machine ends saved") {
    CHECK(code(snapshot_ref(at.root)) == 4096);
    CHECK(at.finished_job().state == JobState::kCompleted);
    CHECK(at.vm.state() == PowerState::kSaved);
    CHECK(at.vm.info().last_applied == at.root);
    SECTION("saved: works, too; without memory the machine ends off") {
      CHECK(code(snapshot_ref(at.leaf)) == 4096);
      at.finished_job();
      CHECK(at.vm.state() == PowerState::kOff);
    }
  }
  SECTION("wrong parameters") {
    CHECK(code({}) == 4);
    CHECK(code(snapshot_ref(FakeVm::kId)) == 4);  // the machine's present
    CHECK(code(snapshot_ref("BBBBBBBB-0000-4000-8000-000000000001")) == 4);
    CHECK(code(machine()) == 4);
    CHECK(code(no_path()) == 4);
    CHECK(code(in_name_space(snapshot_ref(at.root), kV1Name)) == 4);
    CHECK(code(ObjectPath{{}, kSettingData, {{"InstanceID", Value::text(at.root)}}}) == 4);
  }
  SECTION("wrong states") {
    for (const auto state : {PowerState::kRunning, PowerState::kPaused, PowerState::kStarting,
                             PowerState::kStopping}) {
      at.vm.set_state(state);
      CHECK(code(snapshot_ref(at.root)) == 5);
    }
  }
  SECTION("while a job runs") {
    at.vm.hold();
    REQUIRE(code(snapshot_ref(at.root)) == 4096);
    CHECK(code(snapshot_ref(at.root)) == 5);
    at.vm.let_go();
  }
  SECTION("what fails in the job ends it with error, the machine as before") {
    at.vm.fail_next(ErrorKind::kUnsupported, "this host has no AVX-512");
    CHECK(code(snapshot_ref(at.root)) == 4096);
    const JobInfo job = at.finished_job();
    CHECK(job.state == JobState::kException);
    CHECK(job.error->message() == "this host has no AVX-512");
    CHECK(at.vm.info().last_applied.empty());
  }
}

TEST_CASE("DestroySnapshot: documented codes") {
  ServiceFixture at;
  auto& service = at.services.snapshots;
  const auto code = [&](const Ref& ref) { return service.destroy_snapshot({ref}).return_value; };
  CHECK(code({}) == 4);
  CHECK(code(snapshot_ref(FakeVm::kId)) == 4);
  CHECK(code(of_class(snapshot_ref(at.root), "CIM_ConcreteJob")) == 4);
  CHECK(code(of_class(snapshot_ref(at.root), "CIM_VirtualSystemSettingData")) == 0);
  CHECK(at.vm.snapshots().at(0).parent.empty());  // the child moved up
  CHECK(code(snapshot_ref(at.root)) == 4);        // gone already
  at.vm.fail_next(ErrorKind::kIo, "merge failed");
  CHECK(code(snapshot_ref(at.leaf)) == 2);
  at.vm.fail_next(ErrorKind::kTimeout, "late");
  CHECK(code(snapshot_ref(at.leaf)) == 3);
  at.vm.fail_next(ErrorKind::kUnsupported, "no");
  CHECK(code(snapshot_ref(at.leaf)) == 1);
  at.vm.set_state(PowerState::kStarting);
  CHECK(code(snapshot_ref(at.leaf)) == 5);
}

TEST_CASE("DestroySnapshotTree and ClearSnapshotState: codes of the V1 family") {
  ServiceFixture at;
  auto& service = at.services.snapshots;
  const auto tree = [&](const Ref& ref) {
    return service.destroy_snapshot_tree({ref}).return_value;
  };
  const auto clear = [&](const Ref& ref) {
    return service.clear_snapshot_state({ref}).return_value;
  };
  CHECK(clear(snapshot_ref(at.root)) == 32'770);
  CHECK(clear(snapshot_ref("x")) == 32'773);
  CHECK(clear({}) == 32'773);
  CHECK(tree({}) == 32'773);
  CHECK(tree(snapshot_ref("x")) == 32'773);
  CHECK(tree(no_path()) == 32'776);
  at.vm.set_state(PowerState::kStopping);
  CHECK(tree(snapshot_ref(at.root)) == 32'775);
  at.vm.set_state(PowerState::kRunning);
  at.vm.fail_next(ErrorKind::kIo, "I/O error");
  CHECK(tree(snapshot_ref(at.root)) == 32'768);
  at.vm.fail_next(ErrorKind::kPermissionDenied, "no");
  CHECK(tree(snapshot_ref(at.root)) == 32'769);
  at.vm.fail_next(ErrorKind::kTimeout, "late");
  CHECK(tree(snapshot_ref(at.root)) == 32'772);
  at.vm.fail_next(ErrorKind::kOutOfResources, "memory");
  CHECK(tree(snapshot_ref(at.root)) == 32'778);
  CHECK(tree(snapshot_ref(at.root)) == 0);
  CHECK(at.vm.snapshots().empty());
}

TEST_CASE("snapshot service: what it never supports") {
  ServiceFixture at;
  auto& service = at.services.snapshots;
  CHECK(service.change_service().return_value == 1);
  CHECK(service.convert_to_reference_point({snapshot_ref(at.root)}).return_value == 1);
  CHECK(service.convert_to_reference_point({}).return_value == 4);
}

TEST_CASE("snapshot service: our additions check what they are given") {
  ServiceFixture at;
  auto& service = at.services.snapshots;
  CHECK(service.apply_snapshot_in_place({snapshot_ref(at.root), 2, {}}).return_value == 4);
  CHECK(service.apply_snapshot_in_place({{}, 0, true}).return_value == 4);
  CHECK(service.verify_snapshot({snapshot_ref("x")}).return_value == 4);
  CHECK(service.rename_snapshot({snapshot_ref(at.root), "", {}}).return_value == 4);
  CHECK(service.rename_snapshot({snapshot_ref(at.root), {}, "only notes"}).return_value == 0);
  CHECK(at.vm.snapshots().at(0).name == "root");
  CHECK(at.vm.snapshots().at(0).notes == "only notes");
  CHECK(service.self_test({{}}).return_value == 4);
  at.vm.fail_next(ErrorKind::kCorrupt, "section vcpu0 differs");
  CHECK(service.self_test({machine()}).return_value == 2);
  CHECK(service.apply_snapshot_in_place({snapshot_ref(at.leaf), {}, {}}).return_value == 4096);
  at.finished_job();
  CHECK(at.vm.state() == PowerState::kOff);  // a snapshot without memory
  CHECK(at.vm.seen().apply.new_generation);
}

}  // namespace stasis::cimapi
