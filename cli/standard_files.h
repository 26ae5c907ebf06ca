#pragma once

namespace stasis::cli {

/// Opens /dev/null for each of standard input, output and error that the caller has closed, so that
/// no file of ours gets its number. Threads: call before there are others.
void hold_standard_files();

}  // namespace stasis::cli
