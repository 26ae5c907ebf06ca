#include "devices/legacy/uart_16550.h"

#include <fmt/format.h>
#include <linux/serial_reg.h>

#include <algorithm>
#include <array>
#include <utility>

namespace stasis::devices {

namespace {

constexpr std::size_t kChipFifo = 16;
constexpr std::uint8_t kIerBits = UART_IER_MSI | UART_IER_RLSI | UART_IER_THRI | UART_IER_RDI;
constexpr std::uint8_t kFcrKept =
    UART_FCR_ENABLE_FIFO | UART_FCR_DMA_SELECT | UART_FCR_TRIGGER_MASK;
constexpr std::uint8_t kMcrBits =
    UART_MCR_LOOP | UART_MCR_OUT2 | UART_MCR_OUT1 | UART_MCR_RTS | UART_MCR_DTR;
constexpr std::uint8_t kConnected = UART_MSR_DCD | UART_MSR_DSR | UART_MSR_CTS;
constexpr std::uint8_t kFifosEnabled = 0xC0;  // IIR bits 7:6

bool fifos_enabled(const Uart16550State& s) {
  return (s.fcr & UART_FCR_ENABLE_FIFO) != 0;
}

bool dlab(const Uart16550State& s) {
  return (s.lcr & UART_LCR_DLAB) != 0;
}

bool in_loopback(const Uart16550State& s) {
  return (s.mcr & UART_MCR_LOOP) != 0;
}

/// How many bytes from outside may wait.
std::size_t input_capacity(const Uart16550State& s) {
  if (in_loopback(s)) return 0;
  return fifos_enabled(s) ? Uart16550::kQueue : 1;
}

/// Section 8.4, table II: bytes that make a "received data" interrupt.
std::size_t trigger_level(const Uart16550State& s) {
  constexpr std::array<std::size_t, 4> kLevels{1, 4, 8, 14};
  return fifos_enabled(s) ? kLevels[s.fcr >> 6] : 1;
}

/// Modem status bits 7:4 (8.8); in loopback the modem control outputs (8.7).
std::uint8_t modem_inputs(std::uint8_t mcr) {
  if ((mcr & UART_MCR_LOOP) == 0) return kConnected;
  return static_cast<std::uint8_t>(((mcr & UART_MCR_RTS) != 0 ? UART_MSR_CTS : 0) |
                                   ((mcr & UART_MCR_DTR) != 0 ? UART_MSR_DSR : 0) |
                                   ((mcr & UART_MCR_OUT1) != 0 ? UART_MSR_RI : 0) |
                                   ((mcr & UART_MCR_OUT2) != 0 ? UART_MSR_DCD : 0));
}

/// Interrupt identification, bits 3:0 (8.5, table III): the highest of what is enabled and pending.
std::uint8_t interrupt_id(const Uart16550State& s) {
  if ((s.ier & UART_IER_RLSI) != 0 && s.overrun) return UART_IIR_RLSI;
  if ((s.ier & UART_IER_RDI) != 0 && !s.rx.empty()) {
    return s.rx.size() >= trigger_level(s) ? UART_IIR_RDI : UART_IIR_RX_TIMEOUT;
  }
  if ((s.ier & UART_IER_THRI) != 0 && s.thre_pending) return UART_IIR_THRI;
  if ((s.ier & UART_IER_MSI) != 0 && s.msr_deltas != 0) return UART_IIR_MSI;
  return UART_IIR_NO_INT;
}

std::uint8_t read_receive_buffer(Uart16550State& s) {
  if (s.rx.empty()) return 0;
  const std::uint8_t byte = s.rx.front();
  s.rx.erase(s.rx.begin());
  return byte;
}

std::uint8_t read_interrupt_id(Uart16550State& s) {
  const std::uint8_t id = interrupt_id(s);
  if (id == UART_IIR_THRI) s.thre_pending = false;
  return static_cast<std::uint8_t>(id | (fifos_enabled(s) ? kFifosEnabled : 0));
}

std::uint8_t read_line_status(Uart16550State& s) {
  return static_cast<std::uint8_t>(UART_LSR_TEMT | UART_LSR_THRE |
                                   (std::exchange(s.overrun, false) ? UART_LSR_OE : 0) |
                                   (s.rx.empty() ? 0 : UART_LSR_DR));
}

std::uint8_t read_modem_status(Uart16550State& s) {
  return static_cast<std::uint8_t>(modem_inputs(s.mcr) |
                                   std::exchange(s.msr_deltas, std::uint8_t{0}));
}

std::uint8_t read_register(Uart16550State& s, std::uint64_t offset) {
  switch (offset) {
    case UART_RX:
      return dlab(s) ? static_cast<std::uint8_t>(s.divisor) : read_receive_buffer(s);
    case UART_IER:
      return dlab(s) ? static_cast<std::uint8_t>(s.divisor >> 8) : s.ier;
    case UART_IIR:
      return read_interrupt_id(s);
    case UART_LCR:
      return s.lcr;
    case UART_MCR:
      return s.mcr;
    case UART_LSR:
      return read_line_status(s);
    case UART_MSR:
      return read_modem_status(s);
    case UART_SCR:
      return s.scr;
    default:
      return 0xFF;
  }
}

/// A byte that comes back in loopback. Overruns as in 8.3: with FIFOs the new byte is lost, without
/// the old one.
void loop_back(Uart16550State& s, std::uint8_t byte) {
  const bool full = s.rx.size() >= (fifos_enabled(s) ? kChipFifo : 1);
  if (full) s.overrun = true;
  if (full && fifos_enabled(s)) return;
  if (full) s.rx.clear();
  s.rx.push_back(byte);
}

void write_transmitter(Uart16550State& s, std::uint8_t byte) {
  if (in_loopback(s)) loop_back(s, byte);
  s.thre_pending = true;
}

/// Enabling the transmitter interrupt while it is empty raises it (8.6); guests test for that.
void write_interrupt_enable(Uart16550State& s, std::uint8_t value) {
  const bool thri_rises = (value & UART_IER_THRI) != 0 && (s.ier & UART_IER_THRI) == 0;
  if (thri_rises) s.thre_pending = true;
  s.ier = value & kIerBits;
}

/// 8.4: changing bit 0 empties the FIFOs, the other bits count only while it is set.
void write_fifo_control(Uart16550State& s, std::uint8_t value) {
  const bool enable = (value & UART_FCR_ENABLE_FIFO) != 0;
  if (enable != fifos_enabled(s) || (enable && (value & UART_FCR_CLEAR_RCVR) != 0)) s.rx.clear();
  s.fcr = enable ? value & kFcrKept : 0;
}

void write_modem_control(Uart16550State& s, std::uint8_t value) {
  const unsigned before = modem_inputs(s.mcr);
  s.mcr = value & kMcrBits;
  const unsigned after = modem_inputs(s.mcr);
  s.msr_deltas |= ((before ^ after) >> 4) & (UART_MSR_DCTS | UART_MSR_DDSR | UART_MSR_DDCD);
  if ((before & ~after & UART_MSR_RI) != 0) s.msr_deltas |= UART_MSR_TERI;
}

void write_register(Uart16550State& s, std::uint64_t offset, std::uint8_t value) {
  switch (offset) {
    case UART_TX:
      if (!dlab(s)) return write_transmitter(s, value);
      s.divisor = static_cast<std::uint16_t>((s.divisor & 0xFF00) | value);
      return;
    case UART_IER:
      if (!dlab(s)) return write_interrupt_enable(s, value);
      s.divisor = static_cast<std::uint16_t>((s.divisor & 0x00FF) | value << 8);
      return;
    case UART_FCR:
      return write_fifo_control(s, value);
    case UART_LCR:
      s.lcr = value;
      return;
    case UART_MCR:
      return write_modem_control(s, value);
    case UART_SCR:
      s.scr = value;
      return;
    default:  // line and modem status: writing them is for the factory's tests
      return;
  }
}

base::Status check_bits(std::string_view name, std::uint8_t value, std::uint8_t allowed) {
  if ((value & ~allowed) == 0) return {};
  return base::fail(base::ErrorKind::kCorrupt,
                    fmt::format("{}: {:#04x} has bits outside {:#04x}", name, value, allowed));
}

}  // namespace

base::Status Uart16550State::validate() const {
  TRY(check_bits("ier", ier, kIerBits));
  TRY(check_bits("fcr", fcr, fifos_enabled(*this) ? kFcrKept : 0));
  TRY(check_bits("mcr", mcr, kMcrBits));
  TRY(check_bits("msr_deltas", msr_deltas, UART_MSR_ANY_DELTA));
  const std::size_t limit = fifos_enabled(*this) ? Uart16550::kQueue : 1;
  if (rx.size() <= limit) return {};
  return base::fail(base::ErrorKind::kCorrupt,
                    fmt::format("rx: {} bytes, at most {} fit", rx.size(), limit));
}

Uart16550::Uart16550(Wiring wiring, State state) : wiring_(wiring), state_(std::move(state)) {
  line_level_ = interrupt_id(state_) != UART_IIR_NO_INT;
  wiring_.irq.set_level(line_level_);
}

std::size_t Uart16550::receive(std::span<const std::uint8_t> bytes) {
  const std::lock_guard lock(mutex_);
  const std::size_t capacity = input_capacity(state_);
  const std::size_t room = capacity - std::min(capacity, state_.rx.size());
  const auto taken = bytes.first(std::min(room, bytes.size()));
  state_.rx.insert(state_.rx.end(), taken.begin(), taken.end());
  sender_waits_ = taken.size() < bytes.size();
  drive_line();
  return taken.size();
}

void Uart16550::set_input_gate(InputGate* gate) {
  const std::lock_guard lock(mutex_);
  gate_ = gate;
}

Uart16550::State Uart16550::save() const {
  const std::lock_guard lock(mutex_);
  return state_;
}

std::uint8_t Uart16550::read_byte(std::uint64_t offset) {
  std::uint8_t value = 0;
  InputGate* gate = nullptr;
  {
    const std::lock_guard lock(mutex_);
    value = read_register(state_, offset);
    drive_line();
    gate = gate_to_tell();
  }
  if (gate != nullptr) gate->room_again();
  return value;
}

void Uart16550::write_byte(std::uint64_t offset, std::uint8_t value) {
  bool sends = false;
  InputGate* gate = nullptr;
  {
    const std::lock_guard lock(mutex_);
    if (offset == UART_TX && !dlab(state_)) {
      // The transmitter is full for no time at all, yet an edge-triggered input must see it.
      state_.thre_pending = false;
      drive_line();
      sends = !in_loopback(state_);
    }
    write_register(state_, offset, value);
    drive_line();
    gate = gate_to_tell();
  }
  if (sends) wiring_.out.write({&value, 1});
  if (gate != nullptr) gate->room_again();
}

void Uart16550::drive_line() {
  const bool level = interrupt_id(state_) != UART_IIR_NO_INT;
  if (level != std::exchange(line_level_, level)) wiring_.irq.set_level(level);
}

/// The gate, once, when a sender waits and at least half of the room is there.
InputGate* Uart16550::gate_to_tell() {
  const std::size_t capacity = input_capacity(state_);
  if (!sender_waits_ || capacity == 0 || state_.rx.size() > capacity / 2) return nullptr;
  sender_waits_ = false;
  return gate_;
}

}  // namespace stasis::devices
