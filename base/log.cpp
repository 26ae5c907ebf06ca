#include "base/log.h"

#include <unistd.h>

#include <cstdlib>

#include "base/check.h"

namespace stasis::base {

void check_failed(const char* condition, const char* file, int line) {
  log::write(log::Level::kError, fmt::format("{}:{}: check failed: {}", file, line, condition));
  std::abort();
}

}  // namespace stasis::base

namespace stasis::base::log {
namespace {

constexpr std::string_view kNames[] = {"error", "warn", "info", "debug"};

Level level_from_environment() {
  const char* wanted = std::getenv("STASIS_LOG");
  if (wanted == nullptr) return Level::kWarn;
  for (unsigned i = 0; i < std::size(kNames); ++i) {
    if (kNames[i] == wanted) return static_cast<Level>(i);
  }
  return Level::kWarn;
}

}  // namespace

Level threshold() {
  static const Level kLevel = level_from_environment();
  return kLevel;
}

void write(Level level, std::string_view text) {
  const std::string line =
      fmt::format("stasis: {}: {}\n", kNames[static_cast<unsigned>(level)], text);
  // One call a line, so that lines of several threads do not mix. Nothing to do when it fails.
  [[maybe_unused]] const auto written = ::write(STDERR_FILENO, line.data(), line.size());
}

}  // namespace stasis::base::log
