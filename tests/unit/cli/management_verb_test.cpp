#include "cli/management_verb.h"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "cli/json_output.h"

namespace stasis::cli {
namespace {

using base::ErrorKind;

TEST_CASE("the kind of a failure chooses the exit code") {
  CHECK(exit_code_of(ErrorKind::kInvalidArgument) == ExitCode::kUsage);
  CHECK(exit_code_of(ErrorKind::kNotFound) == ExitCode::kNotFound);
  CHECK(exit_code_of(ErrorKind::kInvalidState) == ExitCode::kWrongState);
  CHECK(exit_code_of(ErrorKind::kBusy) == ExitCode::kBusy);
  CHECK(exit_code_of(ErrorKind::kTimeout) == ExitCode::kTimedOut);
  CHECK(exit_code_of(ErrorKind::kCorrupt) == ExitCode::kDamaged);
  CHECK(exit_code_of(ErrorKind::kCancelled) == ExitCode::kInterrupted);
  CHECK(exit_code_of(ErrorKind::kUnsupported) == ExitCode::kRefused);
  CHECK(exit_code_of(ErrorKind::kIo) == ExitCode::kFailed);
}

TEST_CASE("a record has its schema first, and is UTF-8 whatever it holds") {
  const std::string text = json_record({{"log", "a\xFF"}});
  CHECK(text.starts_with("{\n  \"schema\": 1"));
  CHECK(nlohmann::json::parse(text)["log"] == "a\uFFFD");
}

TEST_CASE("a machine's record has null for what does not apply") {
  VmView view;
  view.name = "one";
  view.state = "off";
  const auto record = machine_json(view);
  for (const char* member : {"pid", "started", "last_run", "current_snapshot", "initrd", "net"}) {
    CAPTURE(member);
    CHECK(record.at(member).is_null());
  }
}

TEST_CASE("a snapshot's record has its times in milliseconds") {
  snapshot::SnapshotInfo info;
  info.capture.pause_us = 1500;
  info.capture.total_us = 250'000;
  const auto record = snapshot_json(info);
  CHECK(record.at("pause_ms") == 1.5);
  CHECK(record.at("total_ms") == 250.0);
  CHECK(record.at("parent").is_null());
  CHECK(record.at("type") == "full");
}

}  // namespace
}  // namespace stasis::cli
