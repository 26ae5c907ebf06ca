#include <liburing.h>

#include <deque>

#include "base/check.h"
#include "devices/block/io_engine.h"

namespace stasis::devices {
namespace {

constexpr unsigned kDepth = 128;

// No fixed buffers: registered guest RAM would be pinned, and pinned private pages are copied at
// fork(), which makes a fork-based capture slow. No single-issuer mode: a parked loop's work is
// done by whoever parked it.
class UringEngine final : public IoEngine {
 public:
  static base::Result<std::unique_ptr<IoEngine>> create();
  ~UringEngine() override { io_uring_queue_exit(&ring_); }
  UringEngine(const UringEngine&) = delete;
  UringEngine& operator=(const UringEngine&) = delete;

  std::string_view name() const override { return "io_uring"; }
  bool can(IoTask::Kind kind) const override { return kind != IoTask::Kind::kDiscardDevice; }
  void submit(IoTask& task) override { waiting_.push_back(&task); }
  void kick() override;
  const base::Fd& completion_event() const override { return event_; }
  void collect(std::vector<IoTask*>& ended) override;

 private:
  UringEngine(const io_uring& ring, base::Fd event) : ring_(ring), event_(std::move(event)) {}
  bool enter_one();

  io_uring ring_;
  const base::Fd event_;
  std::deque<IoTask*> waiting_;  // the software queue above the ring
  unsigned in_ring_ = 0;         // at most kDepth, so the completion queue cannot overflow
};

base::Result<std::unique_ptr<IoEngine>> UringEngine::create() {
  base::Fd event = TRY(base::make_eventfd());
  io_uring ring{};
  const int status = io_uring_queue_init(kDepth, &ring, 0);
  if (status < 0) return base::fail(base::errno_error(-status, "io_uring_setup"));
  const int event_fd = event.get();
  // From here on the engine owns the ring and ends it on every way out.
  std::unique_ptr<UringEngine> engine(new UringEngine(ring, std::move(event)));
  const int registered = io_uring_register_eventfd(&engine->ring_, event_fd);
  if (registered < 0) return base::fail(base::errno_error(-registered, "io_uring_register"));
  return engine;
}

void prepare(io_uring_sqe* entry, IoTask& task) {
  switch (task.kind) {
    case IoTask::Kind::kRead:
      io_uring_prep_readv(entry, task.fd, task.buffers, task.buffer_count, task.offset);
      break;
    case IoTask::Kind::kWrite:
      io_uring_prep_writev(entry, task.fd, task.buffers, task.buffer_count, task.offset);
      break;
    case IoTask::Kind::kDataSync:
      io_uring_prep_fsync(entry, task.fd, IORING_FSYNC_DATASYNC);
      break;
    case IoTask::Kind::kAllocate:
      io_uring_prep_fallocate(entry, task.fd, task.mode, static_cast<off_t>(task.offset),
                              static_cast<off_t>(task.size));
      break;
    case IoTask::Kind::kDiscardDevice:
      STASIS_CHECK(false);  // see `can`
  }
  io_uring_sqe_set_data(entry, &task);
}

bool UringEngine::enter_one() {
  if (waiting_.empty() || in_ring_ == kDepth) return false;
  io_uring_sqe* entry = io_uring_get_sqe(&ring_);
  if (entry == nullptr) return false;
  prepare(entry, *waiting_.front());
  waiting_.pop_front();
  ++in_ring_;
  return true;
}

void UringEngine::kick() {
  while (enter_one()) {
  }
  if (io_uring_sq_ready(&ring_) == 0) return;
  int status = 0;
  do {
    status = io_uring_submit(&ring_);
  } while (status == -EINTR);
  // Short of memory for now, or stopped half-way: come back after the loop's other work.
  if (io_uring_sq_ready(&ring_) != 0) base::signal_eventfd(event_);
}

void UringEngine::collect(std::vector<IoTask*>& ended) {
  base::drain_eventfd(event_);
  io_uring_cqe* entry = nullptr;
  unsigned head = 0;
  unsigned count = 0;
  io_uring_for_each_cqe(&ring_, head, entry) {
    auto* task = static_cast<IoTask*>(io_uring_cqe_get_data(entry));
    task->result = entry->res;
    ended.push_back(task);
    ++count;
  }
  io_uring_cq_advance(&ring_, count);
  in_ring_ -= count;
}

}  // namespace

base::Result<std::unique_ptr<IoEngine>> make_uring_engine() {
  return UringEngine::create();
}

}  // namespace stasis::devices
