#include "vmm/kvm/host_instance.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <string_view>

#include "base/fd.h"

namespace stasis::vmm {
namespace {

constexpr const char* kMakes[] = {"kvm_intel", "kvm_amd", "kvm_pvm"};

/// The first line of a small system file; empty when it cannot be read.
std::string line_of(const char* path) {
  const base::Fd fd(::open(path, O_RDONLY | O_CLOEXEC));
  if (!fd.is_open()) return "";
  std::array<char, 64> text;
  const ssize_t count = ::read(fd.get(), text.data(), text.size());
  const std::string_view all(text.data(), count < 0 ? 0 : static_cast<std::size_t>(count));
  return std::string(all.substr(0, all.find('\n')));
}

/// " NAME NUMBER" of a module that is there.
std::string module_text(const char* name) {
  struct stat status {};
  if (::stat(fmt::format("/sys/module/{}", name).c_str(), &status) != 0) return "";
  return fmt::format(" {} {}", name, status.st_ino);
}

}  // namespace

std::string host_instance() {
  const std::string boot = line_of("/proc/sys/kernel/random/boot_id");
  const std::string kvm = module_text("kvm");
  std::string make;
  for (const char* name : kMakes) make += module_text(name);
  if (boot.empty() || kvm.empty() || make.empty()) return "";
  return fmt::format("{}{}{} {}", boot, kvm, make,
                     line_of("/sys/devices/system/cpu/cpu0/microcode/version"));
}

}  // namespace stasis::vmm
