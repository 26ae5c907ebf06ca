#include "cli/host_console.h"

#include <unistd.h>

#include "cli/fatal_signals.h"
#include "cli/say.h"
#include "devices/console/buffered_output.h"

namespace stasis::cli {

base::Result<std::unique_ptr<HostConsole>> HostConsole::open(const vmm::ConsoleConfig& config) {
  auto wake = TRY(base::make_eventfd());  // apart: an early return inside new would leak
  std::unique_ptr<HostConsole> console(new HostConsole(std::move(wake)));
  if (config.kind == vmm::ConsoleConfig::Kind::kNone) {
    console->other_ = std::make_unique<devices::NullOutput>();
    console->output_ = console->other_.get();
    return console;
  }
  console->loop_ = TRY(devices::EventLoop::create("console"));
  if (config.kind == vmm::ConsoleConfig::Kind::kFile) {
    TRY(console->open_file(config.file));
  } else {
    TRY(console->open_stdio());
  }
  return console;
}

base::Status HostConsole::open_file(const std::string& path) {
  other_ = TRY(devices::BufferedOutput::append_to(*loop_, path));
  output_ = other_.get();
  return {};
}

base::Status HostConsole::open_stdio() {
  const bool is_terminal = ::isatty(STDIN_FILENO) == 1;
  stdio_ = std::make_unique<devices::StdioConsole>(devices::StdioConsole::Wiring{
      *loop_, *this, STDIN_FILENO, STDOUT_FILENO, /*escape_key=*/is_terminal});
  output_ = &stdio_->output();
  if (!is_terminal) return {};
  terminal_ = TRY(devices::TerminalMode::make_raw(STDIN_FILENO));
  restore_at_fatal_signal(terminal_.get());
  return {};
}

HostConsole::~HostConsole() {
  end();
  if (terminal_) restore_at_fatal_signal(nullptr);
}

void HostConsole::start() {
  if (is_started_) return;
  is_started_ = true;
  if (stdio_) stdio_->connect(relay_);
  if (loop_) loop_->start();
}

void HostConsole::end() {
  relay_.detach();
  if (is_started_ && loop_) loop_->pause();  // nothing more is typed, or made raw again
  if (terminal_) terminal_->restore();
}

void HostConsole::quit() {
  base::signal_eventfd(quit_);
}

void HostConsole::show_help() {
  say(devices::EscapeFilter::kHelp);
}

void HostConsole::terminal_regained() {
  if (terminal_) terminal_->make_raw_again();
}

}  // namespace stasis::cli
