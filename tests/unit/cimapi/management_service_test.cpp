#include "cimapi/management_service.h"

#include <catch2/catch.hpp>

#include "tests/unit/cimapi/service_fixture.h"

namespace stasis::cimapi {
namespace {
using namespace stasis::cimapi::testing;
using base::ErrorKind;
using snapshot::PowerState;
}  // namespace

TEST_CASE("CreateVirtualSystemSnapshot: documented codes by parameter") {
  ServiceFixture at(PowerState::kOff);
  auto& service = at.services.management;
  const auto code = [&](const Ref& ref) {
    return service.create_virtual_system_snapshot({ref}).return_value;
  };
  CHECK(code({}) == 32'773);
  CHECK(code(host_path()) == 32'773);
  CHECK(code(computer_system_path("x")) == 32'773);
  CHECK(code(snapshot_ref(at.root)) == 32'773);
  CHECK(code(in_name_space(machine(), kV2Name)) == 32'773);
  CHECK(code(with_key(machine(), "Other", "x")) == 32'773);
  CHECK(code(no_path()) == 32'776);
  CHECK(at.vm.snapshots().size() == 2);
  const auto made = service.create_virtual_system_snapshot({machine()});
  CHECK(made.return_value == 0);
  CHECK(made.snapshot.has_value());
  CHECK_FALSE(made.job.has_value());
}

TEST_CASE("CreateVirtualSystemSnapshot: documented codes by state") {
  struct Row {
    PowerState state;
    std::uint32_t code;
  };
  const auto row = GENERATE(Row{PowerState::kRunning, 4096}, Row{PowerState::kOff, 0},
                            Row{PowerState::kSaved, 4096}, Row{PowerState::kPaused, 32'775},
                            Row{PowerState::kStarting, 32'775}, Row{PowerState::kStopping, 32'775});
  ServiceFixture at(row.state);
  CHECK(at.services.management.create_virtual_system_snapshot({machine()}).return_value ==
        row.code);
}

TEST_CASE("CreateVirtualSystemSnapshot: documented codes by what went wrong") {
  struct Row {
    ErrorKind kind;
    std::uint32_t code;
  };
  const auto row = GENERATE(Row{ErrorKind::kIo, 32'768}, Row{ErrorKind::kPermissionDenied, 32'769},
                            Row{ErrorKind::kUnsupported, 32'770}, Row{ErrorKind::kTimeout, 32'772},
                            Row{ErrorKind::kBusy, 32'774}, Row{ErrorKind::kInvalidState, 32'775},
                            Row{ErrorKind::kOutOfResources, 32'778});
  ServiceFixture at(PowerState::kOff);
  at.vm.fail_next(row.kind, "why");
  const auto answer = at.services.management.create_virtual_system_snapshot({machine()});
  CHECK(answer.return_value == row.code);
  CHECK(at.vm.snapshots().size() == 2);
}

TEST_CASE("CreateVirtualSystemSnapshot: busy while another operation runs") {
  ServiceFixture at;
  at.vm.hold();
  auto& service = at.services.management;
  REQUIRE(service.create_virtual_system_snapshot({machine()}).return_value == 4096);
  CHECK(service.create_virtual_system_snapshot({machine()}).return_value == 32'774);
  CHECK(service.remove_virtual_system_snapshot({snapshot_ref(at.leaf)}).return_value == 32'774);
  CHECK(service.remove_virtual_system_snapshot_tree({snapshot_ref(at.leaf)}).return_value ==
        32'774);
  at.vm.let_go();
}

TEST_CASE("V1 family: codes that no cause of ours leads to are translated all the same") {
  CHECK(code_of(Family::kV1, Verdict::kUnknown) == 32'771);
  CHECK(code_of(Family::kV1, Verdict::kUnavailable) == 32'777);
  CHECK(code_of(Family::kV2, Verdict::kUnavailable) == 5);
  CHECK(code_of(Family::kV2, Verdict::kUnknown) == 2);
}

TEST_CASE("ApplyVirtualSystemSnapshot: at once; the Ex form as a job") {
  ServiceFixture at(PowerState::kOff);
  auto& service = at.services.management;
  CHECK(service.apply_virtual_system_snapshot({machine(), snapshot_ref(at.root)}).return_value ==
        0);
  CHECK(at.vm.state() == PowerState::kSaved);
  const auto job = service.apply_virtual_system_snapshot_ex({machine(), snapshot_ref(at.leaf)});
  CHECK(job.return_value == 4096);
  CHECK(job.job.has_value());
  at.finished_job();
  CHECK(at.vm.state() == PowerState::kOff);
}

TEST_CASE("ApplyVirtualSystemSnapshot: documented codes") {
  ServiceFixture at(PowerState::kOff);
  auto& service = at.services.management;
  const auto code = [&](const Ref& vm, const Ref& ref) {
    return service.apply_virtual_system_snapshot({vm, ref}).return_value;
  };
  CHECK(code({}, snapshot_ref(at.root)) == 32'773);
  CHECK(code(machine(), {}) == 32'773);
  CHECK(code(machine(), no_path()) == 32'776);
  CHECK(code(machine(), snapshot_ref(FakeVm::kId)) == 32'773);
  CHECK(code(computer_system_path("22222222-2222-4333-8444-555555555555"), snapshot_ref(at.root)) ==
        32'773);
  at.vm.fail_next(ErrorKind::kCorrupt, "checksum");
  CHECK(code(machine(), snapshot_ref(at.root)) == 32'768);
  at.vm.fail_next(ErrorKind::kUnsupported, "this host has no AVX-512");
  CHECK(code(machine(), snapshot_ref(at.root)) == 32'768);
  at.vm.set_state(PowerState::kRunning);
  CHECK(code(machine(), snapshot_ref(at.root)) == 32'775);
  at.vm.set_state(PowerState::kPaused);
  CHECK(code(machine(), snapshot_ref(at.root)) == 32'775);
}

TEST_CASE("RemoveVirtualSystemSnapshot and ...Tree: documented codes") {
  ServiceFixture at;
  auto& service = at.services.management;
  CHECK(service.remove_virtual_system_snapshot({}).return_value == 32'773);
  CHECK(service.remove_virtual_system_snapshot({snapshot_ref(FakeVm::kId)}).return_value == 32'773);
  CHECK(service.remove_virtual_system_snapshot({snapshot_ref(at.root)}).return_value == 0);
  CHECK(service.remove_virtual_system_snapshot({snapshot_ref(at.root)}).return_value == 32'773);
  CHECK(service.remove_virtual_system_snapshot_tree({snapshot_ref(at.leaf)}).return_value == 0);
  CHECK(service.not_supported().return_value == 32'770);
}

}  // namespace stasis::cimapi
