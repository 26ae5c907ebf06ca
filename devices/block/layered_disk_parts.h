#pragma once

#include <optional>

#include "base/result.h"
#include "devices/block/layered_disk.h"

// What the parts of LayeredDisk's implementation share.
namespace stasis::devices {

struct LayeredDisk::Job {
  std::function<void(int error)> done;
  unsigned parts = 1;  // the one who starts it counts, too
  int error = 0;       // of the first part that failed
};

struct LayeredDisk::FlushRun {
  std::vector<JobPtr> jobs;
  bool with_top = false;
  std::vector<DiskLayer*> layers;
  std::size_t layer = 0;
  std::optional<Qcow2File::Commit> commit;
  std::size_t stage = 0;
  int error = 0;
};

/// The part of `buffers` from `skip` on, `size` bytes of it.
std::vector<iovec> slice_of(const std::vector<iovec>& buffers, std::uint64_t skip,
                            std::uint64_t size);
std::uint64_t total_of(const std::vector<iovec>& buffers);

/// Cuts off what lies behind `size` and makes the file durable.
base::Status cut_file(const DiskLayer& layer, std::uint64_t size);

/// What a guest's request fails with.
int errno_of(const base::Error& error);

}  // namespace stasis::devices
