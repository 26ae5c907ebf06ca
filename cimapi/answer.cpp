#include "cimapi/answer.h"

namespace stasis::cimapi {

Answer answer_of(Family family, Verdict verdict) {
  return {code_of(family, verdict), {}};
}

Answer answer_of(Family family, const Fault& fault) {
  return {code_of(family, fault.verdict), fault.error};
}

JobAnswer job_answer_of(Family family, const Checked<Outcome>& outcome) {
  if (!outcome) return {answer_of(family, outcome.error()), {}};
  JobAnswer answer{answer_of(family, outcome->verdict), {}};
  if (!outcome->job_id.empty()) answer.job = job_path(outcome->job_id);
  return answer;
}

CreateAnswer create_answer_of(Family family, const Checked<Outcome>& outcome) {
  CreateAnswer answer{job_answer_of(family, outcome), {}};
  if (outcome && !outcome->snapshot_id.empty()) {
    answer.snapshot = setting_data_path(outcome->snapshot_id);
  }
  return answer;
}

}  // namespace stasis::cimapi
