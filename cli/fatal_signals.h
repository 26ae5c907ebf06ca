#pragma once

#include "base/fd.h"
#include "devices/console/terminal_mode.h"

namespace stasis::cli {

/// What is done when a fatal signal (SIGSEGV, SIGABRT, SIGBUS, SIGILL, SIGFPE, SIGQUIT) kills this
/// process: the terminal is put back and a line such as "SIGSEGV at address 0x10" is left. A forked
/// child that dies so leaves no line.
/// Threads: one controlling thread calls these.

/// `terminal` is put back; null for none. It must live until it is replaced here.
void restore_at_fatal_signal(const devices::TerminalMode* terminal);

/// The line goes to `note`, which stays open as long as this process.
void leave_note_at_fatal_signal(const base::Fd& note);

}  // namespace stasis::cli
