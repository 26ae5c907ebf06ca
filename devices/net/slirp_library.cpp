#include "devices/net/slirp_library.h"

#include <dlfcn.h>
#include <fmt/format.h>

namespace stasis::devices {
namespace {

base::Status missing() {
  return base::fail(base::ErrorKind::kUnsupported,
                    fmt::format("user-mode network: {}; install it with: apt-get install libslirp0",
                                ::dlerror()));
}

template <typename Function>
base::Status find(void* library, const char* name, Function& function) {
  void* const symbol = ::dlsym(library, name);
  if (symbol == nullptr) return missing();
  function = reinterpret_cast<Function>(symbol);
  return {};
}

}  // namespace

base::Result<SlirpLibrary> SlirpLibrary::load(const char* file) {
  void* const library = ::dlopen(file, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
  if (library == nullptr) return tl::unexpected(missing().error());
  SlirpLibrary found{};
  TRY(find(library, "slirp_new", found.create));
  TRY(find(library, "slirp_cleanup", found.cleanup));
  TRY(find(library, "slirp_pollfds_fill", found.pollfds_fill));
  TRY(find(library, "slirp_pollfds_poll", found.pollfds_poll));
  TRY(find(library, "slirp_input", found.input));
  TRY(find(library, "slirp_add_hostfwd", found.add_hostfwd));
  TRY(find(library, "slirp_remove_hostfwd", found.remove_hostfwd));
  return found;
}

}  // namespace stasis::devices
