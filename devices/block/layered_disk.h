#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "devices/block/block_image.h"
#include "devices/block/file_io.h"
#include "devices/block/image_layer.h"
#include "devices/block/overlay.h"
#include "devices/block/raw_file.h"

namespace stasis::devices {

/// A disk out of one or more files: a base (raw or qcow2) and overlays (qcow2 version 3) over it,
/// of which only the last, the top, is ever written. What a layer lacks is read from the one below;
/// past the end of a smaller layer there are zeroes.
///
/// A switch puts a new overlay on top and makes the former top immutable, at one instant:
///   prepare_overlay   before, any thread: everything that takes time
///   switch_to         while the loop is parked and no request is in flight: a few assignments
///   seal_frozen       after the loop was resumed: the former top becomes durable
class LayeredDisk final : public BlockImage {
 public:
  struct Options {
    bool read_only = false;
    FileIo::Engine engine = FileIo::Engine::kAuto;
  };

  /// Opens and locks all of `layers`, base first: the top against every other opener, unless
  /// `read_only`; the others against writers. Names of backing files inside the files are only
  /// compared with this list. Leaks that a killed process left in the top are repaired.
  /// `loop` must outlive the disk; called from any thread. Every error names the path, the reason
  /// and the remedy.
  static base::Result<std::unique_ptr<LayeredDisk>> open(std::vector<ImageLayer> layers,
                                                         Options options, EventLoop& loop);

  /// Waits for the host to finish what is in flight; `done` of that is not called any more. What is
  /// only in memory of the top is written. Not to be called on another thread than the loop's while
  /// that one uses the disk.
  ~LayeredDisk() override;

  /// An overlay `path` for this disk, which must not exist yet: created (0600), durable, open.
  /// Threads: the controlling one; requests may go on.
  base::Result<PreparedOverlay> prepare_overlay(std::string path) const;

  /// Makes `overlay`, which this disk prepared since its last switch, the top. No system call,
  /// cannot fail. Threads: the controlling one, with the loop parked and nothing in flight.
  void switch_to(PreparedOverlay overlay);

  /// Writes what is left in memory of the layers that switches froze, makes them durable, and lets
  /// others read them (shared lock). On an error the disk goes on; call it again, or take what was
  /// frozen as not durable. Threads: the controlling one; requests may go on.
  base::Status seal_frozen();

  /// The present layers, base first. Threads: the controlling one.
  const std::vector<ImageLayer>& layers() const { return layers_; }

  std::string_view name() const override { return name_; }
  const BlockImageInfo& info() const override { return info_; }
  void submit(BlockRequest request) override;
  void kick() override { io_->kick(); }
  bool drain(std::chrono::steady_clock::time_point deadline) override {
    return io_->drain(deadline);
  }
  void set_group_listener(std::function<void()> listener) override {
    io_->set_group_listener(std::move(listener));
  }
  std::string_view engine_name() const { return io_->engine_name(); }

 private:
  LayeredDisk(std::vector<ImageLayer> layers, RawFile raw, std::unique_ptr<FileIo> io);
  int check(const BlockRequest& request) const;

  const std::string name_;
  const BlockImageInfo info_;
  std::vector<ImageLayer> layers_;
  RawFile raw_;
  std::unique_ptr<FileIo> io_;  // before the files: it waits for what is in flight
};

}  // namespace stasis::devices
