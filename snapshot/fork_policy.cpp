#include "snapshot/fork_policy.h"

#include <fmt/format.h>

#include <charconv>
#include <fstream>
#include <iterator>

namespace stasis::snapshot {
namespace {

std::string read_text(const char* path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

/// Bytes behind "`name`:" in /proc/meminfo (proc(5)), which counts in kB.
std::optional<std::uint64_t> meminfo_value(std::string_view meminfo, std::string_view name) {
  const auto start = meminfo.find(fmt::format("{}:", name));
  if (start == std::string_view::npos) return std::nullopt;
  auto rest = meminfo.substr(start + name.size() + 1);
  rest.remove_prefix(std::min(rest.find_first_not_of(' '), rest.size()));
  std::uint64_t kilobytes = 0;
  const auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), kilobytes);
  if (error != std::errc{}) return std::nullopt;
  return kilobytes << 10;
}

}  // namespace

std::optional<std::string> why_fork_would_fail(std::uint64_t ram_bytes) {
  return why_fork_would_fail(ram_bytes, read_text("/proc/sys/vm/overcommit_memory"),
                             read_text("/proc/meminfo"));
}

std::optional<std::string> why_fork_would_fail(std::uint64_t ram_bytes, std::string_view policy,
                                               std::string_view meminfo) {
  if (!policy.starts_with('2')) return std::nullopt;
  const auto limit = meminfo_value(meminfo, "CommitLimit");
  const auto used = meminfo_value(meminfo, "Committed_AS");
  if (!limit || !used) return std::nullopt;
  const std::uint64_t left = *limit > *used ? *limit - *used : 0;
  if (ram_bytes <= left) return std::nullopt;
  return fmt::format(
      "engine fork: the host may promise {} MiB more memory, the guest's {} MiB need as much "
      "again; "
      "allow more with: sysctl vm.overcommit_memory=1, or use the engine stop-and-copy",
      left >> 20, ram_bytes >> 20);
}

}  // namespace stasis::snapshot
