#pragma once

#include <cstdint>
#include <optional>

#include "cimapi/checked.h"
#include "cimapi/names.h"
#include "cimapi/snapshot_work.h"

namespace stasis::cimapi {

/// What every method of a service gives: the return value in its family's numbers.
struct Answer {
  std::uint32_t return_value = 0;
  std::optional<base::Error> reason{};  ///< why it is no success
};

/// With 4096 the job that was started; else no job.
struct JobAnswer : Answer {
  Ref job{};
};

/// With 0 the snapshot; with 4096 the job, and the snapshot hangs on it (AffectedJobElement,
/// ElementEffects 5) when it is there.
struct CreateAnswer : JobAnswer {
  Ref snapshot{};
};

Answer answer_of(Family family, Verdict verdict);
Answer answer_of(Family family, const Fault& fault);
JobAnswer job_answer_of(Family family, const Checked<Outcome>& outcome);
CreateAnswer create_answer_of(Family family, const Checked<Outcome>& outcome);

}  // namespace stasis::cimapi
