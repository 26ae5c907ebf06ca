#pragma once

#include <string>

#include "base/fd.h"
#include "base/result.h"

namespace stasis::cimapi {

/// A name of at most 107 bytes for the UNIX socket at `path`, which may be longer: through an open
/// folder and /proc/self/fd then. Valid as long as this lives.
class UnixAddress {
 public:
  static base::Result<UnixAddress> of(const std::string& path);

  const std::string& name() const { return name_; }

 private:
  UnixAddress(base::Fd folder, std::string name)
      : folder_(std::move(folder)), name_(std::move(name)) {}

  base::Fd folder_;
  std::string name_;
};

}  // namespace stasis::cimapi
