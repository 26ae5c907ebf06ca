#include "snapshot/uuid.h"

#include <catch2/catch.hpp>

using stasis::snapshot::is_uuid;
using stasis::snapshot::make_uuid;

TEST_CASE("A new identifier is a random UUID in upper case") {
  const auto first = make_uuid();
  const auto second = make_uuid();
  REQUIRE(first);
  REQUIRE(second);
  CHECK(is_uuid(*first));
  CHECK(*first != *second);
  CHECK((*first)[14] == '4');
}

TEST_CASE("What is no identifier is told apart") {
  CHECK_FALSE(is_uuid(""));
  CHECK_FALSE(is_uuid("0123456-89AB-CDEF-0123-456789ABCDEF"));
  CHECK_FALSE(is_uuid("01234567-89ab-cdef-0123-456789abcdef"));
  CHECK_FALSE(is_uuid("0123456789ABCDEF0123456789ABCDEF----"));
}
