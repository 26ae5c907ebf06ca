// Serves a machine that exists on paper only, for stock clients to look at. Ends with its standard
// input. Usage: program SOCKET
#include <cstdio>

#include "cimapi/server.h"
#include "tests/unit/cimapi/fake_vm.h"

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  stasis::cimapi::testing::FakeVm vm;
  vm.add("first", "", true);
  const auto server = stasis::cimapi::Server::open(argv[1], vm);
  if (!server) {
    std::fprintf(stderr, "%s\n", server.error().message().c_str());
    return 1;
  }
  std::puts("ready");
  std::fflush(stdout);
  while (std::getchar() != EOF) {
  }
  return 0;
}
