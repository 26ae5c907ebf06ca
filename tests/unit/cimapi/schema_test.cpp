#include "cimapi/schema.h"

#include <algorithm>
#include <catch2/catch.hpp>

#include "cimapi/names.h"
#include "tests/unit/cimapi/service_fixture.h"

namespace stasis::cimapi {
namespace {

using testing::ServiceFixture;

constexpr const char* kMof = R"(
[Abstract] class Base { [Key] string Id; uint16 Kinds[]; };
class Leaf : Base {
  [ValueMap{"1", "2"}, Values{"One", "Two"}] uint16 Kind;
  uint32 Go([In, EmbeddedInstance("Base")] string What, [Out] Leaf REF Made, [In] uint16 N[]);
};
class Leaf { boolean Added; };
)";

}  // namespace

TEST_CASE("schema: reads classes, qualifiers and methods") {
  const auto schema = Schema::parse(kMof);
  REQUIRE(schema);
  const SchemaClass* leaf = schema->find("LEAF");
  REQUIRE(leaf != nullptr);
  CHECK(leaf->superclass == "Base");
  const auto properties = schema->properties_of(*leaf);
  REQUIRE(properties.size() == 4);
  CHECK(properties[0].has("key"));
  CHECK(properties[1].is_array);
  CHECK(properties[2].qualifiers[1].values == std::vector<std::string>{"One", "Two"});
  CHECK(properties[3].name == "Added");
  const auto go = schema->find_method("leaf", "go");
  REQUIRE(go);
  REQUIRE(go->parameters.size() == 3);
  CHECK(go->parameters[0].qualifiers[1].values[0] == "Base");
  CHECK(go->parameters[1].reference_class == "Leaf");
  CHECK(go->parameters[1].has("Out"));
  CHECK(go->parameters[2].is_array);
  CHECK(schema->derives("Leaf", "base"));
  CHECK_FALSE(schema->derives("Base", "Leaf"));
  CHECK(schema->below("", false).size() == 1);
  CHECK(schema->below("", true).size() == 2);
}

TEST_CASE("schema: says where a text is wrong") {
  for (const char* text : {"class", "class A {", "class A { colour Name; };", "klass A {};",
                           "class A { uint16 B }; };", "class A { [Key string B; };"}) {
    CAPTURE(text);
    CHECK_FALSE(Schema::parse(text));
  }
}

TEST_CASE("schema: every class has its superclass, every REF its class") {
  ServiceFixture at;
  for (const Space space : {Space::kV1, Space::kV2, Space::kInterop}) {
    const auto objects = at.manager.repository(space);
    const Schema& schema = objects.schema();
    for (const SchemaClass& entry : schema.classes()) {
      CAPTURE(entry.name);
      CHECK((entry.superclass.empty() || schema.find(entry.superclass) != nullptr));
      for (const auto& property : entry.properties) {
        CHECK((property.type != Type::kReference ||
               schema.find(property.reference_class) != nullptr));
      }
    }
  }
}

TEST_CASE("schema: every instance that is served is as its class declares") {
  ServiceFixture at;
  at.vm.fail_next(base::ErrorKind::kIo, "to have a job with an error");
  at.services.snapshots.create_snapshot({testing::machine(), "", 2});
  at.finished_job();
  for (const Space space : {Space::kV1, Space::kV2, Space::kInterop}) {
    const auto objects = at.manager.repository(space);
    const Schema& schema = objects.schema();
    std::size_t count = 0;
    for (const SchemaClass* top : schema.below("", false)) {
      const auto served = objects.enumerate(top->name);
      for (const Instance& instance : *served) {
        ++count;
        const auto declared = schema.properties_of(*schema.find(instance.path.class_name));
        for (const Property& property : instance.properties) {
          CAPTURE(instance.path.class_name, property.name);
          const auto found = std::find_if(
              declared.begin(), declared.end(),
              [&](const SchemaFeature& feature) { return feature.name == property.name; });
          REQUIRE(found != declared.end());
          CHECK(found->type == property.value.type);
          CHECK(found->is_array == property.value.is_array);
          for (const auto& text : property.value.texts) CHECK(is_valid_text(found->type, text));
        }
        for (const SchemaFeature& feature : declared) {
          CAPTURE(instance.path.class_name, feature.name);
          CHECK(feature.has("Key") == (instance.path.key(feature.name) != nullptr));
        }
      }
    }
    CHECK(count > 5);
  }
}

TEST_CASE("schema: what is behind every declared method answers") {
  ServiceFixture at;
  at.services.snapshots.create_snapshot({testing::machine(), "", 2});
  at.finished_job();
  for (const Space space : {Space::kV1, Space::kV2}) {
    const auto objects = at.manager.repository(space);
    const auto served = objects.enumerate("CIM_ManagedElement");
    for (const Instance& object : *served) {
      const std::string& name = object.path.class_name;
      for (const auto& method : objects.schema().methods_of(*objects.schema().find(name))) {
        CAPTURE(name, method.name);
        const auto answer = call_method(at.services, space, name, method.name, {object.path, {}});
        CHECK(answer);
      }
    }
  }
}

}  // namespace stasis::cimapi
