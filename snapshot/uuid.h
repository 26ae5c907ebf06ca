#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace stasis::snapshot {

/// A random identifier (RFC 4122 version 4) in upper case, as management clients write them.
base::Result<std::string> make_uuid();

/// Whether `text` has the form that `make_uuid` gives.
bool is_uuid(std::string_view text);

}  // namespace stasis::snapshot
