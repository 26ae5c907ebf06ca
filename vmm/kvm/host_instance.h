#pragma once

#include <string>

namespace stasis::vmm {

/// Names this boot of this host's kernel, its KVM as it is loaded now and the processors'
/// microcode: under one name KVM_GET_SUPPORTED_CPUID always gives the same. Empty when that cannot
/// be told (/proc or /sys not there, a KVM of an unknown make): then nothing may be concluded.
///
/// From /proc/sys/kernel/random/boot_id (random(4)), the inode numbers of KVM's modules in /sys,
/// which are given out anew when a module is loaded again, and the microcode's version, as
/// microcode can take features away while the host runs.
std::string host_instance();

}  // namespace stasis::vmm
