#pragma once

#include <string>

namespace stasis::cimapi {

/// The name of this host, as gethostname(2) gives it.
std::string host_name();

}  // namespace stasis::cimapi
