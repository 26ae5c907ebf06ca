#pragma once

#include <sys/wait.h>

#include <catch2/catch.hpp>
#include <chrono>
#include <cstdio>
#include <string>
#include <thread>

#include "devices/block/image_layer.h"

namespace stasis::devices::testing {

struct QemuImgAnswer {
  int status = -1;  ///< exit code of `qemu-img check`: 0 fine, 2 errors, 3 leaks only
  std::string text;
};

/// Runs `qemu-img ARGUMENTS` (by the shell).
inline QemuImgAnswer qemu_tool(const std::string& command) {
  QemuImgAnswer answer;
  FILE* pipe = ::popen((command + " 2>&1").c_str(), "r");
  REQUIRE(pipe != nullptr);
  char part[512];
  while (::fgets(part, sizeof part, pipe) != nullptr) answer.text += part;
  const int status = ::pclose(pipe);
  if (WIFEXITED(status)) answer.status = WEXITSTATUS(status);
  return answer;
}

/// Waits for the files of a process that was killed: the kernel closes those that io_uring used a
/// moment after it.
inline QemuImgAnswer qemu_img(const std::string& arguments) {
  QemuImgAnswer answer;
  for (int i = 0; i < 100; ++i) {
    answer = qemu_tool("qemu-img " + arguments);
    if (answer.text.find("Failed to lock") == std::string::npos) break;
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
  return answer;
}

inline void must_qemu_img(const std::string& arguments) {
  const auto answer = qemu_img(arguments);
  INFO("qemu-img " << arguments << ": " << answer.text);
  REQUIRE(answer.status == 0);
}

/// Neither errors nor leaks.
inline void check_clean(const std::string& path) {
  const auto answer = qemu_img("check -f qcow2 " + path);
  INFO(path << ": " << answer.text);
  CHECK(answer.status == 0);
}

/// Leaked clusters may be there, errors not.
inline void check_no_errors(const std::string& path) {
  const auto answer = qemu_img("check -f qcow2 " + path);
  INFO(path << ": " << answer.text);
  CHECK((answer.status == 0 || answer.status == 3));
}

/// Both read the same, as QEMU sees them; a longer one may only have zeroes more.
inline void check_same(const ImageLayer& a, const ImageLayer& b) {
  const auto answer = qemu_img(std::string("compare -f ") + name_of(a.format) + " -F " +
                               name_of(b.format) + " " + a.path + " " + b.path);
  INFO(a.path << " against " << b.path << ": " << answer.text);
  CHECK(answer.status == 0);
}

}  // namespace stasis::devices::testing
