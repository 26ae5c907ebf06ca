#pragma once

#include "devices/legacy/cmos_rtc.h"
#include "devices/legacy/vm_gen_id.h"

namespace stasis::vmm {

/// What of a machine outlives a reset of its guest, for the machine that comes next: what the
/// battery keeps, and the generation, as a reboot lives nobody's past twice.
struct SurvivingState {
  devices::CmosRtcState rtc;
  devices::VmGenIdState vm_gen_id;
};

}  // namespace stasis::vmm
