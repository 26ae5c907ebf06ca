#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "devices/block/block_image.h"
#include "devices/block/io_engine.h"
#include "devices/event_loop.h"

namespace stasis::devices {

/// What a request of FileIo is about. Stays open until the request is done.
struct FileTarget {
  int fd = -1;
  std::string_view name;        ///< for logs; outlives the request
  bool is_device = false;       ///< a block device of the host
  bool zeros_past_end = false;  ///< reading past the end of the file gives zeroes, not EIO
};

/// Does block requests on host files in the background, through the page cache: goes on after short
/// transfers, gives space back (PUNCH_HOLE, BLKDISCARD), zeroes by fallocate(2) or by writing,
/// flushes by fdatasync(2). Offsets are those of the file and are not checked.
/// Threads: as BlockImage.
class FileIo {
 public:
  enum class Engine {
    kAuto,     ///< io_uring where the host has it, else threads
    kThreads,  ///< blocking calls on a thread
  };

  /// `loop` must outlive it; called from any thread.
  static base::Result<std::unique_ptr<FileIo>> create(Engine engine, EventLoop& loop);

  /// Waits for the host to finish what is in flight; `done` of that is not called any more. Not to
  /// be called on another thread than the loop's while that one uses it.
  ~FileIo();
  FileIo(const FileIo&) = delete;
  FileIo& operator=(const FileIo&) = delete;

  /// As BlockImage::submit, on `target`.
  void submit(const FileTarget& target, BlockRequest request);

  /// Calls `done(error)` at the next turn of the loop.
  void answer(std::function<void(int)> done, int error);

  void kick();
  bool drain(std::chrono::steady_clock::time_point deadline);
  void set_group_listener(std::function<void()> listener);

  /// Ends what the host has finished by now, as the loop does. On the loop's thread.
  void complete_ended();

  std::string_view engine_name() const { return engines_.front()->name(); }

 private:
  struct Operation;

  explicit FileIo(EventLoop& loop);
  base::Status add_engine(base::Result<std::unique_ptr<IoEngine>> engine);

  Operation& take_operation();
  void start(Operation& operation);
  void answer_later(Operation& operation, int error);
  void fill_transfer(Operation& operation, IoTask::Kind kind);
  void fill_zero_write(Operation& operation);
  void call_ended(Operation& operation);
  void transferred(Operation& operation);
  void nothing_transferred(Operation& operation);
  void zeroing_failed(Operation& operation);
  void finish(Operation& operation, int error);
  void wait(std::chrono::steady_clock::time_point deadline) const;
  IoEngine* engine_for(IoTask::Kind kind);

  EventLoop& loop_;
  // The second one, threads, exists once something was asked for that io_uring cannot do.
  std::vector<std::unique_ptr<IoEngine>> engines_;
  std::deque<Operation> operations_;  // a deque: its elements never move
  std::vector<Operation*> free_;
  std::vector<Operation*> answered_;  // end at the next turn of the loop
  std::size_t in_flight_ = 0;
  bool closing_ = false;
  std::function<void()> group_listener_;
};

}  // namespace stasis::devices
