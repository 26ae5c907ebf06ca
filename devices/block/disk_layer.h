#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "base/result.h"
#include "devices/block/file_io.h"
#include "devices/block/image_layer.h"
#include "devices/block/qcow2_file.h"
#include "devices/block/raw_file.h"

namespace stasis::devices {

/// One file of a disk, open and locked.
struct DiskLayer {
  ImageLayer spec;
  RawFile file;
  std::unique_ptr<Qcow2File> qcow2;  ///< null: raw
  std::uint64_t size_bytes = 0;      ///< of the disk that it holds

  /// As much of it as the layers above let show through.
  std::uint64_t visible_bytes = 0;

  /// Valid as long as the layer.
  FileTarget target() const { return {file.fd.get(), spec.path, file.is_device, qcow2 != nullptr}; }
};

/// Opens and locks a file, for writing or for reading only, and checks all of it that has to be
/// right. Errors name the path, the reason and the remedy.
base::Result<std::unique_ptr<DiskLayer>> open_disk_layer(const ImageLayer& spec, bool writable);

/// Whether `upper` may lie on `lower` (null: on nothing): what the file says about its backing file
/// is compared with that, and never opened.
base::Status check_backing(const DiskLayer& upper, const DiskLayer* lower);

/// The start of a file, as much as a qcow2 header may take.
base::Result<Qcow2Header> read_qcow2_header(int fd, std::uint64_t file_bytes);

}  // namespace stasis::devices
