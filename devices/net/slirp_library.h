#pragma once

#include <slirp/libslirp.h>

#include "base/result.h"

namespace stasis::devices {

/// The functions of libslirp that are used, found at run time. The library stays loaded until the
/// process ends: GLib, which it brings along, cannot be unloaded.
struct SlirpLibrary {
  decltype(&::slirp_new) create;
  decltype(&::slirp_cleanup) cleanup;
  decltype(&::slirp_pollfds_fill) pollfds_fill;
  decltype(&::slirp_pollfds_poll) pollfds_poll;
  decltype(&::slirp_input) input;
  decltype(&::slirp_add_hostfwd) add_hostfwd;
  decltype(&::slirp_remove_hostfwd) remove_hostfwd;

  /// kUnsupported: `file` is missing or too old; the message names the Debian package.
  static base::Result<SlirpLibrary> load(const char* file = "libslirp.so.0");
};

}  // namespace stasis::devices
