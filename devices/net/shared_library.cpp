#include "devices/net/shared_library.h"

#include <dlfcn.h>

namespace stasis::devices {
namespace {

tl::unexpected<base::Error> failure() {
  return base::fail(base::ErrorKind::kUnsupported, ::dlerror());
}

}  // namespace

bool SharedLibrary::can_be_loaded() {
  return true;
}

base::Result<SharedLibrary> SharedLibrary::open(const char* file) {
  // NODELETE: GLib, which libslirp brings along, cannot be unloaded.
  void* const handle = ::dlopen(file, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
  if (handle == nullptr) return failure();
  return SharedLibrary(handle);
}

base::Result<void*> SharedLibrary::find(const char* symbol) const {
  void* const place = ::dlsym(handle_, symbol);
  if (place == nullptr) return failure();
  return place;
}

}  // namespace stasis::devices
