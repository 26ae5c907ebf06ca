#include "base/error.h"

#include <catch2/catch.hpp>
#include <cerrno>

#include "base/result.h"

namespace stasis::base {
namespace {

Result<int> half_of(int number) {
  if (number % 2 != 0) return fail(ErrorKind::kInvalidArgument, "odd");
  return number / 2;
}

Result<int> quarter_of(int number) {
  const int half = TRY(half_of(number));
  return TRY(half_of(half));
}

TEST_CASE("TRY gives the value or returns the error") {
  CHECK(quarter_of(8).value() == 2);
  REQUIRE_FALSE(quarter_of(6));
  CHECK(quarter_of(6).error().message() == "odd");
}

TEST_CASE("errno decides the kind of an error") {
  CHECK(errno_error(ENOENT, "x").kind() == ErrorKind::kNotFound);
  CHECK(errno_error(EACCES, "x").kind() == ErrorKind::kPermissionDenied);
  CHECK(errno_error(ENOSPC, "x").kind() == ErrorKind::kOutOfResources);
  CHECK(errno_error(EIO, "x").kind() == ErrorKind::kIo);
  CHECK(errno_error(ENOENT, "\"a\"").message() == "\"a\": No such file or directory");
}

TEST_CASE("context comes in front") {
  const Error error = Error(ErrorKind::kBusy, "locked").with_context("disk \"a\"");
  CHECK(error.message() == "disk \"a\": locked");
  CHECK(error.kind() == ErrorKind::kBusy);
}

}  // namespace
}  // namespace stasis::base
