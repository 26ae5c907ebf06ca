#include "cli/run_request.h"

#include <catch2/catch.hpp>
#include <set>

#include "cli/command_line.h"

namespace stasis::cli {
namespace {

constexpr HostLimits kHost = {std::uint64_t{8} << 30};

base::Result<RunRequest> request(std::vector<const char*> arguments) {
  const auto line = CommandLine::parse(run_options(), arguments);
  REQUIRE(line);
  return make_run_request(*line, kHost);
}

std::string request_refusal(const std::vector<const char*>& arguments) {
  const auto result = request(arguments);
  return result ? "" : result.error().message();
}

TEST_CASE("a kernel is all that is needed") {
  const auto result = request({"--kernel", "vmlinuz"});
  REQUIRE(result);
  CHECK(result->machine.kernel == "vmlinuz");
  CHECK(result->machine.cmdline == "console=ttyS0");
  CHECK(result->machine.cpus == 1);
  CHECK(result->machine.memory_bytes == std::uint64_t{256} << 20);
  CHECK(result->machine.disks.empty());
  CHECK_FALSE(result->machine.net);
  CHECK(result->on_reboot == OnReboot::kRestart);
}

TEST_CASE("every option reaches the configuration") {
  const auto result = request({"--kernel",    "k",
                               "--initrd",    "i",
                               "--cmdline",   "quiet",
                               "--cpus",      "4",
                               "--memory",    "6G",
                               "--cpu",       "baseline",
                               "--disk",      "d,ro",
                               "--net",       "user,forward=tcp:1:2",
                               "--console",   "file=log,device=virtio",
                               "--on-reboot", "exit",
                               "--name",      "web-1"});
  REQUIRE(result);
  const vmm::MachineConfig& machine = result->machine;
  CHECK(machine.initrd == "i");
  CHECK(machine.cmdline == "console=hvc0 quiet");
  CHECK(machine.cpus == 4);
  CHECK(machine.memory_bytes == std::uint64_t{6} << 30);
  CHECK(machine.cpu_model == vmm::CpuModel::kBaseline);
  CHECK(machine.disks.at(0).read_only);
  CHECK(machine.net->forwards.at(0).guest_port == 2);
  CHECK(machine.console.file == "log");
  CHECK(machine.name == "web-1");
  CHECK(result->on_reboot == OnReboot::kExit);
}

TEST_CASE("values that cannot be are refused with the option's name") {
  CHECK(request_refusal({}) == "no --kernel; add: --kernel FILE");
  CHECK(request_refusal({"--cpus", "0"}) ==
        "--cpus: \"0\": out of range; give a number from 1 to 32");
  CHECK(request_refusal({"--cpus", "33"}) ==
        "--cpus: \"33\": out of range; give a number from 1 to 32");
  CHECK(request_refusal({"--memory", "1M"}) ==
        "--memory: \"1M\": too little for any guest; give at least 2 MiB");
  CHECK(request_refusal({"--memory", "9G"}) ==
        "--memory: \"9G\": more than the 8 GiB this host has; give less");
  CHECK(request_refusal({"--memory", "4097K"}) ==
        "--memory: \"4097K\": not whole 4 KiB pages; round it, as in 512M");
  CHECK(request_refusal({"--cpu", "hots"}) ==
        "--cpu: \"hots\": unknown; did you mean host? (valid: host, baseline)");
  CHECK(request_refusal({"--on-reboot", "halt"}) ==
        "--on-reboot: \"halt\": unknown; valid: restart, exit");
  CHECK(request_refusal({"--net", "tap"}) == "--net: \"tap\": unknown network; valid: user, none");
}

TEST_CASE("a name is a file name without surprises") {
  CHECK(request_refusal({"--kernel", "k", "--name", "A.b_c-9"}) == "");
  CHECK(request_refusal({"--name", "a/b"}) ==
        "--name: \"a/b\": \"/\" is not allowed in a name; use letters, digits, \".\", \"_\" and "
        "\"-\"");
  CHECK(request_refusal({"--name", ".."}) ==
        "--name: \"..\": begins with a dot or dash; begin with a letter or digit");
  const std::string longest(64, 'a');
  CHECK(request_refusal({"--kernel", "k", "--name", longest.c_str()}) == "");
  const std::string longer(65, 'a');
  CHECK(request_refusal({"--name", longer.c_str()}) ==
        "--name: \"" + longer + "\": longer than 64 characters; shorten it");
}

TEST_CASE("option names are unique and their help fits a terminal") {
  std::set<std::string_view> names;
  for (const OptionSpec& option : run_options()) {
    CHECK(names.insert(option.name).second);
    for (std::size_t start = 0; start < option.help.size();) {
      const auto end = std::min(option.help.find('\n', start), option.help.size());
      CHECK(end - start <= 60);
      start = end + 1;
    }
  }
}

}  // namespace
}  // namespace stasis::cli
