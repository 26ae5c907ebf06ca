#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "base/fd.h"
#include "base/result.h"

namespace stasis::snapshot {

/// Makes `text` the whole content of file `name` (0600) in `folder`: afterwards, and after a loss
/// of power at any moment, the file is the old one or the new one, never a part. On return it is
/// durable. A leftover of a writer that was killed ("NAME.new") is replaced.
base::Status replace_durably(const base::Fd& folder, const std::string& name,
                             std::string_view text);

/// The same in two steps. The first leaves what is there as it is and does the larger part of the
/// work, into "NAME.new"; the second puts it in place.
base::Status prepare_replacement(const base::Fd& folder, const std::string& name,
                                 std::string_view text);
base::Status put_in_place(const base::Fd& folder, const std::string& name);

/// The content of file `name` in `folder`, of `limit` bytes at most; kCorrupt when it is longer or
/// no regular file, kNotFound when it is missing. A symbolic link is not followed.
base::Result<std::string> read_small_file(const base::Fd& folder, const std::string& name,
                                          std::size_t limit);

/// Names in `folder` become durable.
base::Status sync_folder(const base::Fd& folder);

}  // namespace stasis::snapshot
