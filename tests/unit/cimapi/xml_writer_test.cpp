#include "cimapi/xml_writer.h"

#include <catch2/catch.hpp>

#include "cimapi/host_name.h"

namespace stasis::cimapi {

TEST_CASE("writer: an instance as stock clients can read it") {
  Instance instance;
  instance.path.class_name = "A";
  instance.properties = {{"Text", Value::text("")},
                         {"None", Value::null(Type::kUint16)},
                         {"NoTime", Value::null(Type::kDatetime)},
                         {"Flag", Value::boolean(true)},
                         {"List", Value::numbers(Type::kUint16, {1, 2})},
                         {"Empty", Value::strings({})},
                         {"Inner", Value::embedded("<INSTANCE/>")},
                         {"NoInner", [] {
                            Value value = Value::null(Type::kString);
                            value.is_embedded = true;
                            return value;
                          }()}};
  CHECK(instance_xml(instance) ==
        "<INSTANCE CLASSNAME=\"A\">"
        "<PROPERTY NAME=\"Text\" TYPE=\"string\"><VALUE></VALUE></PROPERTY>"
        "<PROPERTY NAME=\"None\" TYPE=\"uint16\"></PROPERTY>"
        "<PROPERTY NAME=\"NoTime\" TYPE=\"datetime\"></PROPERTY>"
        "<PROPERTY NAME=\"Flag\" TYPE=\"boolean\"><VALUE>TRUE</VALUE></PROPERTY>"
        "<PROPERTY.ARRAY NAME=\"List\" TYPE=\"uint16\"><VALUE.ARRAY><VALUE>1</VALUE>"
        "<VALUE>2</VALUE></VALUE.ARRAY></PROPERTY.ARRAY>"
        "<PROPERTY.ARRAY NAME=\"Empty\" TYPE=\"string\"><VALUE.ARRAY></VALUE.ARRAY>"
        "</PROPERTY.ARRAY>"
        "<PROPERTY NAME=\"Inner\" TYPE=\"string\" EmbeddedObject=\"instance\">"
        "<VALUE>&lt;INSTANCE/&gt;</VALUE></PROPERTY>"
        "<PROPERTY NAME=\"NoInner\" TYPE=\"string\"></PROPERTY>"
        "</INSTANCE>");
}

TEST_CASE("writer: paths with and without host") {
  const ObjectPath path{
      "root/x", "A", {{"Id", Value::text("a&b")}, {"N", Value::number(Type::kUint64, 7)}}};
  const std::string name =
      "<INSTANCENAME CLASSNAME=\"A\"><KEYBINDING NAME=\"Id\"><KEYVALUE VALUETYPE=\"string\">a&amp;b"
      "</KEYVALUE></KEYBINDING><KEYBINDING NAME=\"N\"><KEYVALUE VALUETYPE=\"numeric\">7</KEYVALUE>"
      "</KEYBINDING></INSTANCENAME>";
  const std::string space =
      "<LOCALNAMESPACEPATH><NAMESPACE NAME=\"root\"></NAMESPACE><NAMESPACE NAME=\"x\"></NAMESPACE>"
      "</LOCALNAMESPACEPATH>";
  CHECK(instance_name_xml(path) == name);
  CHECK(local_path_xml(path) == "<LOCALINSTANCEPATH>" + space + name + "</LOCALINSTANCEPATH>");
  CHECK(full_path_xml(path) == "<INSTANCEPATH><NAMESPACEPATH><HOST>" + host_name() + "</HOST>" +
                                   space + "</NAMESPACEPATH>" + name + "</INSTANCEPATH>");
}

TEST_CASE("writer: parameters; NULL is left out") {
  CHECK(parameter_xml({"N", Value::number(Type::kUint16, 2)}) ==
        "<PARAMVALUE NAME=\"N\" PARAMTYPE=\"uint16\"><VALUE>2</VALUE></PARAMVALUE>");
  CHECK(parameter_xml({"Job", Value::null(Type::kReference)}).empty());
}

TEST_CASE("writer: characters that XML cannot hold are left out") {
  CHECK(escaped(std::string("a\0b\x01"
                            "c\t\n\r<>&\"",
                            12)) == "abc\t\n&#13;&lt;&gt;&amp;&quot;");
}

}  // namespace stasis::cimapi
