#include "cli/doctor_checks.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <nlohmann/json.hpp>
#include <system_error>

#include "cli/size_text.h"

namespace stasis::cli {
namespace {

using vmm::HostFacts;
using vmm::KvmKind;
using vmm::UserfaultFacts;

constexpr std::uint64_t kMiB = std::uint64_t{1} << 20;

Check ok(std::string name, std::string found) {
  return {std::move(name), Health::kOk, std::move(found), ""};
}
Check warn(std::string name, std::string found, std::string remedy) {
  return {std::move(name), Health::kWarn, std::move(found), std::move(remedy)};
}
Check failed(std::string name, std::string found, std::string remedy) {
  return {std::move(name), Health::kFail, std::move(found), std::move(remedy)};
}

std::string error_text(int number) {
  return std::generic_category().message(number);
}

Check check_device(const vmm::KvmFacts& kvm) {
  const std::string name = "kvm-device";
  if (!kvm.exists) {
    return failed(name, "/dev/kvm is not there",
                  "sudo modprobe kvm_intel || sudo modprobe kvm_amd  # and switch virtualization "
                  "on in the firmware set-up");
  }
  if (kvm.open_error == EACCES || kvm.open_error == EPERM) {
    return failed(name, "/dev/kvm: permission denied",
                  "sudo usermod -aG kvm $USER  # then log in again");
  }
  if (kvm.open_error != 0) {
    return failed(name, fmt::format("/dev/kvm: {}", error_text(kvm.open_error)),
                  "sudo dmesg | grep -i kvm");
  }
  if (kvm.api_version != vmm::kKvmApiVersion) {
    return failed(
        name, fmt::format("/dev/kvm: API version {}, not {}", kvm.api_version, vmm::kKvmApiVersion),
        "ls -l /dev/kvm  # is it the KVM device?");
  }
  return ok(name, fmt::format("/dev/kvm opens, API version {}", kvm.api_version));
}

Check check_kind(KvmKind kind) {
  const std::string name = "kvm-kind";
  switch (kind) {
    case KvmKind::kVmx:
      return ok(name, "VMX: Intel VT-x");
    case KvmKind::kSvm:
      return ok(name, "SVM: AMD-V");
    case KvmKind::kEmulating:
      return failed(name,
                    "emulating: no VMX or SVM, tiny guests only; stock kernels need the lab or "
                    "another host",
                    "scripts/lab -- stasis run ...");
    case KvmKind::kNone:
      break;
  }
  return failed(name, "unknown: /dev/kvm cannot be used", "mend kvm-device first");
}

Check check_capabilities(const vmm::KvmFacts& kvm) {
  const std::string name = "kvm-capabilities";
  if (kvm.kind == KvmKind::kNone) {
    return failed(name, "unknown: /dev/kvm cannot be used", "mend kvm-device first");
  }
  if (kvm.missing_capabilities.empty()) return ok(name, "all that are needed");
  std::string list;
  for (const std::string& capability : kvm.missing_capabilities) list += " " + capability;
  return failed(name, "missing:" + list,
                "sudo apt-get install linux-image-amd64  # Linux 5.10 or newer");
}

Check check_userfault(UserfaultFacts facts) {
  const std::string name = "userfaultfd";
  switch (facts) {
    case UserfaultFacts::kUsable:
      return ok(name, "usable, with write protection and kernel-mode faults");
    case UserfaultFacts::kNoWriteProtect:
      return warn(name, "without write protection: live snapshots use fork instead",
                  "sudo apt-get install linux-image-amd64  # Linux 5.7 or newer");
    case UserfaultFacts::kForbidden:
      return warn(name,
                  "kernel-mode faults not allowed for this user: live snapshots use fork instead",
                  "sudo sysctl vm.unprivileged_userfaultfd=1  # or: sudo setfacl -m u:$USER:rw "
                  "/dev/userfaultfd");
    case UserfaultFacts::kAbsent:
      break;
  }
  return warn(name, "not in this kernel: live snapshots use fork instead",
              "sudo apt-get install linux-image-amd64");
}

Check check_huge_pages(const std::string& setting) {
  const std::string name = "huge-pages";
  if (setting == "always" || setting == "madvise") {
    return ok(name, fmt::format("transparent huge pages: {}", setting));
  }
  return warn(name,
              fmt::format("transparent huge pages: {}; guests run and are captured slower",
                          setting.empty() ? "not in this kernel" : setting),
              "echo madvise | sudo tee /sys/kernel/mm/transparent_hugepage/enabled");
}

Check check_io_uring(int error) {
  const std::string name = "io_uring";
  if (error == 0) return ok(name, "usable");
  return warn(name, fmt::format("{}: disks use pread and pwrite instead", error_text(error)),
              error == ENOSYS ? "sudo apt-get install linux-image-amd64  # Linux 5.10 or newer"
                              : "sudo sysctl kernel.io_uring_disabled=0  # in a container: allow "
                                "it in the seccomp profile");
}

Check check_libslirp(bool is_there) {
  const std::string name = "libslirp";
  if (is_there) return ok(name, "there, for --net user");
  return warn(name, "not installed: no --net user", "sudo apt-get install libslirp0");
}

Check check_folder(const vmm::StorageFacts& storage) {
  const std::string name = "state-root";
  if (!storage.is_writable) {
    return warn(
        name, fmt::format("{}: cannot be written", storage.root),
        fmt::format("sudo install -d -o $USER {}  # or: export STASIS_ROOT=FOLDER", storage.root));
  }
  if (storage.free_bytes < 1024 * kMiB) {
    return warn(name,
                fmt::format("{}: only {} free", storage.root, format_size(storage.free_bytes)),
                "export STASIS_ROOT=FOLDER  # one with more room");
  }
  return ok(name, fmt::format("{}: {} free", storage.root, format_size(storage.free_bytes)));
}

Check check_reflinks(const vmm::StorageFacts& storage) {
  const std::string name = "reflinks";
  if (storage.has_reflinks.value_or(false)) {
    return ok(name, fmt::format("{}: files share blocks", storage.existing));
  }
  const bool is_known = storage.has_reflinks.has_value();
  return warn(name,
              fmt::format("{}: {}", storage.existing,
                          is_known ? "no; copies of disks take time and space" : "not tried"),
              "export STASIS_ROOT=FOLDER  # one on XFS or Btrfs");
}

Check check_memlock(std::uint64_t limit) {
  const std::string name = "memlock";
  constexpr std::uint64_t kEnough = 64 * 1024;  // rings of kernels before 5.12 count against it
  if (limit == UINT64_MAX) return ok(name, "no limit");
  if (limit >= kEnough) return ok(name, format_size(limit));
  return warn(name, fmt::format("{}: too little for io_uring on older kernels", format_size(limit)),
              "ulimit -l 8192");
}

Check check_memory(const HostFacts& facts) {
  const std::string name = "memory";
  const std::string found = fmt::format("{} of {} available", format_size(facts.available_bytes),
                                        format_size(facts.memory_bytes));
  if (facts.available_bytes >= 512 * kMiB) return ok(name, found);
  return warn(name, found, "ps aux --sort=-rss | head  # and end what is not needed");
}

std::string_view status_name(Health health) {
  switch (health) {
    case Health::kOk:
      return "ok";
    case Health::kWarn:
      return "warn";
    case Health::kFail:
      break;
  }
  return "fail";
}

/// The status as the text shows it, padded, in green, yellow or red.
std::string status_cell(Health health, bool with_colour) {
  const std::string_view word = health == Health::kFail ? "FAIL" : status_name(health);
  const int colour = health == Health::kOk ? 32 : health == Health::kWarn ? 33 : 31;
  if (!with_colour) return fmt::format("{:<4}", word);
  return fmt::format("\x1b[{}m{:<4}\x1b[0m", colour, word);
}

}  // namespace

std::vector<Check> judge_host(const HostFacts& facts) {
  return {
      check_device(facts.kvm),
      check_kind(facts.kvm.kind),
      check_capabilities(facts.kvm),
      check_memory(facts),
      check_huge_pages(facts.huge_pages),
      check_userfault(facts.userfault),
      check_io_uring(facts.io_uring_error),
      check_memlock(facts.memlock_bytes),
      check_libslirp(facts.has_libslirp),
      check_folder(facts.storage),
      check_reflinks(facts.storage),
  };
}

bool is_fit(const std::vector<Check>& checks) {
  return std::none_of(checks.begin(), checks.end(),
                      [](const Check& check) { return check.health == Health::kFail; });
}

std::string kind_name(KvmKind kind) {
  switch (kind) {
    case KvmKind::kVmx:
      return "vmx";
    case KvmKind::kSvm:
      return "svm";
    case KvmKind::kEmulating:
      return "emulating";
    case KvmKind::kNone:
      break;
  }
  return "none";
}

std::string doctor_text(const std::vector<Check>& checks, bool with_colour) {
  std::string text;
  for (const Check& check : checks) {
    text += fmt::format("{}  {:<16}  {}\n", status_cell(check.health, with_colour), check.name,
                        check.found);
    if (!check.remedy.empty()) text += fmt::format("{:24}try: {}\n", "", check.remedy);
  }
  return text + (is_fit(checks) ? "This host can run stock Linux guests.\n"
                                : "This host cannot run stock Linux guests.\n");
}

std::string doctor_json(const std::vector<Check>& checks, KvmKind kind) {
  nlohmann::ordered_json top = {{"schema", 1},
                                {"version", STASIS_VERSION},
                                {"kvm_kind", kind_name(kind)},
                                {"stock_guests", is_fit(checks)},
                                {"checks", nlohmann::ordered_json::array()}};
  for (const Check& check : checks) {
    nlohmann::ordered_json line = {{"name", check.name},
                                   {"status", status_name(check.health)},
                                   {"found", check.found},
                                   {"remedy", nullptr}};
    if (!check.remedy.empty()) line["remedy"] = check.remedy;
    top["checks"].push_back(line);
  }
  // Paths come from the environment and need not be UTF-8.
  return top.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + '\n';
}

}  // namespace stasis::cli
