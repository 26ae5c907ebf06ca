#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "devices/block/image_layer.h"

namespace stasis::vmm {

enum class CpuModel {
  kHost,      ///< what the host's KVM supports, less what cannot be snapshotted by default
  kBaseline,  ///< a subset that any x86-64-v2 host of the same vendor has
};

/// What one disk is.
struct DiskConfig {
  std::string path;
  bool read_only = false;
  std::string
      id;  ///< serial number the guest reads; at most 20 bytes; default "disk0", "disk1", ...
  devices::ImageFormat format = devices::ImageFormat::kRaw;
  std::vector<devices::ImageLayer> backing = {};  ///< what lies below `path`, base first
};

/// One forwarded TCP or UDP port of user-mode networking.
struct PortForward {
  bool udp = false;
  std::uint16_t host_port = 0;  ///< on 127.0.0.1
  std::uint16_t guest_port = 0;
};

/// User-mode networking (libslirp): guest 10.0.2.15/24, gateway and host 10.0.2.2, DNS 10.0.2.3.
struct UserNetConfig {
  std::vector<PortForward> forwards;
};

struct ConsoleConfig {
  enum class Kind { kNone, kStdio, kFile };
  enum class Port { kSerial, kVirtio };  ///< COM1 (ttyS0) or virtio-console (hvc0)
  Kind kind = Kind::kStdio;
  Port port = Port::kSerial;
  std::string file;  ///< for kFile: appended to
};

/// A machine, complete: what `stasis run` asks for and what a snapshot will record.
struct MachineConfig {
  std::string name = "vm";
  std::string kernel;
  std::string initrd;   ///< empty: none
  std::string cmdline;  ///< as the guest sees it
  unsigned cpus = 1;    ///< 1..32
  std::uint64_t memory_bytes = std::uint64_t{256} << 20;
  CpuModel cpu_model = CpuModel::kHost;
  std::vector<DiskConfig> disks;
  std::optional<UserNetConfig> net;
  ConsoleConfig console;
  bool rng = true;
};

inline constexpr unsigned kMaxCpus = 32;

}  // namespace stasis::vmm
