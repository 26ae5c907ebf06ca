#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

#include "base/result.h"
#include "vmm/machine_config.h"

namespace stasis::snapshot {

class JsonReader;

/// What a named machine is, from its creation on: `config.json`.
struct VmConfig {
  std::string id;  ///< UUID in upper case
  std::uint64_t created_unix_us = 0;
  bool restart_on_reboot = true;  ///< else a reboot of the guest ends it
  vmm::MachineConfig machine;     ///< paths are absolute
};

/// The newest layout of `config.json` that this program writes and reads.
inline constexpr std::uint64_t kConfigSchema = 1;

/// kInvalidArgument when a path or text is not UTF-8, which JSON cannot hold.
base::Result<std::string> encode_config(const VmConfig& config);

/// kUnsupported: of a newer schema; kCorrupt: anything that does not fit, with its place.
base::Result<VmConfig> decode_config(std::string_view text);

/// A machine's configuration as a JSON object, as `config.json` and manifests hold it.
base::Result<std::string> machine_text(const vmm::MachineConfig& machine);
base::Result<vmm::MachineConfig> machine_from_json(JsonReader& reader);

/// `value` as lines for people and programs. kInvalidArgument when a text is not UTF-8.
base::Result<std::string> json_text(const nlohmann::json& value);

}  // namespace stasis::snapshot
