#include "cimapi/value.h"

#include <catch2/catch.hpp>

namespace stasis::cimapi {

TEST_CASE("values: texts are checked by type and range") {
  CHECK(is_valid_text(Type::kUint16, "65535"));
  for (const char* wrong : {"65536", "-1", "two", "2.0", "", " 2", "0x2"}) {
    CHECK_FALSE(is_valid_text(Type::kUint16, wrong));
  }
  CHECK(is_valid_text(Type::kUint64, "18446744073709551615"));
  CHECK_FALSE(is_valid_text(Type::kUint64, "18446744073709551616"));
  for (const char* truth : {"true", "TRUE", "True", "false"}) {
    CHECK(is_valid_text(Type::kBoolean, truth));
  }
  CHECK_FALSE(is_valid_text(Type::kBoolean, "1"));
  CHECK(is_valid_text(Type::kDatetime, "20240229120000.000000+060"));
  CHECK_FALSE(is_valid_text(Type::kDatetime, "2024-02-29T12:00:00Z"));
}

TEST_CASE("values: timestamps go there and back") {
  CHECK(timestamp_text(1'700'000'000'123'456) == "20231114221320.123456+000");
  CHECK(timestamp_us("20231114221320.123456+000") == 1'700'000'000'123'456U);
  CHECK(timestamp_us("20231114231320.123456+060") == 1'700'000'000'123'456U);
  CHECK_FALSE(timestamp_us("20230230000000.000000+000"));  // no such day
  CHECK_FALSE(timestamp_us("00000000000000.000000+000"));
  CHECK_FALSE(timestamp_us("00000000000500.000000:000"));
}

TEST_CASE("values: intervals go there and back") {
  CHECK(interval_text(300'000'000) == "00000000000500.000000:000");
  CHECK(interval_text(90'061'000'001) == "00000001010101.000001:000");
  CHECK(interval_us("00000001010101.000001:000") == 90'061'000'001U);
  CHECK_FALSE(interval_us("20231114221320.123456+000"));
  CHECK_FALSE(interval_us("0000000000050.000000:000"));
}

TEST_CASE("paths: text there and back, with quotes and nested references") {
  ObjectPath inner{{}, "A", {{"Name", Value::text("say \"hi\" \\o/, a=b")}}};
  CHECK(to_text(inner) == R"(A.Name="say \"hi\" \\o/, a=b")");
  const ObjectPath back = path_from_text(to_text(inner));
  CHECK(back.class_name == "A");
  CHECK(back.key_text("name") == "say \"hi\" \\o/, a=b");
  ObjectPath outer{"root/x", "Link", {{"End", Value::reference(inner)}}};
  const ObjectPath link = path_from_text(to_text(outer));
  CHECK(link.name_space == "root/x");
  CHECK(link.key_text("End") == to_text(inner));
}

TEST_CASE("paths: the spellings of hosts and namespaces") {
  for (
      const char* text :
      {R"(root/virtualization/v2:Msvm_ComputerSystem.CreationClassName="C",Name="N")",
       R"(//my.host:5988/root/virtualization/v2:Msvm_ComputerSystem.Name="N",CreationClassName="C")",
       R"(\\HOST\root\virtualization\v2:Msvm_ComputerSystem.CreationClassName="C",Name="N")"}) {
    const ObjectPath path = path_from_text(text);
    CHECK(path.name_space == "root/virtualization/v2");
    CHECK(path.class_name == "Msvm_ComputerSystem");
    CHECK(path.key_text("Name") == "N");
    CHECK(path.keys.size() == 2);
  }
  CHECK(path_from_text("A.Number=7,Flag=TRUE").key_text("Flag") == "TRUE");
}

TEST_CASE("paths: what is none has no class") {
  for (const char* text : {"", "just words", "A.", "A.Name", "A.Name=", "A.Name=\"open", "A.=\"x\"",
                           "A.Name=\"x\"tail", "A.Name=\"x\",", "7up.Name=\"x\"", ":", "a:b:c d"}) {
    CAPTURE(text);
    const ObjectPath path = path_from_text(text);
    if (std::string_view(text) == "A.") {
      CHECK(path.keys.empty());
    } else {
      CHECK(path.class_name.empty());
    }
  }
}

}  // namespace stasis::cimapi
