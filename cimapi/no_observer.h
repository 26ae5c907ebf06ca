#pragma once

#include "snapshot/vm_control.h"

namespace stasis::cimapi {

/// For work that nobody looks at: it has no job, or no progress to show.
class NoObserver final : public snapshot::WorkObserver {
 public:
  void progressed(std::uint64_t /*done_bytes*/, std::uint64_t /*total_bytes*/) override {}
  bool is_cancelled() const override { return false; }
  void committing() override {}
};

}  // namespace stasis::cimapi
