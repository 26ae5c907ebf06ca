#include "cli/progress.h"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>

#include "cli/size_text.h"

namespace stasis::cli {
namespace {

constexpr std::chrono::milliseconds kBetweenLines{100};

std::size_t terminal_columns() {
  winsize size{};
  constexpr std::size_t kUsual = 80;
  if (::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0) return kUsual;
  return size.ws_col;
}

}  // namespace

base::Result<Progress> Progress::begin(std::string what) {
  Signals signals = TRY(Signals::take_over());
  return Progress(std::move(what), std::move(signals), ::isatty(STDERR_FILENO) == 1);
}

Progress::Progress(Progress&& other) noexcept
    : what_(std::move(other.what_)),
      signals_(std::move(other.signals_)),
      is_shown_(std::exchange(other.is_shown_, false)) {}

Progress::~Progress() {
  if (is_shown_) show("");
}

/// Replaces the line of the terminal.
void Progress::show(const std::string& line) const {
  const std::string text = "\r\x1B[K" + line;
  if (::write(STDERR_FILENO, text.data(), text.size()) < 0) return;  // nobody looks
}

void Progress::progressed(std::uint64_t done_bytes, std::uint64_t total_bytes) {
  if (!is_shown_) return;
  const std::lock_guard lock(mutex_);
  const auto now = std::chrono::steady_clock::now();
  if (now - last_ < kBetweenLines) return;
  last_ = now;
  show(progress_line(what_, done_bytes, total_bytes, terminal_columns()));
}

bool Progress::is_cancelled() const {
  const auto number = signals_.next();
  if (number && *number != SIGPWR) {
    is_cancelled_ = true;
    signals_.give_back();
  }
  return is_cancelled_;
}

void Progress::committing() {
  if (is_shown_) show(what_ + ": writing it down");
}

std::string progress_line(const std::string& what, std::uint64_t done_bytes,
                          std::uint64_t total_bytes, std::size_t columns) {
  constexpr std::size_t kBar = 30;
  constexpr std::uint64_t kWhole = 100;
  const std::uint64_t done = std::min(done_bytes, total_bytes);
  const std::uint64_t percent =
      total_bytes == 0 ? 0
                       : static_cast<std::uint64_t>(static_cast<double>(done) /
                                                    static_cast<double>(total_bytes) * kWhole);
  const std::size_t filled = kBar * percent / kWhole;
  const std::string line = fmt::format("{}  [{}{}] {:3}%  {} of {}", what, std::string(filled, '#'),
                                       std::string(kBar - filled, '.'), percent, format_size(done),
                                       format_size(total_bytes));
  return line.substr(0, columns - 1);
}

}  // namespace stasis::cli
