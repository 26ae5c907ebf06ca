#include "snapshot/stop_and_copy_capture.h"

#include <cerrno>

namespace stasis::snapshot {
namespace {

class ObserverWatch final : public RamWriteWatch {
 public:
  ObserverWatch(WorkObserver& observer, const RamWriteBoard& board)
      : observer_(observer), board_(board) {}

  bool goes_on() override {
    observer_.progressed(board_.done_bytes, board_.total_bytes);
    return !observer_.is_cancelled();
  }

 private:
  WorkObserver& observer_;
  const RamWriteBoard& board_;
};

}  // namespace

base::Status StopAndCopyCapture::capture(const std::vector<base::MemoryRegion>& regions,
                                         WorkObserver& observer) {
  ObserverWatch watch(observer, board_);
  const RamTarget target = files_.target();
  if (!RamWriter(regions, target, watch, board_).write()) {
    return base::fail(files_.failure(board_));
  }
  return {};
}

base::Result<RamCaptureResult> StopAndCopyCapture::finish(WorkObserver& observer) {
  observer.progressed(board_.done_bytes, board_.total_bytes);
  if (observer.is_cancelled()) board_.error = ECANCELED;
  if (board_.error != 0 || !sync_ram_files(files_.target(), board_)) {
    return base::fail(files_.failure(board_));
  }
  return files_.result(board_);
}

}  // namespace stasis::snapshot
