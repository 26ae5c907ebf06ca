#pragma once

#include "snapshot/capture_support.h"

namespace stasis::snapshot {

/// Writes RAM while the guest waits: the reference, on any host and for any kind of memory.
class StopAndCopyCapture final : public RamCapture {
 public:
  explicit StopAndCopyCapture(RamFiles files) : files_(std::move(files)) {}

  std::string_view engine() const override { return "stop-and-copy"; }
  base::Status capture(const std::vector<base::MemoryRegion>& regions,
                       WorkObserver& observer) override;
  base::Result<RamCaptureResult> finish(WorkObserver& observer) override;

 private:
  RamFiles files_;
  RamWriteBoard board_;
};

}  // namespace stasis::snapshot
