#pragma once

#include "base/result.h"

namespace stasis::cli {

/// `stasis` is linked statically, which halves the time until `main`; libraries that a run asks for
/// are loaded by its twin, `stasis-dynamic`, which lies beside it or in ../libexec/stasis
/// (docs/decisions/0009-two-programs.md).

/// Goes on as the twin, with the same arguments from the beginning: nothing may have been done yet.
/// Returns at once in a program that can load libraries, else only with an error that names the
/// twin's path.
base::Status become_dynamic_program();

/// What a VM process ends with that would have to load libraries and cannot.
base::Error needs_dynamic_program();
bool is_need_of_dynamic_program(const base::Error& error);

}  // namespace stasis::cli
