#include "cli/standard_files.h"

#include <fcntl.h>
#include <unistd.h>

#include <initializer_list>

namespace stasis::cli {

void hold_standard_files() {
  for (const int number : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    // open(2) takes the lowest free number, which is this one
    if (::fcntl(number, F_GETFD) < 0) static_cast<void>(::open("/dev/null", O_RDWR | O_CLOEXEC));
  }
}

}  // namespace stasis::cli
