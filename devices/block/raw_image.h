#pragma once

#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "devices/block/block_image.h"
#include "devices/block/io_engine.h"
#include "devices/block/raw_file.h"
#include "devices/event_loop.h"

namespace stasis::devices {

/// A disk whose bytes are those of one host file or block device, through the page cache.
/// Discard gives the space back (PUNCH_HOLE, BLKDISCARD); write-zeroes uses fallocate(2) and falls
/// back to writing. Flush is fdatasync(2).
class RawImage final : public BlockImage {
 public:
  struct Options {
    enum class Engine {
      kAuto,     ///< io_uring where the host has it, else threads
      kThreads,  ///< blocking calls on a thread
    };
    bool read_only = false;
    Engine engine = Engine::kAuto;
  };

  /// Opens as `open_raw_file` does. `loop` must outlive the image; called from any thread.
  static base::Result<std::unique_ptr<RawImage>> open(std::string path, Options options,
                                                      EventLoop& loop);

  /// Waits for the host to finish what is in flight; `done` of that is not called any more. Not to
  /// be called on another thread than the loop's while that one uses the image.
  ~RawImage() override;

  std::string_view name() const override { return path_; }
  const BlockImageInfo& info() const override { return file_.info; }
  void submit(BlockRequest request) override;
  void kick() override;
  bool drain(std::chrono::steady_clock::time_point deadline) override;
  void set_group_listener(std::function<void()> listener) override;

  std::string_view engine_name() const { return engines_.front()->name(); }

 private:
  struct Operation;

  RawImage(std::string path, RawFile file, EventLoop& loop);
  base::Status add_engine(base::Result<std::unique_ptr<IoEngine>> engine);

  int check(const BlockRequest& request) const;
  void start(Operation& operation);
  void refuse(Operation& operation, int error);
  void fill_transfer(Operation& operation, IoTask::Kind kind);
  void fill_zero_write(Operation& operation);
  void call_ended(Operation& operation);
  void transferred(Operation& operation);
  void zeroing_failed(Operation& operation);
  void finish(Operation& operation, int error);
  void complete_ended();
  void wait(std::chrono::steady_clock::time_point deadline) const;
  IoEngine* engine_for(IoTask::Kind kind);

  const std::string path_;
  const RawFile file_;
  EventLoop& loop_;
  // The second one, threads, exists once something was asked for that io_uring cannot do.
  std::vector<std::unique_ptr<IoEngine>> engines_;
  std::deque<Operation> operations_;  // a deque: its elements never move
  std::vector<Operation*> free_;
  std::vector<Operation*> refused_;  // fail at the next turn of the loop
  std::size_t in_flight_ = 0;
  bool closing_ = false;
  std::function<void()> group_listener_;
};

}  // namespace stasis::devices
