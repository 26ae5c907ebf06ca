#pragma once

#include <memory>
#include <optional>

#include "base/mapping.h"
#include "base/thread_placement.h"
#include "snapshot/capture_support.h"

namespace stasis::snapshot {

/// A child process holds RAM as it was and writes it while the guest runs on. The child ends with
/// this process, cannot outlive its virtual machine's descriptors, has lower priority than the
/// guest, and is the first to go when the host runs out of memory.
class ForkCapture final : public RamCapture {
 public:
  /// `vcpus`: as of RamCaptureOptions.
  static base::Result<std::unique_ptr<ForkCapture>> create(
      RamFiles files, std::shared_ptr<const base::ThreadWatches> vcpus);
  ~ForkCapture() override;
  ForkCapture(const ForkCapture&) = delete;
  ForkCapture& operator=(const ForkCapture&) = delete;

  std::string_view engine() const override { return "fork"; }
  void before_pause() override;
  base::Status capture(const std::vector<base::MemoryRegion>& regions,
                       WorkObserver& observer) override;
  void guest_runs() override;
  base::Result<RamCaptureResult> finish(WorkObserver& observer) override;

 private:
  /// The two ends of a socket.
  struct Line {
    base::Fd parents;
    base::Fd childs;
  };

  ForkCapture(RamFiles files, std::shared_ptr<const base::ThreadWatches> vcpus, base::Mapping board,
              Line go);

  RamWriteBoard& board() const { return *reinterpret_cast<RamWriteBoard*>(memory_.data()); }
  [[noreturn]] void run_child(const std::vector<base::MemoryRegion>& regions, pid_t parent);
  base::Error death_of_child(int status) const;
  void kill_child();

  const RamFiles files_;
  base::Mapping memory_;  // of the board, shared with the child
  Line go_;  // a byte from the parent, and the child begins; it ends when this is closed before
  RamTarget target_;
  std::vector<int> childs_files_;
  /// From the fork to the guest's going on: else the child may begin where the guest has just come
  /// to rest, or before it.
  std::optional<base::Stay> stay_;
  pid_t child_ = 0;  // 0: none, or reaped
  base::Fd pidfd_;
};

}  // namespace stasis::snapshot
