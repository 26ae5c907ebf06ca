#include "devices/legacy/vm_gen_id.h"

#include <sys/random.h>

#include <span>

#include "base/check.h"

namespace stasis::devices {

namespace {

void publish(const VmGenId::Wiring& wiring, const VmGenIdState& state) {
  const bool is_ram = wiring.memory.write(wiring.address, std::as_bytes(std::span(state.guid)));
  STASIS_CHECK(is_ram);  // the machine's layout put it there
}

}  // namespace

base::Result<VmGenId::State> VmGenId::random_state() {
  State state;
  // Up to 256 bytes come whole or not at all (getrandom(2)).
  if (::getrandom(state.guid.data(), state.guid.size(), 0) < 0) {
    return base::fail(base::errno_error("generation ID: getrandom"));
  }
  return state;
}

VmGenId::VmGenId(Wiring wiring, State state) : wiring_(wiring), state_(state) {
  publish(wiring_, state_);
}

base::Status VmGenId::set_new_generation() {
  const State fresh = TRY(random_state());
  {
    const std::lock_guard lock(mutex_);
    state_ = fresh;
    publish(wiring_, state_);
  }
  wiring_.notifier.announce_generation_change();
  return {};
}

VmGenId::State VmGenId::save() const {
  const std::lock_guard lock(mutex_);
  return state_;
}

}  // namespace stasis::devices
