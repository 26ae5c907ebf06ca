#include "base/guest_memory.h"

#include <catch2/catch.hpp>
#include <utility>

namespace stasis::base {
namespace {

struct TwoRegions {
  std::vector<std::byte> low = std::vector<std::byte>(0x1000);
  std::vector<std::byte> high = std::vector<std::byte>(0x2000);
  GuestMemory memory{{{{0}, low}, {{0x10000}, high}}};
};

class RecordedMarks : public DirtyMarks {
 public:
  void mark(GuestAddress start, std::size_t size) override { seen.emplace_back(start.value, size); }
  std::vector<std::pair<std::uint64_t, std::size_t>> seen;
};

TEST_CASE_METHOD(TwoRegions, "a slice stays within one region") {
  CHECK(memory.slice({0}, 0x1000));
  CHECK(memory.slice({0x10000}, 0x2000));
  CHECK_FALSE(memory.slice({0xFFF}, 2));
  CHECK_FALSE(memory.slice({0x1000}, 1));
  CHECK_FALSE(memory.slice({0xFFFF}, 2));
  CHECK_FALSE(memory.slice({0x11FFF}, 2));
}

TEST_CASE_METHOD(TwoRegions, "sizes and addresses that overflow are refused") {
  CHECK_FALSE(memory.slice({~std::uint64_t{0}}, 2));
  CHECK_FALSE(memory.slice({0x10000}, ~std::uint64_t{0}));
  CHECK_FALSE(memory.slice({1}, ~std::uint64_t{0}));
}

TEST_CASE_METHOD(TwoRegions, "objects are stored and loaded little-endian at any alignment") {
  REQUIRE(memory.store(GuestAddress{0x10001}, std::uint32_t{0x01020304}));
  CHECK(high[1] == std::byte{4});
  CHECK(memory.load<std::uint32_t>({0x10001}) == 0x01020304U);
  CHECK_FALSE(memory.load<std::uint32_t>({0xFFD}));
}

TEST_CASE("writes are marked dirty, reads are not") {
  std::vector<std::byte> ram(0x1000);
  RecordedMarks marks;
  const GuestMemory memory({{{0x1000}, ram}}, &marks);
  std::byte one{};
  REQUIRE(memory.read({0x1000}, {&one, 1}));
  CHECK(marks.seen.empty());
  REQUIRE(memory.write({0x1800}, {&one, 1}));
  CHECK(marks.seen == std::vector<std::pair<std::uint64_t, std::size_t>>{{0x1800, 1}});
  CHECK_FALSE(memory.write({0x2000}, {&one, 1}));
  CHECK(marks.seen.size() == 1);
}

}  // namespace
}  // namespace stasis::base
