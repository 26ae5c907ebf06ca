#include "cimapi/computer_system.h"

#include <catch2/catch.hpp>

#include "tests/unit/cimapi/service_fixture.h"

namespace stasis::cimapi {
namespace {
using namespace stasis::cimapi::testing;
using base::ErrorKind;
using snapshot::PowerState;
}  // namespace

TEST_CASE("RequestStateChange of the machine: what each state does and answers") {
  struct Row {
    PowerState from;
    std::uint16_t requested;
    std::uint32_t code;
    PowerState to;
  };
  const auto row = GENERATE(Row{PowerState::kOff, 2, 0, PowerState::kRunning},
                            Row{PowerState::kSaved, 2, 0, PowerState::kRunning},
                            Row{PowerState::kPaused, 2, 0, PowerState::kRunning},
                            Row{PowerState::kRunning, 2, 32'775, PowerState::kRunning},
                            Row{PowerState::kRunning, 3, 0, PowerState::kOff},
                            Row{PowerState::kRunning, 4, 0, PowerState::kOff},
                            Row{PowerState::kOff, 4, 32'775, PowerState::kOff},
                            Row{PowerState::kRunning, 9, 0, PowerState::kPaused},
                            Row{PowerState::kOff, 10, 32'775, PowerState::kOff},
                            Row{PowerState::kRunning, 11, 0, PowerState::kRunning},
                            Row{PowerState::kRunning, 6, 32'770, PowerState::kRunning},
                            Row{PowerState::kRunning, 7, 32'770, PowerState::kRunning},
                            Row{PowerState::kRunning, 32'773, 32'770, PowerState::kRunning},
                            Row{PowerState::kRunning, 0, 32'773, PowerState::kRunning},
                            Row{PowerState::kRunning, 5, 32'773, PowerState::kRunning},
                            Row{PowerState::kRunning, 12, 32'773, PowerState::kRunning});
  ServiceFixture at(row.from);
  CAPTURE(row.requested);
  CHECK(at.services.computer_system.request_state_change({machine(), row.requested}).return_value ==
        row.code);
  CHECK(at.vm.state() == row.to);
}

TEST_CASE("RequestStateChange of the machine in V1's values") {
  struct Row {
    PowerState from;
    std::uint16_t requested;
    std::uint32_t code;
    PowerState to;
  };
  const auto row = GENERATE(Row{PowerState::kOff, 2, 0, PowerState::kRunning},
                            Row{PowerState::kRunning, 3, 0, PowerState::kOff},
                            Row{PowerState::kRunning, 10, 0, PowerState::kRunning},
                            Row{PowerState::kRunning, 32'768, 0, PowerState::kPaused},
                            Row{PowerState::kRunning, 32'769, 32'770, PowerState::kRunning},
                            Row{PowerState::kRunning, 11, 32'770, PowerState::kRunning},
                            Row{PowerState::kRunning, 4, 32'773, PowerState::kRunning});
  ServiceFixture at(row.from);
  CAPTURE(row.requested);
  CHECK(at.services.computer_system.request_state_change_v1({machine(), row.requested})
            .return_value == row.code);
  CHECK(at.vm.state() == row.to);
}

TEST_CASE("RequestStateChange of the machine: wrong parameters and failures") {
  ServiceFixture at;
  auto& system = at.services.computer_system;
  CHECK(system.request_state_change({machine(), {}}).return_value == 32'773);
  CHECK(system.request_state_change({host_path(), 3}).return_value == 32'773);
  at.vm.fail_next(ErrorKind::kBusy, "snapshot is under way");
  CHECK(system.request_state_change({machine(), 3}).return_value == 32'774);
  at.vm.fail_next(ErrorKind::kTimeout, "vCPU 0 did not stop");
  CHECK(system.request_state_change({machine(), 9}).return_value == 32'772);
}

TEST_CASE("reboot is a job: down, then up") {
  ServiceFixture at;
  const auto answer = at.services.computer_system.request_state_change({machine(), 10});
  CHECK(answer.return_value == 4096);
  const JobInfo job = at.finished_job();
  CHECK(job.type == JobType::kReboot);
  CHECK(job.state == JobState::kCompleted);
  CHECK(at.vm.seen().calls == std::vector<std::string>{"shut_down", "start"});
}

}  // namespace stasis::cimapi
