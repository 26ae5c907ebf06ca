#include "snapshot/file_identity.h"

namespace stasis::snapshot {

FileIdentity::FileIdentity(const struct stat& status)
    : device(status.st_dev),
      inode(status.st_ino),
      size_bytes(static_cast<std::uint64_t>(status.st_size)),
      changed_s(status.st_ctim.tv_sec),
      changed_ns(status.st_ctim.tv_nsec) {}

}  // namespace stasis::snapshot
