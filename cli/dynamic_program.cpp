#include "cli/dynamic_program.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "base/fd.h"
#include "devices/net/shared_library.h"

namespace stasis::cli {
namespace {

using base::ErrorKind;
using base::fail;
using base::Result;
using base::Status;

constexpr std::string_view kNeed = "user-mode network: libslirp is for stasis-dynamic to load";

Result<std::filesystem::path> own_folder() {
  std::error_code error;
  const auto program = std::filesystem::read_symlink("/proc/self/exe", error);
  if (error) return fail(base::errno_error(error.value(), "/proc/self/exe"));
  return program.parent_path();
}

/// As the kernel keeps them: each ends with a zero.
Result<std::string> own_arguments() {
  const base::Fd file = TRY(base::open_file("/proc/self/cmdline", O_RDONLY));
  std::string text;
  std::array<char, 4096> piece;
  for (;;) {
    const ssize_t count = ::read(file.get(), piece.data(), piece.size());
    if (count < 0) return fail(base::errno_error("/proc/self/cmdline"));
    if (count == 0) return text;
    text.append(piece.data(), static_cast<std::size_t>(count));
  }
}

}  // namespace

Status become_dynamic_program() {
  if (devices::SharedLibrary::can_be_loaded()) return {};
  const auto folder = TRY(own_folder());
  std::string arguments = TRY(own_arguments());
  if (!arguments.ends_with('\0')) arguments.push_back('\0');
  std::vector<char*> words;
  for (std::size_t at = 0; at < arguments.size(); at = arguments.find('\0', at) + 1) {
    words.push_back(arguments.data() + at);
  }
  words.push_back(nullptr);
  const std::array places = {folder / "stasis-dynamic",
                             folder.parent_path() / "libexec" / "stasis" / "stasis-dynamic"};
  for (const auto& place : places) ::execv(place.c_str(), words.data());
  return fail(
      ErrorKind::kUnsupported,
      fmt::format("user-mode network: is the work of stasis-dynamic, but neither \"{}\" nor "
                  "\"{}\" can be run ({}); install it there",
                  places[0].string(), places[1].string(), std::strerror(errno)));
}

base::Error needs_dynamic_program() {
  return {ErrorKind::kUnsupported, std::string(kNeed)};
}

bool is_need_of_dynamic_program(const base::Error& error) {
  return error.kind() == ErrorKind::kUnsupported && error.message() == kNeed;
}

}  // namespace stasis::cli
