#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "vmm/machine_config.h"

namespace stasis::cli {

/// The values of all `--disk FILE[,format=raw][,ro][,id=ID]`, in order. A disk without an id is
/// named "disk" and its place. Refuses ids over 20 bytes, an id twice, a file twice. Errors begin
/// with "--disk".
base::Result<std::vector<vmm::DiskConfig>> parse_disks(std::span<const std::string> values);

/// `--net none` or `--net user[,forward=tcp:H:G]...`. Errors without the option's name.
base::Result<std::optional<vmm::UserNetConfig>> parse_net(const std::string& value);

/// `--console stdio|file=FILE|none[,device=serial|virtio]`. Errors without the option's name.
base::Result<vmm::ConsoleConfig> parse_console(const std::string& value);

/// `cmdline`, with "console=ttyS0" or "console=hvc0" in front when it names no console and there is
/// one.
std::string with_console(const std::string& cmdline, const vmm::ConsoleConfig& console);

}  // namespace stasis::cli
