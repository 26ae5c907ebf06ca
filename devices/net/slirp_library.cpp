#include "devices/net/slirp_library.h"

#include <fmt/format.h>

#include "devices/net/shared_library.h"

namespace stasis::devices {
namespace {

base::Error missing(const base::Error& why) {
  return {base::ErrorKind::kUnsupported,
          fmt::format("user-mode network: {}; install it with: apt-get install libslirp0",
                      why.message())};
}

template <typename Function>
base::Status find(const SharedLibrary& library, const char* name, Function& function) {
  const auto place = library.find(name);
  if (!place) return base::fail(missing(place.error()));
  function = reinterpret_cast<Function>(*place);
  return {};
}

}  // namespace

base::Result<SlirpLibrary> SlirpLibrary::load(const char* file) {
  const auto library = SharedLibrary::open(file);
  if (!library) return base::fail(missing(library.error()));
  SlirpLibrary found{};
  TRY(find(*library, "slirp_new", found.create));
  TRY(find(*library, "slirp_cleanup", found.cleanup));
  TRY(find(*library, "slirp_pollfds_fill", found.pollfds_fill));
  TRY(find(*library, "slirp_pollfds_poll", found.pollfds_poll));
  TRY(find(*library, "slirp_input", found.input));
  TRY(find(*library, "slirp_add_hostfwd", found.add_hostfwd));
  TRY(find(*library, "slirp_remove_hostfwd", found.remove_hostfwd));
  return found;
}

}  // namespace stasis::devices
