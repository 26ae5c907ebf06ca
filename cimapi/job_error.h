#pragma once

#include <optional>
#include <string>

#include "cimapi/jobs.h"
#include "cimapi/value.h"

namespace stasis::cimapi {

/// Why a job ended otherwise than well: the text of a Msvm_Error instance. Nothing for a job that
/// is well.
std::optional<std::string> error_of_job(const JobTable& jobs, const ObjectPath& job);

/// The sentence behind a code of CIM_ConcreteJob.RequestStateChange; nothing for success.
std::optional<base::Error> reason_of(StateChangeCode code);

}  // namespace stasis::cimapi
