#include "cimapi/collection_snapshot_service.h"

#include <catch2/catch.hpp>

#include "tests/unit/cimapi/service_fixture.h"

namespace stasis::cimapi {
namespace {
using namespace stasis::cimapi::testing;

Ref collection() {
  return ObjectPath{{}, "Msvm_VirtualSystemCollection", {{"CollectionID", Value::text("c1")}}};
}
}  // namespace

TEST_CASE("collection CreateSnapshot: all parameters are checked before it is not supported") {
  const CollectionSnapshotService service;
  const auto code = [&](const Ref& ref, const char* settings, std::optional<std::uint16_t> type) {
    return service.create_snapshot({ref, settings, type}).return_value;
  };
  CHECK(code(collection(), "", 1) == 1);
  CHECK(code(collection(), "", 2) == 1);
  CHECK(code(collection(), "", 32'768) == 1);
  CHECK(code(collection(), "", 0) == 6);
  CHECK(code(collection(), "", 3) == 6);
  CHECK(code(collection(), "", 32'767) == 6);
  CHECK(code(collection(), "", {}) == 4);
  CHECK(code({}, "", 1) == 4);
  CHECK(code(machine(), "", 1) == 4);
  CHECK(code(no_path(), "", 1) == 4);
  CHECK(code(in_name_space(collection(), kV1Name), "", 1) == 4);
  CHECK(code(ObjectPath{{}, "CIM_CollectionOfMSEs", {}}, "", 1) == 4);
  CHECK(code(collection(), "<broken", 1) == 4);
  CHECK(code(collection(), "<INSTANCE CLASSNAME=\"CIM_ConcreteJob\"></INSTANCE>", 1) == 4);
}

TEST_CASE("collection ApplySnapshot and DestroySnapshot: checked, then not supported") {
  const CollectionSnapshotService service;
  CHECK(service.use_snapshot(collection(), "SnapshotCollection").return_value == 1);
  CHECK(service.use_snapshot({}, "SnapshotCollection").return_value == 4);
}

}  // namespace stasis::cimapi
