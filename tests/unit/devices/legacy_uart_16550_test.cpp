#include "devices/legacy/uart_16550.h"

#include <linux/serial_reg.h>

#include <catch2/catch.hpp>
#include <memory>
#include <numeric>
#include <optional>

#include "tests/unit/devices/device_contract.h"
#include "tests/unit/devices/legacy_fakes.h"

// Section numbers are those of the PC16550D data sheet.
namespace stasis::devices {
namespace {

class FakeGate final : public InputGate {
 public:
  void room_again() override { ++calls; }
  int calls = 0;
};

struct UartBench {
  FakeLine irq;
  FakeSink sink;
  FakeGate gate;
  std::unique_ptr<Uart16550> uart = make({});

  std::unique_ptr<Uart16550> make(Uart16550State state) {
    return std::make_unique<Uart16550>(Uart16550::Wiring{irq, sink}, std::move(state));
  }
  std::uint8_t get(unsigned reg) { return in(*uart, reg); }
  void set(unsigned reg, unsigned value) { out(*uart, reg, value); }
  std::uint8_t interrupt() { return get(UART_IIR) & 0x0F; }
  std::size_t receive(const std::vector<std::uint8_t>& bytes) { return uart->receive(bytes); }
  void restore() {
    const Uart16550State saved = uart->save();
    irq = {};
    uart = make(saved);
  }
};

std::vector<std::uint8_t> counting(std::size_t size) {
  std::vector<std::uint8_t> bytes(size);
  std::iota(bytes.begin(), bytes.end(), std::uint8_t{0});
  return bytes;
}

TEST_CASE("uart: keeps the device contract") {
  UartBench bench;
  check_device_contract<Uart16550>([&](const auto& state) { return bench.make(state); },
                                   [](Uart16550& uart) {
                                     out(uart, UART_LCR, UART_LCR_DLAB);
                                     out(uart, UART_DLL, 0x34);
                                     out(uart, UART_DLM, 0x12);
                                     out(uart, UART_LCR, UART_LCR_WLEN8);
                                     out(uart, UART_FCR, 0x81);
                                     out(uart, UART_SCR, 0x77);
                                     out(uart, UART_MCR, UART_MCR_LOOP | UART_MCR_OUT1);
                                     for (int i = 0; i < 17; ++i) out(uart, UART_TX, 'x');
                                     out(uart, UART_MCR, UART_MCR_LOOP);
                                     out(uart, UART_IER, 0x0F);
                                   });
}

TEST_CASE("uart: reset values (table I)") {
  UartBench bench;
  CHECK(bench.get(UART_IER) == 0);
  CHECK(bench.get(UART_IIR) == UART_IIR_NO_INT);
  CHECK(bench.get(UART_LCR) == 0);
  CHECK(bench.get(UART_MCR) == 0);
  CHECK(bench.get(UART_LSR) == (UART_LSR_THRE | UART_LSR_TEMT));
  CHECK(bench.get(UART_MSR) == (UART_MSR_DCD | UART_MSR_DSR | UART_MSR_CTS));
  CHECK_FALSE(bench.irq.level);
}

TEST_CASE("uart: a written byte is out at once and the transmitter is empty again") {
  UartBench bench;
  bench.set(UART_TX, 'h');
  bench.set(UART_TX, 'i');
  CHECK(bench.sink.text == "hi");
  CHECK(bench.get(UART_LSR) == (UART_LSR_THRE | UART_LSR_TEMT));
}

TEST_CASE("uart: DLAB turns the first two registers into the divisor (8.2)") {
  UartBench bench;
  bench.set(UART_LCR, UART_LCR_DLAB | UART_LCR_WLEN8);
  bench.set(UART_DLL, 0x34);
  bench.set(UART_DLM, 0x12);
  CHECK(bench.get(UART_DLL) == 0x34);
  CHECK(bench.get(UART_DLM) == 0x12);
  bench.set(UART_LCR, UART_LCR_WLEN8);
  CHECK(bench.get(UART_IER) == 0);
  CHECK(bench.sink.text.empty());
}

TEST_CASE("uart: a wide access is one access a byte") {
  UartBench bench;
  bench.set(UART_LCR, UART_LCR_DLAB);
  bench.uart->write({UART_DLL, 2}, 0xABCD);
  CHECK(bench.uart->read({UART_DLL, 2}) == 0xABCD);
}

TEST_CASE("uart: only what exists of IER and MCR is kept (8.6, 8.7)") {
  UartBench bench;
  bench.set(UART_IER, 0xF0);
  bench.set(UART_MCR, 0xE0);
  bench.set(UART_SCR, 0xA5);
  CHECK(bench.get(UART_IER) == 0);
  CHECK(bench.get(UART_MCR) == 0);
  CHECK(bench.get(UART_SCR) == 0xA5);
}

TEST_CASE("uart: enabling the empty transmitter's interrupt raises it, every time (8.6)") {
  UartBench bench;
  for (int i = 0; i < 2; ++i) {
    bench.set(UART_IER, UART_IER_THRI);
    CHECK(bench.irq.level);
    CHECK(bench.interrupt() == UART_IIR_THRI);
    CHECK_FALSE(bench.irq.level);
    CHECK(bench.interrupt() == UART_IIR_NO_INT);
    bench.set(UART_IER, 0);
  }
}

TEST_CASE("uart: a write that nobody waits for an IIR read of still makes an edge (8.5)") {
  UartBench bench;
  bench.set(UART_IER, UART_IER_THRI);
  const int rises = bench.irq.rises;
  bench.set(UART_TX, 'a');
  CHECK(bench.irq.rises == rises + 1);
  CHECK(bench.irq.level);
}

TEST_CASE("uart: saved between the write and its interrupt, it still interrupts (T52)") {
  UartBench bench;
  bench.set(UART_IER, UART_IER_THRI);
  bench.interrupt();
  bench.set(UART_TX, 'a');
  bench.restore();
  CHECK(bench.irq.level);
  CHECK(bench.interrupt() == UART_IIR_THRI);
  CHECK_FALSE(bench.irq.level);
}

TEST_CASE("uart: restored at rest, it drives the line low") {
  UartBench bench;
  bench.set(UART_IER, UART_IER_RDI);
  bench.restore();
  CHECK(bench.irq.calls == 1);
  CHECK_FALSE(bench.irq.level);
}

TEST_CASE("uart: output with interrupts off does not touch the line") {
  UartBench bench;
  const int calls = bench.irq.calls;
  bench.set(UART_TX, 'a');
  CHECK(bench.irq.calls == calls);
}

TEST_CASE("uart: input is read in order, with data ready until the last byte (8.3)") {
  UartBench bench;
  bench.set(UART_FCR, UART_FCR_ENABLE_FIFO);
  REQUIRE(bench.receive({'a', 'b'}) == 2);
  CHECK((bench.get(UART_LSR) & UART_LSR_DR) != 0);
  CHECK(bench.get(UART_RX) == 'a');
  CHECK(bench.get(UART_RX) == 'b');
  CHECK((bench.get(UART_LSR) & UART_LSR_DR) == 0);
  CHECK(bench.get(UART_RX) == 0);
}

TEST_CASE("uart: below the trigger level input is told by the time-out (8.4, 8.10)") {
  UartBench bench;
  bench.set(UART_FCR, UART_FCR_ENABLE_FIFO | UART_FCR_TRIGGER_8);
  bench.set(UART_IER, UART_IER_RDI);
  bench.receive(counting(7));
  CHECK(bench.irq.level);
  CHECK(bench.get(UART_IIR) == (0xC0 | UART_IIR_RX_TIMEOUT));
  bench.receive({7});
  CHECK(bench.get(UART_IIR) == (0xC0 | UART_IIR_RDI));
  for (int i = 0; i < 8; ++i) bench.get(UART_RX);
  CHECK_FALSE(bench.irq.level);
  CHECK(bench.get(UART_IIR) == (0xC0 | UART_IIR_NO_INT));
}

TEST_CASE("uart: received data hides the transmitter's interrupt, reading IIR keeps it (8.5)") {
  UartBench bench;
  bench.set(UART_IER, UART_IER_RDI | UART_IER_THRI);
  bench.receive({'a'});
  CHECK(bench.interrupt() == UART_IIR_RDI);
  bench.get(UART_RX);
  CHECK(bench.interrupt() == UART_IIR_THRI);
}

TEST_CASE("uart: without FIFOs one byte waits, with them a queue") {
  UartBench bench;
  CHECK(bench.receive({'a', 'b'}) == 1);
  bench.set(UART_FCR, UART_FCR_ENABLE_FIFO);
  CHECK(bench.receive(counting(100)) == Uart16550::kQueue);
  CHECK(bench.receive({'a'}) == 0);
}

TEST_CASE("uart: the sender hears once when half of the queue is free") {
  UartBench bench;
  bench.uart->set_input_gate(&bench.gate);
  bench.set(UART_FCR, UART_FCR_ENABLE_FIFO);
  bench.receive(counting(Uart16550::kQueue + 1));
  for (std::size_t i = 0; i < Uart16550::kQueue / 2 - 1; ++i) bench.get(UART_RX);
  CHECK(bench.gate.calls == 0);
  bench.get(UART_RX);
  CHECK(bench.gate.calls == 1);
  bench.get(UART_RX);
  CHECK(bench.gate.calls == 1);
}

TEST_CASE("uart: a sender that was never held back hears nothing") {
  UartBench bench;
  bench.uart->set_input_gate(&bench.gate);
  bench.receive({'a'});
  bench.get(UART_RX);
  CHECK(bench.gate.calls == 0);
}

TEST_CASE("uart: the gate may send from within its call") {
  struct Refill final : InputGate {
    void room_again() override { taken += uart->receive(counting(1)); }
    Uart16550* uart = nullptr;
    std::size_t taken = 0;
  } refill;
  UartBench bench;
  refill.uart = bench.uart.get();
  bench.uart->set_input_gate(&refill);
  bench.receive({'a', 'b'});
  bench.get(UART_RX);
  CHECK(refill.taken == 1);
}

TEST_CASE("uart: FCR empties the receiver and lets the sender go on (8.4)") {
  UartBench bench;
  bench.uart->set_input_gate(&bench.gate);
  bench.set(UART_FCR, UART_FCR_ENABLE_FIFO);
  bench.receive(counting(100));
  SECTION("by the clear bit") {
    bench.set(UART_FCR, UART_FCR_ENABLE_FIFO | UART_FCR_CLEAR_RCVR);
  }
  SECTION("by turning the FIFOs off") {
    bench.set(UART_FCR, 0);
  }
  CHECK((bench.get(UART_LSR) & UART_LSR_DR) == 0);
  CHECK(bench.gate.calls == 1);
}

TEST_CASE("uart: FCR without its enable bit programs nothing (8.4)") {
  UartBench bench;
  bench.set(UART_FCR, UART_FCR_TRIGGER_14 | UART_FCR_CLEAR_RCVR);
  CHECK(bench.get(UART_IIR) == UART_IIR_NO_INT);
  CHECK(bench.uart->save().fcr == 0);
}

TEST_CASE("uart: loopback connects the modem lines, as Linux probes it (8.7)") {
  UartBench bench;
  bench.set(UART_MCR, UART_MCR_LOOP | UART_MCR_OUT2 | UART_MCR_RTS);
  CHECK((bench.get(UART_MSR) & 0xF0) == (UART_MSR_DCD | UART_MSR_CTS));
  bench.set(UART_MCR, UART_MCR_LOOP | UART_MCR_OUT1 | UART_MCR_DTR);
  CHECK((bench.get(UART_MSR) & 0xF0) == (UART_MSR_RI | UART_MSR_DSR));
}

TEST_CASE("uart: modem status changes are told once (8.8)") {
  UartBench bench;
  bench.set(UART_IER, UART_IER_MSI);
  bench.set(UART_MCR, UART_MCR_LOOP | UART_MCR_OUT1);
  CHECK(bench.irq.level);
  CHECK(bench.interrupt() == UART_IIR_MSI);
  CHECK((bench.get(UART_MSR) & 0x0F) == (UART_MSR_DCTS | UART_MSR_DDSR | UART_MSR_DDCD));
  CHECK_FALSE(bench.irq.level);
  bench.set(UART_MCR, UART_MCR_LOOP);
  CHECK((bench.get(UART_MSR) & 0x0F) == UART_MSR_TERI);
  CHECK((bench.get(UART_MSR) & 0x0F) == 0);
}

TEST_CASE("uart: loopback returns bytes to the guest and takes none from outside (8.7)") {
  UartBench bench;
  bench.uart->set_input_gate(&bench.gate);
  bench.set(UART_MCR, UART_MCR_LOOP);
  bench.set(UART_TX, 'x');
  CHECK(bench.sink.text.empty());
  CHECK(bench.get(UART_RX) == 'x');
  CHECK(bench.receive({'a'}) == 0);
  bench.set(UART_MCR, 0);
  CHECK(bench.gate.calls == 1);
}

TEST_CASE("uart: looped back with FIFOs, 16 bytes fit and the 17th is lost (8.3)") {
  UartBench bench;
  bench.set(UART_FCR, UART_FCR_ENABLE_FIFO);
  bench.set(UART_IER, UART_IER_RLSI);
  bench.set(UART_MCR, UART_MCR_LOOP);
  for (unsigned i = 0; i < 17; ++i) bench.set(UART_TX, i);
  CHECK(bench.interrupt() == UART_IIR_RLSI);
  CHECK((bench.get(UART_LSR) & UART_LSR_OE) != 0);
  CHECK((bench.get(UART_LSR) & UART_LSR_OE) == 0);
  CHECK(bench.uart->save().rx == counting(16));
}

TEST_CASE("uart: looped back without FIFOs, the newer byte wins (8.3)") {
  UartBench bench;
  bench.set(UART_MCR, UART_MCR_LOOP);
  bench.set(UART_TX, 'a');
  bench.set(UART_TX, 'b');
  CHECK((bench.get(UART_LSR) & UART_LSR_OE) != 0);
  CHECK(bench.get(UART_RX) == 'b');
}

TEST_CASE("uart: a state that no chip can be in is refused by field") {
  const auto refusal = [](const auto& change) {
    Uart16550State state;
    change(state);
    const auto decoded = base::decode_state<Uart16550State>(base::encode_state(state));
    return decoded ? std::string() : decoded.error().message();
  };
  CHECK_THAT(refusal([](auto& s) { s.ier = 0x10; }), Catch::Contains("ier"));
  CHECK_THAT(refusal([](auto& s) { s.fcr = 0x40; }), Catch::Contains("fcr"));
  CHECK_THAT(refusal([](auto& s) { s.mcr = 0x20; }), Catch::Contains("mcr"));
  CHECK_THAT(refusal([](auto& s) { s.msr_deltas = 0x10; }), Catch::Contains("msr_deltas"));
  CHECK_THAT(refusal([](auto& s) { s.rx = {1, 2}; }), Catch::Contains("rx: 2 bytes, at most 1"));
}

}  // namespace
}  // namespace stasis::devices
