#include "devices/virtio/queue_pump.h"

namespace stasis::devices {
namespace {

constexpr unsigned kRound = 256;  // requests between two looks at the loop's other work

}  // namespace

QueuePump::QueuePump(EventLoop& loop, unsigned queue_index, Serve serve)
    : queue_index_(queue_index), serve_(std::move(serve)), next_round_(loop, [this] { run(); }) {}

void QueuePump::run() {
  if (session_ == nullptr) return;
  VirtQueue& queue = session_->queue(queue_index_);
  const bool more = serve_round(queue);
  session_->interrupt_if_needed(queue_index_);
  if (more) next_round_.request();
}

/// True when the round was used up; nothing is lost then, as there is a next one. Looks at the ring
/// that find nothing count, too: rings laid over each other change whenever they are looked at.
bool QueuePump::serve_round(VirtQueue& queue) {
  for (unsigned work = 0; work < kRound; ++work) {
    queue.disable_kicks();
    while (const auto chain = queue.pop()) {
      queue.push(*chain, serve_(*chain));
      if (++work >= kRound) return true;
    }
    if (!queue.is_ready() || !queue.enable_kicks()) return false;
  }
  return true;
}

}  // namespace stasis::devices
