#pragma once

#include <cstddef>
#include <optional>
#include <string_view>

#include "base/result.h"

namespace stasis::snapshot {

/// Names of machines are names of folders: 1..64 letters, digits, '.', '_' and '-', the first a
/// letter or digit. kInvalidArgument says what is wrong.
base::Status check_vm_name(std::string_view name);

/// Names of snapshots are for people: valid UTF-8, not blank, at most 100 characters, no control
/// characters (the limit of ElementName on Hyper-V). kInvalidArgument says what is wrong.
base::Status check_snapshot_name(std::string_view name);

/// Code points in `text`; nothing when it is not UTF-8 (RFC 3629).
std::optional<std::size_t> count_characters(std::string_view text);

}  // namespace stasis::snapshot
