#include "snapshot/vm_config.h"

#include <catch2/catch.hpp>

#include "snapshot/vm_present.h"
#include "snapshot/vm_run_record.h"

namespace stasis::snapshot {
namespace {

using base::ErrorKind;
using vmm::ConsoleConfig;

VmConfig full() {
  VmConfig config;
  config.id = "01234567-89AB-CDEF-0123-456789ABCDEF";
  config.created_unix_us = 1'700'000'000'000'000;
  config.restart_on_reboot = false;
  vmm::MachineConfig& machine = config.machine;
  machine.name = "web1";
  machine.kernel = "/boot/vmlinuz";
  machine.initrd = "/boot/initrd.img";
  machine.cmdline = "console=ttyS0 quoted=\"a b\"";
  machine.cpus = 4;
  machine.memory_bytes = std::uint64_t{3} << 30;
  machine.cpu_model = vmm::CpuModel::kBaseline;
  machine.disks.resize(1);
  machine.disks[0].path = "/images/a,b.img";
  machine.disks[0].read_only = true;
  machine.disks[0].id = "root";
  machine.disks[0].format = devices::ImageFormat::kQcow2;
  machine.disks[0].backing = {{"/images/base.img", devices::ImageFormat::kRaw}};
  machine.net = vmm::UserNetConfig{{{true, 5353, 53}}};
  machine.console.kind = ConsoleConfig::Kind::kFile;
  machine.console.port = ConsoleConfig::Port::kVirtio;
  machine.console.file = "/logs/web1";
  machine.rng = false;
  return config;
}

std::string replaced(std::string text, const std::string& from, const std::string& to) {
  const auto at = text.find(from);
  REQUIRE(at != std::string::npos);
  return text.replace(at, from.size(), to);
}

TEST_CASE("a configuration comes back as it was, every field") {
  const auto text = encode_config(full());
  REQUIRE(text);
  const auto back = decode_config(*text);
  REQUIRE(back);
  CHECK(*encode_config(*back) == *text);
  CHECK(back->id == full().id);
  CHECK_FALSE(back->restart_on_reboot);
  const vmm::MachineConfig& machine = back->machine;
  CHECK(machine.cmdline == full().machine.cmdline);
  CHECK(machine.cpus == 4);
  CHECK(machine.memory_bytes == std::uint64_t{3} << 30);
  CHECK(machine.cpu_model == vmm::CpuModel::kBaseline);
  REQUIRE(machine.disks.size() == 1);
  CHECK(machine.disks[0].path == "/images/a,b.img");
  CHECK(machine.disks[0].read_only);
  CHECK(machine.disks[0].id == "root");
  CHECK(machine.disks[0].format == devices::ImageFormat::kQcow2);
  CHECK(machine.disks[0].backing ==
        std::vector<devices::ImageLayer>{{"/images/base.img", devices::ImageFormat::kRaw}});
  REQUIRE(machine.net);
  CHECK(machine.net->forwards.at(0).udp);
  CHECK(machine.net->forwards.at(0).guest_port == 53);
  CHECK(machine.console.kind == ConsoleConfig::Kind::kFile);
  CHECK(machine.console.port == ConsoleConfig::Port::kVirtio);
  CHECK(machine.console.file == "/logs/web1");
  CHECK_FALSE(machine.rng);
}

TEST_CASE("a configuration of a newer schema is refused by its number") {
  const auto newer =
      decode_config(replaced(*encode_config(full()), "\"schema\": 1", "\"schema\": 2"));
  REQUIRE_FALSE(newer);
  CHECK(newer.error().kind() == ErrorKind::kUnsupported);
  CHECK(newer.error().message() ==
        "config.json: schema 2, this program knows 1 and older; use a newer stasis");
}

TEST_CASE("a configuration that does not fit is refused with its place") {
  const std::string good = *encode_config(full());
  const struct {
    const char* from;
    const char* to;
    const char* error;
  } cases[] = {
      {"\"cpus\": 4", "\"cpus\": 33", "config.json: machine: cpus: 33 is out of range 1 to 32"},
      {"\"cpus\": 4", "\"cpus\": -1", "config.json: machine: cpus: not a whole number from 0 up"},
      {"\"cpus\": 4", "\"cpus\": \"4\"",
       "config.json: machine: cpus: not a whole number from 0 up"},
      {"\"cpus\": 4", "\"cpsu\": 4", "config.json: machine: cpus: missing"},
      {"\"rng\": false", "\"rng\": false, \"x\": 1", "config.json: machine: \"x\": unknown member"},
      {"\"rng\": false", "\"rng\": 0", "config.json: machine: rng: neither true nor false"},
      {"3221225472", "3221225473", "config.json: machine: memory_bytes: not whole pages"},
      {"\"kind\": \"file\"", "\"kind\": \"fiel\"",
       "config.json: machine: console: kind: unknown word \"fiel\""},
      {"/images/a,b.img", "a\\u0000b", "config.json: machine: disks[0]: path: has a zero byte"},
      {"0123-456789ABCDEF", "0123-456789abcdef", "config.json: id: not a UUID in upper case"},
      {"{", "[", "config.json: not JSON"},
  };
  for (const auto& one : cases) {
    CAPTURE(one.to);
    const auto refused = decode_config(replaced(good, one.from, one.to));
    REQUIRE_FALSE(refused);
    CHECK(refused.error().kind() == ErrorKind::kCorrupt);
    CHECK(refused.error().message() == one.error);
  }
  CHECK_FALSE(decode_config(std::string(100'000, '[')));
}

TEST_CASE("a path that JSON cannot hold is refused when it is given") {
  VmConfig config = full();
  config.machine.kernel = "/boot/\xFF";
  const auto text = encode_config(config);
  REQUIRE_FALSE(text);
  CHECK(text.error().kind() == ErrorKind::kInvalidArgument);
}

TEST_CASE("a present that does not fit is refused with its place") {
  Present present;
  present.disks = {{"disk0", {{"disks/a.qcow2", PresentLayer::Format::kQcow2}}}};
  const std::string good = *encode_present(present);
  CHECK(*decode_present(good) == present);
  const auto error = [&](const char* from, const char* to) {
    return decode_present(replaced(good, from, to)).error().message();
  };
  CHECK(error("\"qcow2\"", "\"vmdk\"") ==
        "current.json: disks[0]: layers[0]: format: unknown word \"vmdk\"");
  CHECK(error("disks/a.qcow2", "") == "current.json: disks[0]: layers[0]: path: empty");
  CHECK(error("\"current\": \"\"", "\"current\": \"../x\"") ==
        "current.json: current: not a UUID in upper case");
}

TEST_CASE("a record of a run comes back as it was") {
  for (int end = 0; end <= static_cast<int>(RunEnd::kCrashed); ++end) {
    const RunRecord record{4321, 10, 20, static_cast<RunEnd>(end), "one sentence"};
    CHECK(*decode_run_record(encode_run_record(record)) == record);
  }
  CHECK(decode_run_record(encode_run_record({1, 2, 3, RunEnd::kFailed, "\xFF"})));
}

TEST_CASE("a note of a crash is one line of plain text") {
  CHECK(crash_sentence("SIGBUS at 0x10\nmore") == "its process died: SIGBUS at 0x10");
  CHECK(crash_sentence("\x1B[31m") == crash_sentence(""));
}

}  // namespace
}  // namespace stasis::snapshot
