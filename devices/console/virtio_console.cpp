#include "devices/console/virtio_console.h"

#include <fmt/format.h>
#include <linux/virtio_console.h>
#include <linux/virtio_ids.h>

#include <algorithm>
#include <array>
#include <cstddef>

#include "base/log.h"

namespace stasis::devices {
namespace {

// A request may name all of RAM many times over; drivers send a page or a few.
constexpr std::uint64_t kMaxTransmit = 1024 * 1024;
constexpr unsigned kReceiveRound =
    256;  // receive buffers between two looks at the loop's other work

}  // namespace

base::Status VirtioConsoleState::validate() const {
  if (input.size() <= kMaxInput) return {};
  return base::fail(base::ErrorKind::kCorrupt,
                    fmt::format("input: {} bytes, the limit is {}", input.size(), kMaxInput));
}

VirtioConsole::VirtioConsole(Wiring wiring, State state)
    : wiring_(wiring),
      shared_(Shared{.state = std::move(state)}),
      input_arrived_(wiring.loop, [this] { deliver_input(); }),
      transmit_(wiring.loop, kTransmitQueue,
                [this](const DescriptorChain& chain) { return transmit(chain); }) {}

VirtioConsole::State VirtioConsole::save() const {
  return shared_.with([](const Shared& shared) { return shared.state; });
}

void VirtioConsole::set_size(std::uint16_t cols, std::uint16_t rows) {
  const bool changed = shared_.with([&](Shared& shared) {
    const bool other = shared.state.cols != cols || shared.state.rows != rows;
    shared.state.cols = cols;
    shared.state.rows = rows;
    return other;
  });
  ConfigChangeNotifier* notifier = notifier_;
  if (changed && notifier != nullptr) notifier->config_changed();
}

std::uint16_t VirtioConsole::device_type() const {
  return VIRTIO_ID_CONSOLE;
}

std::uint64_t VirtioConsole::offered_features() const {
  return (1U << VIRTIO_CONSOLE_F_SIZE) | (1U << VIRTIO_CONSOLE_F_EMERG_WRITE);
}

void VirtioConsole::read_config(std::uint64_t offset, std::span<std::byte> out) {
  virtio_console_config config{};
  shared_.with([&](const Shared& shared) {
    config.cols = shared.state.cols;
    config.rows = shared.state.rows;
  });
  const auto bytes = std::as_bytes(std::span(&config, 1));
  for (std::size_t i = 0; i < out.size(); ++i) {
    const bool inside = offset < bytes.size() && i < bytes.size() - offset;
    out[i] = inside ? bytes[offset + i] : std::byte{0};
  }
}

/// Only the emergency write register does anything: it takes one character at any time, also before
/// the driver is ready (section 5.3.4).
void VirtioConsole::write_config(std::uint64_t offset, std::span<const std::byte> in) {
  if (offset != offsetof(virtio_console_config, emerg_wr) || in.empty()) return;
  const auto character = std::to_integer<std::uint8_t>(in[0]);
  wiring_.out.write({&character, 1});
}

void VirtioConsole::start(VirtioSession& session) {
  session_ = &session;
  transmit_.start(session);
  transmit_.run();
  deliver_input();
}

void VirtioConsole::stop() {
  transmit_.stop();
  session_ = nullptr;
  // what was typed for one driver is not for the next
  shared_.with([](Shared& shared) { shared.state.input.clear(); });
  open_gate();
}

void VirtioConsole::queue_kicked(unsigned queue_index) {
  if (queue_index == kTransmitQueue) {
    transmit_.run();
  } else {
    deliver_input();
  }
}

std::uint32_t VirtioConsole::transmit(const DescriptorChain& chain) {
  const std::uint64_t size = std::min(chain.readable_bytes(), kMaxTransmit);
  std::array<std::uint8_t, 1024> piece;
  std::uint64_t done = 0;
  while (done < size) {
    const auto wanted = std::min<std::uint64_t>(size - done, piece.size());
    const auto room = std::as_writable_bytes(std::span(piece).first(wanted));
    const std::size_t length = chain.read(session_->memory(), done, room);
    if (length == 0) break;
    wiring_.out.write(std::span(piece).first(length));
    done += length;
  }
  return 0;
}

std::size_t VirtioConsole::receive(std::span<const std::uint8_t> bytes) {
  const std::size_t taken = shared_.with([&](Shared& shared) {
    auto& input = shared.state.input;
    const std::size_t fits = std::min(bytes.size(), State::kMaxInput - input.size());
    input.insert(input.end(), bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(fits));
    shared.gate_waits = shared.gate_waits || fits < bytes.size();
    return fits;
  });
  if (taken > 0) input_arrived_.request();
  return taken;
}

void VirtioConsole::set_input_gate(InputGate* gate) {
  shared_.with([gate](Shared& shared) { shared.gate = gate; });
}

void VirtioConsole::deliver_input() {
  if (session_ == nullptr) return;
  VirtQueue& queue = session_->queue(kReceiveQueue);
  const auto has_input = [this] {
    return shared_.with([](const Shared& shared) { return !shared.state.input.empty(); });
  };
  unsigned filled = 0;
  // kicks stay on: a console's receive buffers come back one key at a time
  while (has_input() && filled < kReceiveRound) {
    const auto chain = queue.pop();
    if (!chain) break;
    queue.push(*chain, fill(*chain));
    ++filled;
  }
  session_->interrupt_if_needed(kReceiveQueue);
  if (filled == kReceiveRound)
    input_arrived_.request();  // a driver may offer empty buffers for ever
  open_gate();
}

/// Moves as much input into the chain as fits.
std::uint32_t VirtioConsole::fill(const DescriptorChain& chain) {
  return shared_.with([&](Shared& shared) {
    auto& input = shared.state.input;
    const std::size_t moved =
        chain.write(session_->memory(), 0, std::as_bytes(std::span(std::as_const(input))));
    input.erase(input.begin(), input.begin() + static_cast<std::ptrdiff_t>(moved));
    return static_cast<std::uint32_t>(moved);
  });
}

void VirtioConsole::open_gate() {
  InputGate* gate = shared_.with([](Shared& shared) -> InputGate* {
    if (!shared.gate_waits || shared.state.input.size() == State::kMaxInput) return nullptr;
    shared.gate_waits = false;
    return shared.gate;
  });
  if (gate != nullptr) gate->room_again();
}

}  // namespace stasis::devices
