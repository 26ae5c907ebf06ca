#pragma once

#include "cimapi/cim_error.h"
#include "cimapi/message.h"
#include "cimapi/methods.h"
#include "cimapi/repository.h"

namespace stasis::cimapi {

/// Carries out one intrinsic operation (DSP0200): GetClass, EnumerateClasses, EnumerateClassNames,
/// GetInstance, EnumerateInstances, EnumerateInstanceNames, Associators, AssociatorNames,
/// References, ReferenceNames, ModifyInstance (name and notes of a snapshot), DeleteInstance
/// (finished jobs), GetProperty. ExecQuery: no query language; all others: kNotSupported.
CimResult<Content> operate(const Repository& repository, Services& services,
                           const Request& request);

}  // namespace stasis::cimapi
