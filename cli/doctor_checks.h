#pragma once

#include <string>
#include <vector>

#include "vmm/host_probe.h"

namespace stasis::cli {

enum class Health {
  kOk,
  kWarn,  ///< stock guests run; something is slower or missing
  kFail,  ///< stock guests do not run
};

/// One line of `stasis doctor`.
struct Check {
  std::string name;
  Health health = Health::kOk;
  std::string found;
  std::string remedy;  ///< the command that helps; empty when all is well
};

/// Judges a host by its facts.
std::vector<Check> judge_host(const vmm::HostFacts& facts);

/// Whether no check fails: stock guests can run.
bool is_fit(const std::vector<Check>& checks);

/// "vmx", "svm", "emulating" or "none".
std::string kind_name(vmm::KvmKind kind);

/// One line a check, with its remedy below; `with_colour` for terminals.
std::string doctor_text(const std::vector<Check>& checks, bool with_colour);

/// {"schema": 1, "version", "kvm_kind", "stock_guests", "checks": [{"name", "status": "ok" | "warn"
/// | "fail", "found", "remedy": text or null}]}
std::string doctor_json(const std::vector<Check>& checks, vmm::KvmKind kind);

}  // namespace stasis::cli
