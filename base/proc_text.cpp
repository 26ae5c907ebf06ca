#include "base/proc_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <fstream>
#include <iterator>
#include <system_error>

namespace stasis::base {

std::string read_proc(const char* path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

std::optional<std::uint64_t> proc_bytes(std::string_view text, std::string_view name) {
  const std::string line = fmt::format("\n{}:", name);
  if (!text.starts_with(std::string_view(line).substr(1))) {
    const auto start = text.find(line);
    if (start == std::string_view::npos) return std::nullopt;
    text.remove_prefix(start + 1);
  }
  text.remove_prefix(line.size() - 1);
  text.remove_prefix(std::min(text.find_first_not_of(" \t"), text.size()));
  std::uint64_t kilobytes = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), kilobytes);
  if (error != std::errc{}) return std::nullopt;
  return kilobytes << 10;
}

}  // namespace stasis::base
