#include "cli/input_relay.h"

namespace stasis::cli {

void InputRelay::attach(devices::ByteReceiver& receiver) {
  const std::lock_guard lock(mutex_);
  receiver_ = &receiver;
  receiver.set_input_gate(gate_);
  if (gate_ != nullptr) gate_->room_again();
}

void InputRelay::detach() {
  const std::lock_guard lock(mutex_);
  if (receiver_ != nullptr) receiver_->set_input_gate(nullptr);
  receiver_ = nullptr;
}

std::size_t InputRelay::receive(std::span<const std::uint8_t> bytes) {
  const std::lock_guard lock(mutex_);
  return receiver_ == nullptr ? 0 : receiver_->receive(bytes);
}

void InputRelay::set_input_gate(devices::InputGate* gate) {
  const std::lock_guard lock(mutex_);
  gate_ = gate;
  if (receiver_ != nullptr) receiver_->set_input_gate(gate);
}

}  // namespace stasis::cli
