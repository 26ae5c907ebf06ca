#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "devices/byte_stream.h"
#include "devices/console/buffered_output.h"
#include "devices/console/escape_filter.h"
#include "devices/event_loop.h"
#include "devices/loop_task.h"

namespace stasis::devices {

/// Standard input and output (or any two descriptors) as a guest's console. Input is read when the
/// guest can take it; with the escape key somewhat further, so that a guest that hangs can be
/// ended. At end of file, or on an error, input ends and output goes on. While the process is in
/// the background of its terminal nothing is read; twice a second it looks whether it was brought
/// back. Threads: construction and destruction while the loop does not run callbacks or from any
/// thread that may wait for it; output from any.
class StdioConsole final : public InputGate, public PollHook {
 public:
  struct Wiring {
    EventLoop& loop;          ///< outlives this
    ConsoleActions& actions;  ///< outlives this
    int in = 0;               ///< borrowed
    int out = 1;              ///< borrowed
    /// Whether Ctrl-] is a command key: for terminals, where nothing else can end the VM.
    bool escape_key = true;
  };

  explicit StdioConsole(Wiring wiring);
  StdioConsole(const StdioConsole&) = delete;
  StdioConsole& operator=(const StdioConsole&) = delete;
  ~StdioConsole() override;

  ByteSink& output() { return output_; }

  /// Starts to read for `receiver`, which must outlive this. Once.
  void connect(ByteReceiver& receiver);

  void room_again() override { room_.request(); }

  void before_poll(std::vector<pollfd>& fds, int& timeout_ms) override;
  void after_poll(std::span<const pollfd> fds) override;

 private:
  enum class Input { kOpen, kInBackground, kEnded };

  bool wants_input() const;
  void read_input();
  void take_typed(std::span<const std::uint8_t> typed);
  void deliver();
  void look_for_foreground();

  const Wiring wiring_;
  ByteReceiver* receiver_ = nullptr;
  Input input_ = Input::kEnded;
  std::vector<std::uint8_t> undelivered_;  ///< read, refused by the receiver so far
  EscapeFilter filter_;
  BufferedOutput output_;
  LoopTask room_;
};

}  // namespace stasis::devices
