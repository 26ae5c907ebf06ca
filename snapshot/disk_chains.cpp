#include "snapshot/disk_chains.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <set>
#include <system_error>
#include <utility>

#include "base/log.h"
#include "snapshot/capture_support.h"
#include "snapshot/uuid.h"

namespace stasis::snapshot {
namespace {

using devices::ImageFormat;
using devices::ImageLayer;

std::string absolute(const VmDirectory& directory, const std::string& path) {
  return path.starts_with('/') ? path : directory.path() + "/" + path;
}

std::string relative(const VmDirectory& directory, const std::string& path) {
  const std::string folder = directory.path() + "/";
  return path.starts_with(folder) ? path.substr(folder.size()) : path;
}

ImageFormat format_of(PresentLayer::Format format) {
  return format == PresentLayer::Format::kQcow2 ? ImageFormat::kQcow2 : ImageFormat::kRaw;
}

DiskChain configured_chain(const vmm::DiskConfig& disk, std::size_t index) {
  DiskChain chain{disk.id.empty() ? fmt::format("disk{}", index) : disk.id, disk.read_only,
                  disk.backing};
  chain.layers.push_back({disk.path, disk.format});
  return chain;
}

base::Result<std::string> uuid_of(const ImageLayer& layer) {
  if (layer.format != ImageFormat::kQcow2) return std::string();
  auto uuid = devices::overlay_uuid(layer.path);
  if (uuid || uuid.error().kind() != base::ErrorKind::kNotFound) return uuid;
  return std::string();  // a user's own qcow2 file has none
}

base::Result<struct stat> status_of(const ImageLayer& layer) {
  struct stat status {};
  if (::stat(layer.path.c_str(), &status) == 0) return status;
  return base::fail(base::errno_error(fmt::format("disk layer \"{}\"", layer.path)));
}

/// What can be said of a file that is not written any more.
DiskLayer describe_layer(const VmDirectory& directory, const ImageLayer& layer,
                         const struct stat& status, std::string uuid) {
  return {.path = relative(directory, layer.path),
          .format = devices::name_of(layer.format),
          .size_bytes = static_cast<std::uint64_t>(status.st_size),
          .mtime_ns = mtime_ns(status),
          .uuid = std::move(uuid)};
}

base::Result<DiskLayer> record_layer(const VmDirectory& directory, const ImageLayer& layer,
                                     KnownUuids& known) {
  const auto status = TRY(status_of(layer));
  const FileIdentity identity(status);
  auto uuid = known.find(layer.path, identity);
  if (!uuid) {
    uuid = TRY(uuid_of(layer));
    known.keep(layer.path, identity, *uuid);
  }
  return describe_layer(directory, layer, status, std::move(*uuid));
}

base::Result<ImageLayer> proven_layer(const VmDirectory& directory, const DiskLayer& record) {
  if (record.format != "raw" && record.format != "qcow2") {
    return base::fail(
        base::ErrorKind::kUnsupported,
        fmt::format("disk layer \"{}\": of unknown format \"{}\"", record.path, record.format));
  }
  const ImageLayer layer{absolute(directory, record.path),
                         record.format == "qcow2" ? ImageFormat::kQcow2 : ImageFormat::kRaw};
  const auto status = TRY(status_of(layer));
  const DiskLayer now = describe_layer(directory, layer, status, TRY(uuid_of(layer)));
  if (now == record) return layer;
  const char* what = now.uuid != record.uuid               ? "is another image"
                     : now.size_bytes != record.size_bytes ? "has another size"
                                                           : "was written to";
  return base::fail(base::ErrorKind::kCorrupt,
                    fmt::format("disk layer \"{}\": {} since the snapshot was taken; put the file "
                                "of that time back",
                                layer.path, what));
}

}  // namespace

base::Result<std::vector<DiskChain>> present_chains(const VmDirectory& directory,
                                                    const vmm::MachineConfig& config,
                                                    const Present& present) {
  std::vector<DiskChain> chains;
  for (std::size_t i = 0; i < config.disks.size(); ++i) {
    chains.push_back(configured_chain(config.disks[i], i));
  }
  if (present.disks.empty()) return chains;
  if (present.disks.size() != chains.size()) {
    return base::fail(base::ErrorKind::kCorrupt,
                      fmt::format("\"{}/current.json\" has {} disks, the configuration {}",
                                  directory.path(), present.disks.size(), chains.size()));
  }
  for (std::size_t i = 0; i < chains.size(); ++i) {
    if (present.disks[i].id != chains[i].id || present.disks[i].layers.empty()) {
      return base::fail(base::ErrorKind::kCorrupt,
                        fmt::format("\"{}/current.json\": disk {} is \"{}\", the configuration "
                                    "says \"{}\"",
                                    directory.path(), i, present.disks[i].id, chains[i].id));
    }
    chains[i].layers.clear();
    for (const auto& layer : present.disks[i].layers) {
      chains[i].layers.push_back({absolute(directory, layer.path), format_of(layer.format)});
    }
  }
  return chains;
}

vmm::MachineConfig with_chains(vmm::MachineConfig config, const std::vector<DiskChain>& chains) {
  for (std::size_t i = 0; i < chains.size() && i < config.disks.size(); ++i) {
    auto& disk = config.disks[i];
    disk.id = chains[i].id;
    disk.backing = chains[i].layers;
    disk.path = disk.backing.back().path;
    disk.format = disk.backing.back().format;
    disk.backing.pop_back();
  }
  return config;
}

std::vector<PresentDisk> to_present(const VmDirectory& directory,
                                    const std::vector<DiskChain>& chains) {
  std::vector<PresentDisk> disks;
  for (const auto& chain : chains) {
    PresentDisk disk{chain.id, {}};
    for (const auto& layer : chain.layers) {
      const auto format = layer.format == ImageFormat::kQcow2 ? PresentLayer::Format::kQcow2
                                                              : PresentLayer::Format::kRaw;
      disk.layers.push_back({relative(directory, layer.path), format});
    }
    disks.push_back(std::move(disk));
  }
  return disks;
}

base::Result<std::string> overlay_path(const VmDirectory& directory, std::size_t index) {
  return fmt::format("{}/{}-{}.qcow2", directory.disks_path(), index, TRY(make_uuid()));
}

base::Result<std::vector<DiskChain>> with_overlays(const VmDirectory& directory,
                                                   std::vector<DiskChain> chains) {
  for (std::size_t i = 0; i < chains.size(); ++i) {
    if (chains[i].read_only) continue;
    chains[i].layers.push_back({TRY(overlay_path(directory, i)), ImageFormat::kQcow2});
  }
  return chains;
}

base::Result<std::vector<DiskRecord>> record_chains(const VmDirectory& directory,
                                                    const std::vector<DiskChain>& chains,
                                                    KnownUuids& known) {
  std::vector<DiskRecord> records;
  std::set<std::string_view> paths;
  for (const auto& chain : chains) {
    DiskRecord record{chain.id, chain.read_only, {}};
    for (const auto& layer : chain.layers) {
      record.layers.push_back(TRY(record_layer(directory, layer, known)));
      paths.insert(layer.path);
    }
    records.push_back(std::move(record));
  }
  known.keep_only([&](const std::string& path) { return paths.contains(path); });
  return records;
}

base::Result<std::vector<DiskChain>> proven_chains(const VmDirectory& directory,
                                                   const std::vector<DiskRecord>& records) {
  std::vector<DiskChain> chains;
  for (const auto& record : records) {
    DiskChain chain{record.id, record.read_only, {}};
    for (const auto& layer : record.layers) {
      auto proven = proven_layer(directory, layer);
      if (!proven)
        return base::fail(proven.error().with_context(fmt::format("disk {}", record.id)));
      chain.layers.push_back(std::move(*proven));
    }
    chains.push_back(std::move(chain));
  }
  return chains;
}

base::Status remove_unused_layers(const VmDirectory& directory, const Present& present,
                                  const std::vector<Manifest>& manifests) {
  std::set<std::string> used;
  for (const auto& disk : present.disks) {
    for (const auto& layer : disk.layers) used.insert(absolute(directory, layer.path));
  }
  for (const auto& manifest : manifests) {
    for (const auto& disk : manifest.disks) {
      for (const auto& layer : disk.layers) used.insert(absolute(directory, layer.path));
    }
  }
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(directory.disks_path(), error)) {
    const std::string path = entry.path().string();
    if (used.contains(path)) continue;
    if (::unlink(path.c_str()) != 0) return base::fail(base::errno_error(path));
    base::log::info("removed disk layer {}, which no snapshot needs any more", path);
  }
  if (error) {
    return base::fail(base::errno_error(error.value(), directory.disks_path()));
  }
  return {};
}

}  // namespace stasis::snapshot
