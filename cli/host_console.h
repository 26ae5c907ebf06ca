#pragma once

#include <memory>
#include <string_view>

#include "base/fd.h"
#include "base/result.h"
#include "cli/input_relay.h"
#include "devices/console/escape_filter.h"
#include "devices/console/stdio_console.h"
#include "devices/console/terminal_mode.h"
#include "devices/event_loop.h"
#include "vmm/machine_config.h"

namespace stasis::cli {

/// The host's side of a guest's console: standard input and output, a file, or nothing. A terminal
/// is in raw mode from `open` to `end`, and is put back before a fatal signal kills.
/// Threads: one controlling thread. One object at a time has a terminal.
class HostConsole final : private devices::ConsoleActions {
 public:
  /// Errors name the file.
  static base::Result<std::unique_ptr<HostConsole>> open(const vmm::ConsoleConfig& config);

  HostConsole(const HostConsole&) = delete;
  HostConsole& operator=(const HostConsole&) = delete;
  ~HostConsole() override;

  /// Where a machine prints. Valid as long as this.
  devices::ByteSink& output() { return *output_; }

  /// Where a machine's input comes from.
  InputRelay& input() { return relay_; }

  /// Input from now on; again has no effect.
  void start();

  /// Whether the user sits at it: standard input is a terminal and in use.
  bool is_terminal() const { return terminal_ != nullptr; }

  /// Readable once the user has typed Ctrl-] x.
  const base::Fd& quit_event() const { return quit_; }

  /// Input ends and the terminal is as before. What a machine still prints comes out at the latest
  /// with the destructor.
  void end();

 private:
  explicit HostConsole(base::Fd quit) : quit_(std::move(quit)) {}
  base::Status open_stdio();
  base::Status open_file(const std::string& path);

  void quit() override;
  void show_help() override;
  void terminal_regained() override;

  const base::Fd quit_;
  InputRelay relay_;
  std::unique_ptr<devices::EventLoop> loop_;
  std::unique_ptr<devices::TerminalMode> terminal_;
  std::unique_ptr<devices::StdioConsole> stdio_;
  std::unique_ptr<devices::ByteSink> other_;
  devices::ByteSink* output_ = nullptr;
  bool is_started_ = false;
};

}  // namespace stasis::cli
