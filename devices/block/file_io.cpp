#include "devices/block/file_io.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <limits.h>
#include <linux/falloc.h>
#include <poll.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include "base/log.h"
#include "devices/block/zeroes.h"

namespace stasis::devices {
namespace {

constexpr unsigned kZeroBuffers = 16;  // so one write of zeroes is at most 1 MiB

/// Ways to make a range read as zero, from cheap to certain.
enum class Zeroing : std::uint8_t { kPunchHole, kZeroRange, kWrite };

/// The host's file system or device cannot do that (EINVAL: not at this alignment).
bool is_unsupported(std::int64_t result) {
  return result == -EOPNOTSUPP || result == -EINVAL || result == -ENOSYS || result == -ENOTTY;
}

std::string_view name_of(BlockOperation operation) {
  switch (operation) {
    case BlockOperation::kRead:
      return "read";
    case BlockOperation::kWrite:
      return "write";
    case BlockOperation::kFlush:
      return "flush";
    case BlockOperation::kDiscard:
      return "discard";
    case BlockOperation::kWriteZeroes:
      return "write-zeroes";
  }
  return "request";
}

int poll_timeout(std::chrono::steady_clock::time_point deadline) {
  using std::chrono::milliseconds;
  if (deadline == BlockImage::kForever) return -1;
  const auto left = std::chrono::ceil<milliseconds>(deadline - std::chrono::steady_clock::now());
  return static_cast<int>(std::clamp(left, milliseconds(0), milliseconds(3'600'000)).count());
}

}  // namespace

/// A request under way: one system call at a time until all of it is done.
struct FileIo::Operation : IoTask {
  FileTarget target;
  BlockRequest request;
  std::uint64_t done_bytes = 0;
  std::size_t first_buffer = 0;  // the buffers before are done
  Zeroing zeroing = Zeroing::kPunchHole;
  std::array<iovec, kZeroBuffers> zeroes{};
  int error = 0;
  bool is_silent = false;  // whoever answered it has said why
};

base::Result<std::unique_ptr<FileIo>> FileIo::create(Engine engine, EventLoop& loop) {
  std::unique_ptr<FileIo> io(new FileIo(loop));
  base::Status added;
  loop.run_sync([&] {
    if (engine == Engine::kAuto && io->add_engine(make_uring_engine())) return;
    added = io->add_engine(make_thread_engine());
  });
  if (!added) return base::fail(added.error());
  return io;
}

FileIo::FileIo(EventLoop& loop) : loop_(loop) {}

FileIo::~FileIo() {
  loop_.run_sync([this] {
    closing_ = true;
    drain(BlockImage::kForever);
    for (const auto& engine : engines_) loop_.unwatch(engine->completion_event().get());
  });
}

base::Status FileIo::add_engine(base::Result<std::unique_ptr<IoEngine>> engine) {
  engines_.push_back(TRY(std::move(engine)));
  loop_.watch(engines_.back()->completion_event().get(), POLLIN, [this] { complete_ended(); });
  return {};
}

void FileIo::set_group_listener(std::function<void()> listener) {
  group_listener_ = std::move(listener);
}

FileIo::Operation& FileIo::take_operation() {
  if (free_.empty()) free_.push_back(&operations_.emplace_back());
  Operation& operation = *free_.back();
  free_.pop_back();
  ++in_flight_;
  return operation;
}

void FileIo::submit(const FileTarget& target, BlockRequest request) {
  Operation& operation = take_operation();
  operation.target = target;
  operation.request = std::move(request);
  operation.done_bytes = 0;
  operation.first_buffer = 0;
  operation.zeroing = operation.request.may_unmap ? Zeroing::kPunchHole : Zeroing::kZeroRange;
  start(operation);
}

void FileIo::answer(std::function<void(int)> done, int error) {
  Operation& operation = take_operation();
  operation.request = {};
  operation.request.done = std::move(done);
  operation.is_silent = true;
  answer_later(operation, error);
}

/// Ends `operation` at the next turn of the loop: never inside `submit`.
void FileIo::answer_later(Operation& operation, int error) {
  operation.error = error;
  answered_.push_back(&operation);
  base::signal_eventfd(engines_.front()->completion_event());
}

void FileIo::kick() {
  for (const auto& engine : engines_) engine->kick();
}

/// Queues the next system call of `operation`.
void FileIo::start(Operation& operation) {
  const BlockRequest& request = operation.request;
  operation.fd = operation.target.fd;
  operation.offset = request.offset;
  operation.size = request.size;
  operation.mode = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
  operation.kind = IoTask::Kind::kAllocate;
  switch (request.operation) {
    case BlockOperation::kRead:
      fill_transfer(operation, IoTask::Kind::kRead);
      break;
    case BlockOperation::kWrite:
      fill_transfer(operation, IoTask::Kind::kWrite);
      break;
    case BlockOperation::kFlush:
      operation.kind = IoTask::Kind::kDataSync;
      break;
    case BlockOperation::kDiscard:
      if (operation.target.is_device) operation.kind = IoTask::Kind::kDiscardDevice;
      break;
    case BlockOperation::kWriteZeroes:
      if (operation.zeroing == Zeroing::kWrite) {
        fill_zero_write(operation);
      } else if (operation.zeroing == Zeroing::kZeroRange) {
        operation.mode = FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE;
      }
      break;
  }
  IoEngine* engine = engine_for(operation.kind);
  if (engine == nullptr) return answer_later(operation, ENOMEM);
  engine->submit(operation);
}

void FileIo::fill_transfer(Operation& operation, IoTask::Kind kind) {
  const auto& buffers = operation.request.buffers;
  operation.kind = kind;
  operation.offset = operation.request.offset + operation.done_bytes;
  operation.buffers = buffers.data() + operation.first_buffer;
  operation.buffer_count = static_cast<unsigned>(
      std::min<std::size_t>(buffers.size() - operation.first_buffer, IOV_MAX));
}

void FileIo::fill_zero_write(Operation& operation) {
  operation.kind = IoTask::Kind::kWrite;
  operation.offset = operation.request.offset + operation.done_bytes;
  operation.buffers = operation.zeroes.data();
  operation.buffer_count = 0;
  std::uint64_t left = operation.request.size - operation.done_bytes;
  for (iovec& buffer : operation.zeroes) {
    if (left == 0) break;
    // A write only reads its buffers, whatever the type of iov_base says.
    buffer.iov_base = const_cast<std::byte*>(kZeroes.data());
    buffer.iov_len = std::min<std::uint64_t>(left, kZeroes.size());
    left -= buffer.iov_len;
    ++operation.buffer_count;
  }
}

/// The engine for such calls, made when first asked for; null when that fails.
IoEngine* FileIo::engine_for(IoTask::Kind kind) {
  for (const auto& engine : engines_) {
    if (engine->can(kind)) return engine.get();
  }
  return add_engine(make_thread_engine()) ? engines_.back().get() : nullptr;
}

void FileIo::complete_ended() {
  std::vector<IoTask*> tasks;
  for (const auto& engine : engines_) engine->collect(tasks);
  const std::vector<Operation*> answered = std::exchange(answered_, {});
  for (Operation* operation : answered) finish(*operation, operation->error);
  for (IoTask* task : tasks) call_ended(static_cast<Operation&>(*task));
  kick();  // what goes on, and what `done` callbacks submitted
  if (group_listener_ && !closing_ && (!tasks.empty() || !answered.empty())) group_listener_();
}

/// Decides what one system call's result means for its request.
void FileIo::call_ended(Operation& operation) {
  const std::int64_t result = operation.result;
  if (result == -EINTR || result == -EAGAIN) return start(operation);
  const bool is_transfer =
      operation.kind == IoTask::Kind::kRead || operation.kind == IoTask::Kind::kWrite;
  if (result >= 0) return is_transfer ? transferred(operation) : finish(operation, 0);
  if (!is_transfer && is_unsupported(result)) {
    // A discard is a hint: where the host cannot follow it, nothing needs to happen.
    if (operation.request.operation == BlockOperation::kDiscard) return finish(operation, 0);
    if (operation.request.operation == BlockOperation::kWriteZeroes) {
      return zeroing_failed(operation);
    }
  }
  finish(operation, static_cast<int>(-result));
}

/// Goes on after a read or write, which may have been shorter than asked for.
void FileIo::transferred(Operation& operation) {
  if (operation.result == 0) return nothing_transferred(operation);
  auto count = static_cast<std::uint64_t>(operation.result);
  operation.done_bytes += count;
  if (operation.done_bytes >= operation.request.size) return finish(operation, 0);
  auto& buffers = operation.request.buffers;
  while (operation.first_buffer < buffers.size()) {
    iovec& buffer = buffers[operation.first_buffer];
    if (count < buffer.iov_len) {
      buffer.iov_base = static_cast<std::byte*>(buffer.iov_base) + count;
      buffer.iov_len -= count;
      break;
    }
    count -= buffer.iov_len;
    ++operation.first_buffer;
  }
  start(operation);
}

/// The end of the file; a write of nothing would be tried for ever.
void FileIo::nothing_transferred(Operation& operation) {
  if (operation.kind != IoTask::Kind::kRead || !operation.target.zeros_past_end) {
    return finish(operation, EIO);
  }
  auto& buffers = operation.request.buffers;
  for (std::size_t i = operation.first_buffer; i < buffers.size(); ++i) {
    std::memset(buffers[i].iov_base, 0, buffers[i].iov_len);
  }
  finish(operation, 0);
}

void FileIo::zeroing_failed(Operation& operation) {
  operation.zeroing =
      operation.zeroing == Zeroing::kPunchHole ? Zeroing::kZeroRange : Zeroing::kWrite;
  start(operation);
}

void FileIo::finish(Operation& operation, int error) {
  static base::log::RateLimit rate_limit;
  if (error != 0 && !operation.is_silent && rate_limit.allow()) {
    base::log::warn("disk \"{}\": {} of {} bytes at {}: {}; the guest sees an I/O error",
                    operation.target.name, name_of(operation.request.operation),
                    operation.request.size, operation.request.offset, std::strerror(error));
  }
  const auto done = std::move(operation.request.done);
  operation.request = {};
  operation.is_silent = false;
  free_.push_back(&operation);
  --in_flight_;
  if (done && !closing_) done(error);
}

bool FileIo::drain(std::chrono::steady_clock::time_point deadline) {
  while (in_flight_ > 0) {
    kick();
    wait(deadline);
    complete_ended();
    if (in_flight_ > 0 && std::chrono::steady_clock::now() >= deadline) return false;
  }
  return true;
}

/// Blocks until an engine has something to collect, or `deadline`.
void FileIo::wait(std::chrono::steady_clock::time_point deadline) const {
  std::vector<pollfd> fds;
  for (const auto& engine : engines_) {
    fds.push_back({engine->completion_event().get(), POLLIN, 0});
  }
  ::poll(fds.data(), fds.size(), poll_timeout(deadline));
}

}  // namespace stasis::devices
