#pragma once

#include <string>

#include "base/result.h"

namespace stasis::devices {

/// A library that is loaded at run time and stays until the process ends.
/// Programs that are linked statically have no loader: they say so by definitions of their own
/// (cli/no_shared_libraries.cpp), which take the place of those in shared_library.cpp.
class SharedLibrary {
 public:
  /// False in a program without a loader: `open` fails always.
  static bool can_be_loaded();

  /// dlopen(3). kUnsupported: its words.
  static base::Result<SharedLibrary> open(const char* file);

  /// dlsym(3). kUnsupported: its words.
  base::Result<void*> find(const char* symbol) const;

 private:
  explicit SharedLibrary(void* handle) : handle_(handle) {}
  void* handle_;
};

}  // namespace stasis::devices
