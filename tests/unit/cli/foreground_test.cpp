#include "cli/foreground.h"

#include <signal.h>

#include <catch2/catch.hpp>
#include <set>

#include "vmm/ending.h"

namespace stasis::cli {
namespace {

using Kind = vmm::Ending::Kind;

TEST_CASE("each ending of a guest has a code and a sentence of its own") {
  std::set<ExitCode> codes;
  std::set<std::string> sentences;
  for (const Kind kind : {Kind::kPowerOff, Kind::kReset, Kind::kPanic, Kind::kTripleFault,
                          Kind::kInternalError, Kind::kStopped}) {
    const Outcome outcome = outcome_of({kind, ""});
    CHECK(codes.insert(outcome.code).second);
    CHECK(sentences.insert(outcome.sentence).second);
  }
  CHECK(outcome_of({Kind::kPowerOff, ""}).code == ExitCode::kSuccess);
  CHECK(outcome_of({Kind::kPanic, ""}).code == ExitCode::kGuestPanicked);
}

TEST_CASE("what the machine says of its ending is what is said") {
  CHECK(outcome_of({Kind::kInternalError, "vCPU 0: emulation failed"}).sentence ==
        "vCPU 0: emulation failed");
}

TEST_CASE("a signal ends with 128 and its number") {
  for (const int number : {SIGHUP, SIGINT, SIGTERM}) {
    CHECK(static_cast<int>(outcome_of_signal(number).code) == 128 + number);
  }
}

}  // namespace
}  // namespace stasis::cli
