#pragma once

#include <string>
#include <tl/expected.hpp>
#include <utility>

#include "cimapi/codes.h"

namespace stasis::cimapi {

/// A value, or the verdict on the request and the reason.
template <typename T>
using Checked = tl::expected<T, Fault>;

inline tl::unexpected<Fault> refuse(Verdict verdict, std::string message) {
  base::ErrorKind kind = kind_of_code(code_of(Family::kV1, verdict)).value_or(base::ErrorKind::kIo);
  return tl::unexpected<Fault>(Fault{verdict, base::Error(kind, std::move(message))});
}

/// An error of the layer below, in the words of this one.
inline tl::unexpected<Fault> refuse(const base::Error& error) {
  return tl::unexpected<Fault>(Fault{verdict_of(error.kind()), error});
}

/// The verdict on `checked`, for another kind of value.
template <typename T>
tl::unexpected<Fault> pass_on(const Checked<T>& checked) {
  return tl::unexpected<Fault>(checked.error());
}

}  // namespace stasis::cimapi
