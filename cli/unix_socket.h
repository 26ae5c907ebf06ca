#pragma once

#include <string>

#include "base/fd.h"
#include "base/result.h"

namespace stasis::cli {

/// A listening stream socket (0600) at `path`, in place of one that a dead process left.
base::Result<base::Fd> listen_at(const std::string& path);

/// kNotFound: no socket there, or nobody listens.
base::Result<base::Fd> connect_to(const std::string& path);

/// Whether the process at the other end belongs to this process's user or to root.
bool is_peer_trusted(const base::Fd& connection);

}  // namespace stasis::cli
