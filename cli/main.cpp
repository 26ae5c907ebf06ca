#include <cstdio>

int main() {
  std::puts("stasis " STASIS_VERSION);
  return 0;
}
