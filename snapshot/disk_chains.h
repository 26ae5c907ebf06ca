#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "devices/block/layered_disk.h"
#include "snapshot/known_files.h"
#include "snapshot/manifest.h"
#include "snapshot/vm_directory.h"
#include "vmm/machine_config.h"

namespace stasis::snapshot {

/// One disk of a machine as files: absolute paths, base first; the last is written to, unless the
/// disk is read-only.
struct DiskChain {
  std::string id;
  bool read_only = false;
  std::vector<devices::ImageLayer> layers;
};

/// The disks as they are now: those of `present`, or, without snapshots, those of the
/// configuration. kCorrupt: `present` names other disks than the configuration.
base::Result<std::vector<DiskChain>> present_chains(const VmDirectory& directory,
                                                    const vmm::MachineConfig& config,
                                                    const Present& present);

/// `config` with its disks on `chains`.
vmm::MachineConfig with_chains(vmm::MachineConfig config, const std::vector<DiskChain>& chains);

/// `chains` as `current.json` names them: files in the machine's folder relative to it.
std::vector<PresentDisk> to_present(const VmDirectory& directory,
                                    const std::vector<DiskChain>& chains);

/// A new name for an overlay of disk number `index`, in the machine's folder.
base::Result<std::string> overlay_path(const VmDirectory& directory, std::size_t index);

/// `chains`, each writable one with a new overlay on top whose file does not exist yet.
base::Result<std::vector<DiskChain>> with_overlays(const VmDirectory& directory,
                                                   std::vector<DiskChain> chains);

/// UUIDs of qcow2 layers by path, empty for those without: a file is opened for it once.
using KnownUuids = KnownFiles<std::string>;

/// What the manifest says of disks whose layers are written no more: with proofs of identity (T51).
/// `known` has those layers afterwards.
base::Result<std::vector<DiskRecord>> record_chains(const VmDirectory& directory,
                                                    const std::vector<DiskChain>& chains,
                                                    KnownUuids& known);

/// The chains of a manifest, each layer proven to be there and the one that it was. Errors name the
/// layer: kNotFound, kCorrupt (changed since).
base::Result<std::vector<DiskChain>> proven_chains(const VmDirectory& directory,
                                                   const std::vector<DiskRecord>& records);

/// Removes files in `disks/` that neither `present` nor a manifest refers to.
base::Status remove_unused_layers(const VmDirectory& directory, const Present& present,
                                  const std::vector<Manifest>& manifests);

}  // namespace stasis::snapshot
