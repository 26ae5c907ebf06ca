#pragma once

#include <string>

namespace stasis::vmm {

/// How a machine's run came to its end.
struct Ending {
  enum class Kind {
    kPowerOff,       ///< the guest switched itself off
    kReset,          ///< the guest asked to be started anew
    kPanic,          ///< the guest's kernel crashed and said so (pvpanic)
    kTripleFault,    ///< the guest crashed without a word
    kInternalError,  ///< KVM cannot run this guest on this host
    kStopped,        ///< the host asked for the end
  };
  Kind kind = Kind::kStopped;
  std::string detail;  ///< one sentence; may be empty
};

}  // namespace stasis::vmm
