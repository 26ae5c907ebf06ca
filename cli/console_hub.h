#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "base/fd.h"
#include "base/result.h"
#include "cli/host_console.h"
#include "cli/input_relay.h"
#include "cli/rotating_log.h"
#include "devices/byte_stream.h"
#include "devices/console/buffered_output.h"
#include "devices/event_loop.h"
#include "devices/loop_task.h"
#include "snapshot/vm_directory.h"

namespace stasis::cli {

/// The console of a named machine: what the guest prints goes to its log, to the terminal in front
/// of which the machine runs, if there is one, and to all who are attached; what any of those types
/// goes to the guest. Who attaches is shown the last `kReplay` bytes first.
///
/// The protocol of the socket is none: bytes of the guest one way, keys the other way, end of file
/// when the machine's process is done.
/// Threads: one controlling thread; `write` from any.
class ConsoleHub final : public devices::ByteSink, private devices::InputGate {
 public:
  static constexpr std::size_t kReplay = 32 * 1024;
  static constexpr std::size_t kMaxViewers = 32;

  /// Opens the log, and the further file that `config` may name.
  static base::Result<std::unique_ptr<ConsoleHub>> open(const snapshot::VmDirectory& directory,
                                                        const vmm::ConsoleConfig& config);

  ConsoleHub(const ConsoleHub&) = delete;
  ConsoleHub& operator=(const ConsoleHub&) = delete;
  ~ConsoleHub() override;

  void write(std::span<const std::uint8_t> bytes) override;

  /// Where the machine of the moment takes what is typed.
  InputRelay& input() { return relay_; }

  /// Makes `front` one of its places. It must live until `remove_front`.
  void add_front(HostConsole& front);
  void remove_front();

  /// Others can attach from now on.
  base::Status listen();

  /// While it is off, all who are attached, or attach, see the end after what there is to show.
  void set_on(bool is_on);

 private:
  /// What the front types takes the way of all others.
  class FrontInput final : public devices::ByteReceiver {
   public:
    explicit FrontInput(ConsoleHub& hub) : hub_(hub) {}
    std::size_t receive(std::span<const std::uint8_t> bytes) override {
      return hub_.relay_.receive(bytes);
    }
    void set_input_gate(devices::InputGate* gate) override { hub_.front_gate_ = gate; }

   private:
    ConsoleHub& hub_;
  };

  struct Viewer {
    base::Fd connection;
    std::unique_ptr<devices::BufferedOutput> output;
    std::vector<std::uint8_t> undelivered;
  };

  ConsoleHub(std::string socket_path, std::unique_ptr<devices::EventLoop> loop,
             std::unique_ptr<RotatingLog> log);
  void room_again() override;
  void accept_viewer();
  void add_viewer(base::Fd connection);
  void read_from(Viewer& viewer);
  void deliver(Viewer& viewer);
  void watch(Viewer& viewer);
  void drop(Viewer& viewer);
  void end_viewers();
  void drop_gone_viewers();

  const std::string socket_path_;
  const std::unique_ptr<devices::EventLoop> loop_;
  InputRelay relay_;
  FrontInput front_input_{*this};
  std::atomic<devices::InputGate*> front_gate_{nullptr};
  base::Fd listener_;
  std::mutex mutex_;  // guards the four below
  std::unique_ptr<RotatingLog> log_;
  std::unique_ptr<devices::ByteSink> file_;
  devices::ByteSink* front_ = nullptr;
  std::vector<std::uint8_t> replay_;
  std::vector<std::unique_ptr<Viewer>> viewers_;  // changed on the loop's thread, under mutex_
  bool is_on_ = true;                             // loop's thread only
  HostConsole* front_console_ = nullptr;
  devices::LoopTask room_;
};

}  // namespace stasis::cli
