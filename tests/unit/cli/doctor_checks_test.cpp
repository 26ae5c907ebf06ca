#include "cli/doctor_checks.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <cerrno>
#include <nlohmann/json.hpp>

namespace stasis::cli {
namespace {

vmm::HostFacts good_host() {
  vmm::HostFacts facts;
  facts.kvm = {true, 0, vmm::kKvmApiVersion, vmm::KvmKind::kVmx, {}};
  facts.userfault = vmm::UserfaultFacts::kUsable;
  facts.huge_pages = "madvise";
  facts.has_libslirp = true;
  facts.storage = {"/var/lib/stasis", "/var/lib", true, true, std::uint64_t{50} << 30};
  facts.memlock_bytes = UINT64_MAX;
  facts.memory_bytes = std::uint64_t{16} << 30;
  facts.available_bytes = std::uint64_t{8} << 30;
  return facts;
}

Check check_of(const vmm::HostFacts& facts, const std::string& name) {
  const auto checks = judge_host(facts);
  const auto found = std::find_if(checks.begin(), checks.end(),
                                  [&](const Check& check) { return check.name == name; });
  REQUIRE(found != checks.end());
  return *found;
}

TEST_CASE("on a good host all is well and nothing is advised") {
  const auto checks = judge_host(good_host());
  CHECK(is_fit(checks));
  for (const Check& check : checks) {
    INFO(check.name);
    CHECK(check.health == Health::kOk);
    CHECK(check.remedy.empty());
  }
}

TEST_CASE("every line that is not well has a command that helps") {
  vmm::HostFacts nothing;
  nothing.io_uring_error = ENOSYS;
  for (const Check& check : judge_host(nothing)) {
    INFO(check.name);
    CHECK(check.health != Health::kOk);
    CHECK_FALSE(check.remedy.empty());
  }
}

TEST_CASE("a host that cannot run stock guests fails") {
  auto facts = good_host();
  SECTION("no device") {
    facts.kvm = {};
  }
  SECTION("no permission") {
    facts.kvm = {true, EACCES, 0, vmm::KvmKind::kNone, {}};
  }
  SECTION("another device") {
    facts.kvm.api_version = 0;
  }
  SECTION("emulating") {
    facts.kvm.kind = vmm::KvmKind::kEmulating;
  }
  SECTION("a capability is missing") {
    facts.kvm.missing_capabilities = {"KVM_CAP_IRQFD"};
  }
  CHECK_FALSE(is_fit(judge_host(facts)));
}

TEST_CASE("what is slower or missing is a warning") {
  auto facts = good_host();
  std::string name;
  SECTION("userfaultfd") {
    facts.userfault = vmm::UserfaultFacts::kForbidden;
    name = "userfaultfd";
  }
  SECTION("huge pages") {
    facts.huge_pages = "never";
    name = "huge-pages";
  }
  SECTION("io_uring") {
    facts.io_uring_error = EPERM;
    name = "io_uring";
  }
  SECTION("libslirp") {
    facts.has_libslirp = false;
    name = "libslirp";
  }
  SECTION("reflinks") {
    facts.storage.has_reflinks = false;
    name = "reflinks";
  }
  SECTION("free space") {
    facts.storage.free_bytes = 1;
    name = "state-root";
  }
  SECTION("memory") {
    facts.available_bytes = 1;
    name = "memory";
  }
  CHECK(check_of(facts, name).health == Health::kWarn);
  CHECK(is_fit(judge_host(facts)));
}

TEST_CASE("permission is mended by joining the group") {
  auto facts = good_host();
  facts.kvm = {true, EACCES, 0, vmm::KvmKind::kNone, {}};
  CHECK(check_of(facts, "kvm-device").remedy == "sudo usermod -aG kvm $USER  # then log in again");
}

TEST_CASE("the text is one line a check, coloured on request") {
  auto facts = good_host();
  facts.has_libslirp = false;
  const auto checks = judge_host(facts);
  const std::string plain = doctor_text(checks, false);
  CHECK(plain.find('\x1b') == std::string::npos);
  CHECK(plain.find("warn  libslirp          not installed: no --net user\n") != std::string::npos);
  CHECK(plain.find("try: sudo apt-get install libslirp0\n") != std::string::npos);
  CHECK(doctor_text(checks, true).find("\x1b[33mwarn\x1b[0m") != std::string::npos);
}

TEST_CASE("the JSON is a record with a schema") {
  auto facts = good_host();
  facts.has_libslirp = false;
  facts.storage.root = "\xff";  // not UTF-8
  const auto top = nlohmann::json::parse(doctor_json(judge_host(facts), facts.kvm.kind));
  CHECK(top.at("schema") == 1);
  CHECK(top.at("kvm_kind") == "vmx");
  CHECK(top.at("stock_guests") == true);
  CHECK(top.at("checks").size() == judge_host(facts).size());
  for (const auto& line : top.at("checks")) {
    CHECK(line.at("remedy").is_null() == (line.at("status") == "ok"));
    CHECK(line.at("found").is_string());
  }
}

}  // namespace
}  // namespace stasis::cli
