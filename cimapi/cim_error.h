#pragma once

#include <string>
#include <tl/expected.hpp>
#include <utility>

namespace stasis::cimapi {

/// CIM_ERR_* status codes (DSP0200, "Status codes"): the operation did not run.
enum class CimStatus : unsigned {
  kFailed = 1,
  kAccessDenied = 2,
  kInvalidNamespace = 3,
  kInvalidParameter = 4,
  kInvalidClass = 5,
  kNotFound = 6,
  kNotSupported = 7,
  kTypeMismatch = 13,
  kQueryLanguageNotSupported = 14,
  kMethodNotAvailable = 16,
  kMethodNotFound = 17,
};

struct CimError {
  CimStatus status;
  std::string description;
};

template <typename T>
using CimResult = tl::expected<T, CimError>;

inline tl::unexpected<CimError> cim_fail(CimStatus status, std::string description) {
  return tl::unexpected<CimError>(CimError{status, std::move(description)});
}

}  // namespace stasis::cimapi
