#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace stasis::devices {

/// What the person at the console wants of the VM itself. Threads: the console's event loop.
class ConsoleActions {
 public:
  virtual ~ConsoleActions() = default;
  virtual void quit() = 0;       ///< Ctrl-] x
  virtual void show_help() = 0;  ///< Ctrl-] ?

  /// The shell gave the terminal back ("fg"): raw mode has to be set again.
  virtual void terminal_regained() {}
};

/// Takes the escape key's commands out of what is typed. Ctrl-] twice stands for one; with any
/// other key both pass, so that a mistyped command loses nothing.
class EscapeFilter {
 public:
  static constexpr std::uint8_t kEscape = 0x1D;  // Ctrl-]
  static constexpr std::string_view kHelp =
      "Ctrl-] x   end the VM at once\n"
      "Ctrl-] ?   this help\n"
      "Ctrl-] Ctrl-]   send Ctrl-] to the guest\n";

  explicit EscapeFilter(ConsoleActions& actions) : actions_(actions) {}

  /// What of `typed` is for the guest. Calls the actions on the way.
  std::vector<std::uint8_t> filter(std::span<const std::uint8_t> typed);

 private:
  void after_escape(std::uint8_t key, std::vector<std::uint8_t>& out);

  ConsoleActions& actions_;
  bool escaped_ = false;
};

}  // namespace stasis::devices
