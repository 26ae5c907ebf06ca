// The entry that libFuzzer calls (llvm.org, "libFuzzer: a library for coverage-guided fuzz
// testing").
#include <cstddef>
#include <cstdint>

#include FUZZ_HEADER

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  stasis::fuzz::FUZZ_FUNCTION({data, size});
  return 0;
}
