#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/state_codec.h"
#include "vmm/kvm/kvm_system.h"
#include "vmm/machine_state.h"

namespace stasis::vmm {

/// What a saved machine needs of the host that restores it. Small, so that it can be looked at
/// without the state itself.
struct HostNeeds {
  static constexpr std::string_view kName = "host-needs";
  static constexpr std::uint32_t kVersion = 1;
  std::vector<CpuidEntry> cpuid;    ///< as the first vCPU was given it
  std::vector<std::uint32_t> msrs;  ///< indices of the registers that were saved
  std::uint64_t xsave_bytes = 0;
  std::uint32_t tsc_khz = 0;
  std::vector<std::string> capabilities;  ///< "KVM_CAP_...", of which the state makes use
  bool operator==(const HostNeeds&) const = default;

  template <typename Self, typename Fields>
  static void describe(Self& self, Fields& fields) {
    auto& [c, m, x, t, caps] = self;
    fields("cpuid", c)("msrs", m)("xsave_bytes", x)("tsc_khz", t)("capabilities", caps);
  }
};

HostNeeds host_needs(const MachineState& state);

/// Whether this host can do all that; kUnsupported names the first item it cannot: a CPUID bit, an
/// MSR, the size of the XSAVE area, a KVM capability, the rate of the time stamp counter.
/// Fails closed: a capability this build does not know is one that is missing.
base::Status check_host(const HostNeeds& needs);

/// The same less the time stamp counter, for which a VM has to be made, and less the CPUID, which
/// is dear to ask for: see `check_cpuid`.
base::Status check_kvm(const KvmSystem& system, const HostNeeds& needs);

}  // namespace stasis::vmm
