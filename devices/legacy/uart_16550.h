#pragma once

#include <cstdint>
#include <mutex>
#include <span>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "devices/byte_stream.h"
#include "devices/checkpointable.h"
#include "devices/interrupts.h"
#include "devices/legacy/byte_io_handler.h"

namespace stasis::devices {

struct Uart16550State {
  static constexpr std::string_view kName = "uart_16550";
  static constexpr std::uint32_t kVersion = 1;

  std::uint16_t divisor = 12;    ///< DLL and DLM; stored only, every rate is the same here
  std::uint8_t ier = 0;          ///< interrupt enable, bits 3:0
  std::uint8_t fcr = 0;          ///< FIFO control less the self-clearing bits; 0 without FIFOs
  std::uint8_t lcr = 0;          ///< line control; bit 7 is DLAB
  std::uint8_t mcr = 0;          ///< modem control, bits 4:0
  std::uint8_t scr = 0;          ///< scratch
  std::uint8_t msr_deltas = 0;   ///< modem status bits 3:0: changes since it was read
  bool overrun = false;          ///< LSR bit 1
  bool thre_pending = false;     ///< "transmitter empty" not yet told by IIR or undone by a write
  std::vector<std::uint8_t> rx;  ///< received and not read, oldest first; at most Uart16550::kQueue

  bool operator==(const Uart16550State&) const = default;
  template <typename Self, typename Fields>
  static void describe(Self& self, Fields& fields) {
    auto& [a, b, c, d, e, f, g, h, i, j] = self;
    fields("divisor", a)("ier", b)("fcr", c)("lcr", d)("mcr", e)("scr", f)("msr_deltas", g)(
        "overrun", h)("thre_pending", i)("rx", j);
  }
  base::Status validate() const;
};

/// 16550A serial port (National Semiconductor PC16550D data sheet, June 1995, section 8): eight
/// byte registers. A byte is out as soon as it is written, so the transmitter is always empty and
/// the "transmitter empty" interrupt follows each write at once. Input waits in a queue of kQueue
/// bytes, deeper than the chip's 16 so that a paste costs the host fewer wake-ups; it never
/// overruns, since the sender is held back. Below the trigger level the character time-out (8.10)
/// comes at once. A terminal is always connected: DCD, DSR and CTS are on. In loopback (8.7) the
/// guest talks to itself through the 16 bytes of the real FIFO, and no input is taken. OUT2 does
/// not gate the interrupt, that was the adapter's wiring, not the chip's. Missing: parity, framing
/// and break, DMA modes, baud rate timing.
///
/// Threads: any. The line is driven inside the lock, in order, since a line calls nobody back; sink
/// and gate are called outside it. Saved: Uart16550State; the constructor drives the line to what
/// the state asks for. Not saved: sink, gate, and what the sender was told: it tries again.
class Uart16550 final : public ByteIoHandler, public ByteReceiver {
 public:
  static constexpr std::size_t kQueue = 64;
  static constexpr std::uint64_t kPorts = 8;

  using State = Uart16550State;
  struct Wiring {
    InterruptLine& irq;
    ByteSink& out;
  };

  explicit Uart16550(Wiring wiring, State state = {});

  std::string_view name() const override { return "uart0"; }
  std::size_t receive(std::span<const std::uint8_t> bytes) override;
  void set_input_gate(InputGate* gate) override;
  State save() const;

 private:
  std::uint8_t read_byte(std::uint64_t offset) override;
  void write_byte(std::uint64_t offset, std::uint8_t value) override;
  void drive_line();
  InputGate* gate_to_tell();

  const Wiring wiring_;
  mutable std::mutex mutex_;
  // Guarded by mutex_:
  State state_;
  bool line_level_ = false;
  bool sender_waits_ = false;
  InputGate* gate_ = nullptr;
};
static_assert(Checkpointable<Uart16550>);

}  // namespace stasis::devices
