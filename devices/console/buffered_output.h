#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "base/fd.h"
#include "base/result.h"
#include "devices/byte_stream.h"
#include "devices/loop_task.h"

namespace stasis::devices {

/// Writes a guest's console to a host descriptor without ever making the guest wait for a reader:
/// at once if that does not block, else into a buffer of at most kMaxPending bytes that the event
/// loop empties. When that is full the oldest bytes are dropped and counted. A reader that went
/// away (EPIPE, EIO) ends the output; the guest runs on.
///
/// A terminal or pipe is opened once more instead of made non-blocking: that flag belongs to the
/// open file, which the shell and other programs share.
/// SIGPIPE must be ignored by the process, or it dies of a reader that went away.
class BufferedOutput final : public ByteSink {
 public:
  static constexpr std::size_t kMaxPending = 64 * 1024;

  /// `name` is for messages; empty: a reader whose going is no news. `loop` and `fd` outlive this.
  BufferedOutput(EventLoop& loop, int fd, std::string name);
  /// Owns the descriptor.
  BufferedOutput(EventLoop& loop, base::Fd fd, std::string name);

  /// `--console file=`: appends, creates with mode 0600. Errors name the file.
  static base::Result<std::unique_ptr<BufferedOutput>> append_to(EventLoop& loop,
                                                                 const std::string& path);

  /// Writes out what is pending, for at most a second.
  ~BufferedOutput() override;

  /// Threads: any.
  void write(std::span<const std::uint8_t> bytes) override;

  /// How many bytes were lost to a slow or lost reader.
  std::uint64_t dropped_bytes() const { return dropped_; }

 private:
  enum class Kind { kFile, kPollFirst, kNonBlocking, kSocket };

  void choose_kind();
  std::size_t write_some(std::span<const std::uint8_t> bytes);
  void keep(std::span<const std::uint8_t> bytes);
  bool flush_pending();
  void watch_for_room();
  void close_output(int error);

  EventLoop& loop_;
  const base::Fd owned_;
  base::Fd reopened_;
  int fd_;
  const std::string name_;
  Kind kind_ = Kind::kFile;
  std::mutex mutex_;
  std::vector<std::uint8_t> pending_;  // guarded by mutex_
  bool closed_ = false;                // guarded by mutex_
  std::atomic<std::uint64_t> dropped_{0};
  bool watching_ = false;  // loop thread only
  LoopTask blocked_;
};

/// A console that nobody reads.
class NullOutput final : public ByteSink {
 public:
  void write(std::span<const std::uint8_t> /*bytes*/) override {}
};

}  // namespace stasis::devices
