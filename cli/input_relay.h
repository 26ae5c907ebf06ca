#pragma once

#include <mutex>

#include "devices/byte_stream.h"
#include "snapshot/machine_runner.h"

namespace stasis::cli {

/// Hands input to the machine of the moment: the host's side of a console outlives the machines
/// that a rebooting guest goes through. Without a machine it takes nothing, so that nothing typed
/// is lost. Threads: any.
class InputRelay final : public devices::ByteReceiver, public snapshot::ConsoleInput {
 public:
  /// From now on to `receiver`, which must live until `detach`.
  void attach(devices::ByteReceiver& receiver) override;

  /// On return the receiver is not being called and never will be.
  void detach() override;

  std::size_t receive(std::span<const std::uint8_t> bytes) override;
  void set_input_gate(devices::InputGate* gate) override;

 private:
  std::mutex mutex_;  // taken before the receiver's own lock
  devices::ByteReceiver* receiver_ = nullptr;
  devices::InputGate* gate_ = nullptr;
};

}  // namespace stasis::cli
