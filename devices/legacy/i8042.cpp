#include "devices/legacy/i8042.h"

#include <fmt/format.h>

namespace stasis::devices {

namespace {

// Status register, port 0x64
constexpr std::uint8_t kOutputFull = 0x01;
constexpr std::uint8_t kSystemFlag = 0x04;
constexpr std::uint8_t kLastWasCommand = 0x08;
constexpr std::uint8_t kNotLocked = 0x10;

// Commands, port 0x64
constexpr std::uint8_t kReadCommandByte = 0x20;
constexpr std::uint8_t kWriteCommandByte = 0x60;
constexpr std::uint8_t kDisableAux = 0xA7;
constexpr std::uint8_t kEnableAux = 0xA8;
constexpr std::uint8_t kTestAux = 0xA9;
constexpr std::uint8_t kSelfTest = 0xAA;
constexpr std::uint8_t kTestKeyboard = 0xAB;
constexpr std::uint8_t kDisableKeyboard = 0xAD;
constexpr std::uint8_t kEnableKeyboard = 0xAE;
constexpr std::uint8_t kReadInputPort = 0xC0;
constexpr std::uint8_t kReadOutputPort = 0xD0;
constexpr std::uint8_t kWriteOutputPort = 0xD1;
constexpr std::uint8_t kLoopKeyboard = 0xD2;
constexpr std::uint8_t kLoopAux = 0xD3;
constexpr std::uint8_t kWriteAux = 0xD4;
constexpr std::uint8_t kPulse = 0xF0;  // 0xF0..0xFF; a zero bit pulses that output

constexpr std::uint8_t kSelfTestPassed = 0x55;
constexpr std::uint8_t kAuxClockStuck = 0x01;
constexpr std::uint8_t kInputPortNotLocked = 0x80;

constexpr std::uint8_t kKeyboardDisabled = 0x10;
constexpr std::uint8_t kAuxDisabled = 0x20;
constexpr std::uint8_t kNotInReset = 0x01;

bool takes_parameter(std::uint8_t command) {
  switch (command) {
    case kWriteCommandByte:
    case kWriteOutputPort:
    case kLoopKeyboard:
    case kLoopAux:
    case kWriteAux:
      return true;
    default:
      return false;
  }
}

void answer(I8042State& state, std::uint8_t value) {
  state.output_buffer = value;
  state.output_full = true;
}

void set_bits(std::uint8_t& reg, std::uint8_t bits, bool on) {
  reg = static_cast<std::uint8_t>(on ? reg | bits : reg & ~bits);
}

void self_test(I8042State& state) {
  state.self_tested = true;
  set_bits(state.command_byte, kKeyboardDisabled | kAuxDisabled, true);
  answer(state, kSelfTestPassed);
}

/// Commands without a parameter. Unknown ones do nothing.
void run_command(I8042State& state, std::uint8_t command) {
  switch (command) {
    case kReadCommandByte:
      return answer(state, state.command_byte);
    case kSelfTest:
      return self_test(state);
    case kTestKeyboard:
      return answer(state, 0);
    case kTestAux:
      return answer(state, kAuxClockStuck);  // no port; silence would cost the guest a time-out
    case kDisableKeyboard:
    case kEnableKeyboard:
      return set_bits(state.command_byte, kKeyboardDisabled, command == kDisableKeyboard);
    case kDisableAux:
    case kEnableAux:
      return set_bits(state.command_byte, kAuxDisabled, command == kDisableAux);
    case kReadInputPort:
      return answer(state, kInputPortNotLocked);
    case kReadOutputPort:
      return answer(state, state.output_port);
    default:
      return;
  }
}

void run_with_parameter(I8042State& state, std::uint8_t command, std::uint8_t value) {
  switch (command) {
    case kWriteCommandByte:
      state.command_byte = value;
      return;
    case kWriteOutputPort:
      state.output_port = value | kNotInReset;  // a reset ends by itself
      return;
    case kLoopKeyboard:
    case kLoopAux:  // comes back without the auxiliary flag: there is no auxiliary port
      return answer(state, value);
    default:  // kWriteAux: nobody there
      return;
  }
}

/// What both kinds of write to the chip do; true when it resets the machine.
bool write_command(I8042State& state, std::uint8_t command) {
  state.last_was_command = true;
  state.awaiting = takes_parameter(command) ? command : std::uint8_t{0};
  if (command >= kPulse) return (command & kNotInReset) == 0;
  if (state.awaiting == 0) run_command(state, command);
  return false;
}

bool write_data(I8042State& state, std::uint8_t value) {
  state.last_was_command = false;
  const std::uint8_t command = state.awaiting;
  state.awaiting = 0;
  run_with_parameter(state, command, value);
  return command == kWriteOutputPort && (value & kNotInReset) == 0;
}

std::uint8_t status(const I8042State& state) {
  return static_cast<std::uint8_t>(kNotLocked | (state.output_full ? kOutputFull : 0) |
                                   (state.self_tested ? kSystemFlag : 0) |
                                   (state.last_was_command ? kLastWasCommand : 0));
}

}  // namespace

base::Status I8042State::validate() const {
  if (awaiting == 0 || takes_parameter(awaiting)) return {};
  return base::fail(base::ErrorKind::kCorrupt,
                    fmt::format("awaiting: command {:#04x} takes no parameter", awaiting));
}

I8042::I8042(Wiring wiring, State state) : wiring_(wiring), state_(state) {
  if (state_.reset_requested) wiring_.events.reset_requested();
}

I8042::State I8042::save() const {
  const std::lock_guard lock(mutex_);
  return state_;
}

std::uint8_t I8042::read(bool is_command) {
  const std::lock_guard lock(mutex_);
  if (is_command) return status(state_);
  state_.output_full = false;
  return state_.output_buffer;
}

void I8042::write(bool is_command, std::uint8_t value) {
  {
    const std::lock_guard lock(mutex_);
    const bool resets = is_command ? write_command(state_, value) : write_data(state_, value);
    if (!resets) return;
    state_.reset_requested = true;
  }
  wiring_.events.reset_requested();
}

std::uint8_t I8042::Port::read_byte(std::uint64_t /*offset*/) {
  return chip_.read(is_command_);
}

void I8042::Port::write_byte(std::uint64_t /*offset*/, std::uint8_t value) {
  chip_.write(is_command_, value);
}

}  // namespace stasis::devices
