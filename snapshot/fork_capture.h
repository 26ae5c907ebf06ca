#pragma once

#include <memory>

#include "base/mapping.h"
#include "snapshot/capture_support.h"

namespace stasis::snapshot {

/// A child process holds RAM as it was and writes it while the guest runs on. The child ends with
/// this process, cannot outlive its virtual machine's descriptors, has lower priority than the
/// guest, and is the first to go when the host runs out of memory.
class ForkCapture final : public RamCapture {
 public:
  static base::Result<std::unique_ptr<ForkCapture>> create(RamFiles files);
  ~ForkCapture() override;
  ForkCapture(const ForkCapture&) = delete;
  ForkCapture& operator=(const ForkCapture&) = delete;

  std::string_view engine() const override { return "fork"; }
  base::Status capture(const std::vector<base::MemoryRegion>& regions,
                       WorkObserver& observer) override;
  void guest_runs() override;
  base::Result<RamCaptureResult> finish(WorkObserver& observer) override;

 private:
  ForkCapture(RamFiles files, base::Mapping board)
      : files_(std::move(files)), memory_(std::move(board)) {}

  RamWriteBoard& board() const { return *reinterpret_cast<RamWriteBoard*>(memory_.data()); }
  [[noreturn]] void run_child(const std::vector<base::MemoryRegion>& regions,
                              const RamTarget& target, pid_t parent, const base::Fd& go) const;
  base::Error death_of_child(int status) const;
  void kill_child();

  RamFiles files_;
  base::Mapping memory_;  // of the board, shared with the child
  pid_t child_ = 0;       // 0: none, or reaped
  base::Fd pidfd_;
  base::Fd go_;  // a byte here, and the child begins; it ends when this is closed before
};

}  // namespace stasis::snapshot
