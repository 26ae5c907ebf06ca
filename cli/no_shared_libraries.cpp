// Of the static program alone: takes the place of devices/net/shared_library.cpp.
#include "devices/net/shared_library.h"

namespace stasis::devices {

bool SharedLibrary::can_be_loaded() {
  return false;
}

base::Result<SharedLibrary> SharedLibrary::open(const char* file) {
  return base::fail(base::ErrorKind::kUnsupported,
                    std::string(file) + ": a static program loads no libraries");
}

base::Result<void*> SharedLibrary::find(const char* symbol) const {
  return base::fail(base::ErrorKind::kUnsupported, symbol);
}

}  // namespace stasis::devices
