#include "cli/run_request.h"

#include <fmt/format.h>

#include <algorithm>
#include <string>

#include "cli/bad_value.h"
#include "cli/command_line.h"
#include "cli/device_options.h"
#include "cli/size_text.h"
#include "cli/spelling.h"

namespace stasis::cli {
namespace {

using base::ErrorKind;
using base::fail;
using base::Result;
using base::Status;

constexpr OptionSpec kRunOptions[] = {
    {"kernel", "FILE", "Kernel to boot: bzImage or ELF vmlinux. Needed."},
    {"initrd", "FILE", "Initial RAM disk."},
    {"cmdline", "TEXT",
     "Kernel command line. Without a console= in it, the one of\n"
     "--console is put in front."},
    {"cpus", "N", "Virtual CPUs, 1 to 32. Default: 1."},
    {"memory", "SIZE", "Guest memory, such as 512M or 6G. Default: 256M."},
    {"cpu", "host|baseline",
     "CPU the guest sees: all the host has, or what any\n"
     "x86-64-v2 host of the same vendor has. Default: host."},
    {"disk", "FILE[,format=raw|qcow2][,backing=FILE]...[,ro][,id=ID]",
     "Disk, in the order of /dev/vda, /dev/vdb, ... Repeatable.\n"
     "backing: a file below it, base first; raw:FILE or qcow2:FILE\n"
     "says its format (the base: raw, others: qcow2).\n"
     "ro: the guest cannot write. id: serial number, at most 20\n"
     "bytes. A comma in FILE is written twice.",
     true},
    {"net", "user[,forward=tcp:H:G]...|none",
     "Network: user mode (guest 10.0.2.15, host 10.0.2.2), with\n"
     "port H of the host's 127.0.0.1 forwarded to port G of the\n"
     "guest (tcp or udp). Default: none."},
    {"console", "stdio|file=FILE|none",
     "Where the guest's console goes, and with ,device=virtio\n"
     "which device it is: serial (ttyS0, the default) or virtio\n"
     "(hvc0). Default: stdio. Leave with Ctrl-] x."},
    {"on-reboot", "restart|exit", "What a guest's reboot does. Default: restart."},
    {"name", "NAME",
     "Keeps the machine under this name, for start, snapshot and\n"
     "the like: letters, digits, . _ -. Default: it is not kept."},
    {"detach", "", "Returns when the guest runs, and prints the name."},
    {"json", "", "With --detach: prints one JSON record (docs/json.md)."},
};

/// Reads `--option` by `parse` into `target`, when it was given.
template <typename T, typename Parse>
Status read(const CommandLine& line, std::string_view option, T& target, Parse parse) {
  const std::string* text = line.value(option);
  if (text == nullptr) return {};
  auto value = parse(*text);
  if (!value) return fail(value.error().with_context(fmt::format("--{}", option)));
  target = static_cast<T>(std::move(*value));
  return {};
}

Result<std::string> parse_text(const std::string& text) {
  return text;
}

Result<std::string> parse_name(const std::string& text) {
  constexpr std::size_t kMaxName = 64;
  const auto is_allowed = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '_' || c == '-';
  };
  const auto bad = std::find_if_not(text.begin(), text.end(), is_allowed);
  if (bad != text.end()) {
    return bad_value(text, fmt::format("\"{}\" is not allowed in a name; use letters, digits, "
                                       "\".\", \"_\" and \"-\"",
                                       *bad));
  }
  if (text.size() > kMaxName) {
    return bad_value(text, fmt::format("longer than {} characters; shorten it", kMaxName));
  }
  if (text.starts_with('.') || text.starts_with('-')) {
    return bad_value(text, "begins with a dot or dash; begin with a letter or digit");
  }
  return text;
}

Result<std::uint64_t> parse_cpus(const std::string& text) {
  return parse_number(text, 1, vmm::kMaxCpus);
}

Result<std::uint64_t> parse_memory(const std::string& text, const HostLimits& host) {
  constexpr std::uint64_t kLeast = std::uint64_t{2} << 20;
  constexpr std::uint64_t kPage = 4096;
  const std::uint64_t bytes = TRY(parse_size(text));
  if (bytes < kLeast) {
    return bad_value(
        text, fmt::format("too little for any guest; give at least {}", format_size(kLeast)));
  }
  if (bytes > host.memory_bytes) {
    return bad_value(text, fmt::format("more than the {} this host has; give less",
                                       format_size(host.memory_bytes)));
  }
  if (bytes % kPage != 0) return bad_value(text, "not whole 4 KiB pages; round it, as in 512M");
  return bytes;
}

/// One of two words; anything else is refused with a hint.
template <typename T>
Result<T> parse_choice(const std::string& text, std::string_view first, T first_value,
                       std::string_view second, T second_value) {
  if (text == first) return first_value;
  if (text == second) return second_value;
  const std::string_view words[] = {first, second};
  return bad_value(text, fmt::format("unknown{}", spelling_hint(text, words)));
}

Result<vmm::CpuModel> parse_cpu_model(const std::string& text) {
  return parse_choice(text, "host", vmm::CpuModel::kHost, "baseline", vmm::CpuModel::kBaseline);
}

Result<OnReboot> parse_on_reboot(const std::string& text) {
  return parse_choice(text, "restart", OnReboot::kRestart, "exit", OnReboot::kExit);
}

Status read_machine(const CommandLine& line, const HostLimits& host, vmm::MachineConfig& machine) {
  TRY(read(line, "name", machine.name, parse_name));
  TRY(read(line, "kernel", machine.kernel, parse_text));
  TRY(read(line, "initrd", machine.initrd, parse_text));
  TRY(read(line, "cmdline", machine.cmdline, parse_text));
  TRY(read(line, "cpus", machine.cpus, parse_cpus));
  TRY(read(line, "memory", machine.memory_bytes,
           [&](const std::string& text) { return parse_memory(text, host); }));
  TRY(read(line, "cpu", machine.cpu_model, parse_cpu_model));
  TRY(read(line, "net", machine.net, parse_net));
  TRY(read(line, "console", machine.console, parse_console));
  return {};
}

Status read_manner(const CommandLine& line, RunRequest& request) {
  request.is_named = line.has("name");
  request.detaches = line.has("detach");
  if (request.detaches && !request.is_named) {
    return fail(ErrorKind::kInvalidArgument,
                "--detach: nobody could find it again; add: --name NAME");
  }
  if (line.has("json") && !request.detaches) {
    return fail(ErrorKind::kInvalidArgument, "--json: is for --detach; leave it out");
  }
  return {};
}

}  // namespace

std::span<const OptionSpec> run_options() {
  return kRunOptions;
}

Result<RunRequest> make_run_request(const CommandLine& line, const HostLimits& host) {
  RunRequest request;
  TRY(read_machine(line, host, request.machine));
  request.machine.disks = TRY(parse_disks(line.values("disk")));
  request.machine.cmdline = with_console(request.machine.cmdline, request.machine.console);
  TRY(read(line, "on-reboot", request.on_reboot, parse_on_reboot));
  TRY(read_manner(line, request));
  if (request.machine.kernel.empty()) {
    return fail(ErrorKind::kInvalidArgument, "no --kernel; add: --kernel FILE");
  }
  return request;
}

}  // namespace stasis::cli
