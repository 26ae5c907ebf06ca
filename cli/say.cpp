#include "cli/say.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>

namespace stasis::cli {
namespace {

bool write_all(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t count = ::write(fd, text.data(), text.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return false;
    text.remove_prefix(static_cast<std::size_t>(count));
  }
  return true;
}

}  // namespace

void say(std::string_view text) {
  write_all(STDERR_FILENO, fmt::format("stasis: {}\n", text));
}

void say_crash(std::string_view name, std::string_view detail) {
  say(fmt::format("{}: the last run crashed: {}", name, detail));
}

ExitCode say_usage_error(const base::Error& error) {
  say(error.message());
  return ExitCode::kUsage;
}

bool print(std::string_view text) {
  return write_all(STDOUT_FILENO, text);
}

}  // namespace stasis::cli
