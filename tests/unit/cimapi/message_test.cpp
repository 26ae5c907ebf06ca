#include "cimapi/message.h"

#include <fmt/format.h>

#include <catch2/catch.hpp>

namespace stasis::cimapi {
namespace {

struct Versions {
  const char* cim = "2.0";
  const char* dtd = "2.0";
  const char* protocol = "1.0";
};

std::string wrapped(const std::string& inner, const Versions& versions = {}) {
  return fmt::format(
      "<?xml version=\"1.0\" encoding=\"utf-8\"?><CIM CIMVERSION=\"{}\" DTDVERSION=\"{}\">"
      "<MESSAGE ID=\"4711\" PROTOCOLVERSION=\"{}\">{}</MESSAGE></CIM>",
      versions.cim, versions.dtd, versions.protocol, inner);
}

const std::string kSpace =
    "<LOCALNAMESPACEPATH><NAMESPACE NAME=\"root\"/><NAMESPACE NAME=\"x\"/></LOCALNAMESPACEPATH>";

std::string intrinsic(const std::string& parameters) {
  return wrapped("<SIMPLEREQ><IMETHODCALL NAME=\"GetInstance\">" + kSpace + parameters +
                 "</IMETHODCALL></SIMPLEREQ>");
}

std::string method(const std::string& parameters) {
  return wrapped(
      "<SIMPLEREQ><METHODCALL NAME=\"Go\"><LOCALINSTANCEPATH>" + kSpace +
      "<INSTANCENAME CLASSNAME=\"A\"><KEYBINDING NAME=\"Id\"><KEYVALUE>1</KEYVALUE></KEYBINDING>"
      "</INSTANCENAME></LOCALINSTANCEPATH>" +
      parameters + "</METHODCALL></SIMPLEREQ>");
}

MessageFault fault(const std::string& body) {
  const auto request = decode_request(body);
  REQUIRE_FALSE(request);
  return request.error().fault;
}

Value parameter(const std::string& inner) {
  const auto request = decode_request(method(inner));
  REQUIRE(request);
  REQUIRE(request->parameters.size() == 1);
  return request->parameters[0].value;
}

}  // namespace

TEST_CASE("requests: faults of the whole message") {
  const std::string call = "<SIMPLEREQ></SIMPLEREQ>";
  CHECK(fault("") == MessageFault::kNotWellFormed);
  CHECK(fault("<CIM") == MessageFault::kNotWellFormed);
  CHECK(fault(intrinsic("").substr(0, 200)) == MessageFault::kNotWellFormed);
  CHECK(fault("<OTHER></OTHER>") == MessageFault::kNotValid);
  CHECK(fault(wrapped("<SIMPLERSP></SIMPLERSP>")) == MessageFault::kNotValid);
  CHECK(fault(wrapped(call)) == MessageFault::kNotValid);
  CHECK(fault(wrapped(call, {"3.0", "2.0", "1.0"})) == MessageFault::kUnsupportedCimVersion);
  CHECK(fault(wrapped(call, {"2.0", "3.0", "1.0"})) == MessageFault::kUnsupportedDtdVersion);
  CHECK(fault(wrapped(call, {"2.0", "2.0", "2.0"})) == MessageFault::kUnsupportedProtocolVersion);
  CHECK(fault(wrapped(call, {"", "2.0", "1.0"})) == MessageFault::kNotValid);
  CHECK(fault(wrapped("<MULTIREQ></MULTIREQ>")) == MessageFault::kMultipleRequests);
  CHECK(fault("<!DOCTYPE CIM>" + intrinsic("").substr(38)) == MessageFault::kNotValid);
  CHECK(fault(method("<PARAMVALUE NAME=\"a\"><VALUE>\xC3\x28</VALUE></PARAMVALUE>")) ==
        MessageFault::kNotValid);
  CHECK(fault(method("<PARAMVALUE></PARAMVALUE>")) == MessageFault::kNotValid);
  CHECK(fault(wrapped("<SIMPLEREQ><IMETHODCALL NAME=\"GetClass\"></IMETHODCALL></SIMPLEREQ>")) ==
        MessageFault::kNotValid);
}

TEST_CASE("requests: an intrinsic one") {
  const auto request = decode_request(
      intrinsic("<IPARAMVALUE NAME=\"InstanceName\"><INSTANCENAME CLASSNAME=\"A\">"
                "<KEYBINDING NAME=\"Id\"><KEYVALUE VALUETYPE=\"numeric\">7</KEYVALUE></KEYBINDING>"
                "</INSTANCENAME></IPARAMVALUE>"
                "<IPARAMVALUE NAME=\"LocalOnly\"><VALUE>FALSE</VALUE></IPARAMVALUE>"
                "<IPARAMVALUE NAME=\"ClassName\"><CLASSNAME NAME=\"B\"/></IPARAMVALUE>"
                "<IPARAMVALUE NAME=\"PropertyList\"><VALUE.ARRAY></VALUE.ARRAY></IPARAMVALUE>"));
  REQUIRE(request);
  CHECK(request->message_id == "4711");
  CHECK(request->is_intrinsic);
  CHECK(request->method == "GetInstance");
  CHECK(request->object.name_space == "root/x");
  CHECK(request->find("instancename")->as_reference()->key_text("Id") == "7");
  CHECK_FALSE(request->find("LocalOnly")->as_boolean());
  CHECK(request->find("ClassName")->as_reference()->class_name == "B");
  CHECK(request->find("PropertyList")->is_array);
  CHECK_FALSE(request->find("PropertyList")->is_null);
}

TEST_CASE("requests: the forms of a parameter") {
  CHECK(parameter("<PARAMVALUE NAME=\"a\"></PARAMVALUE>").is_null);
  CHECK(parameter("<PARAMVALUE NAME=\"a\"><VALUE></VALUE></PARAMVALUE>").as_text().empty());
  CHECK_FALSE(parameter("<PARAMVALUE NAME=\"a\"><VALUE></VALUE></PARAMVALUE>").is_null);
  CHECK(parameter("<PARAMVALUE NAME=\"a\"><VALUE>  </VALUE></PARAMVALUE>").as_text() == "  ");
  CHECK(parameter("<PARAMVALUE NAME=\"a\"><VALUE>&lt;b&gt;<![CDATA[<c>]]></VALUE></PARAMVALUE>")
            .as_text() == "<b><c>");
  CHECK(parameter("<PARAMVALUE NAME=\"a\" EmbeddedObject=\"instance\"><VALUE>&lt;INSTANCE "
                  "CLASSNAME=\"A\"/&gt;</VALUE></PARAMVALUE>")
            .as_text() == "<INSTANCE CLASSNAME=\"A\"/>");
  const Value raw = parameter(
      "<PARAMVALUE NAME=\"a\"><VALUE><INSTANCE CLASSNAME=\"A\"></INSTANCE></VALUE></PARAMVALUE>");
  CHECK(raw.is_embedded);
  CHECK(raw.as_text().starts_with("<INSTANCE CLASSNAME=\"A\""));
}

TEST_CASE("requests: the forms of a reference") {
  const std::string name =
      "<INSTANCENAME CLASSNAME=\"A\"><KEYBINDING NAME=\"Id\"><KEYVALUE>x</KEYVALUE></KEYBINDING>"
      "</INSTANCENAME>";
  const std::string full = "<INSTANCEPATH><NAMESPACEPATH><HOST>h</HOST>" + kSpace +
                           "</NAMESPACEPATH>" + name + "</INSTANCEPATH>";
  const std::string local = "<LOCALINSTANCEPATH>" + kSpace + name + "</LOCALINSTANCEPATH>";
  for (const std::string& form : {full, local, name}) {
    const Value value = parameter("<PARAMVALUE NAME=\"a\"><VALUE.REFERENCE>" + form +
                                  "</VALUE.REFERENCE></PARAMVALUE>");
    REQUIRE(value.as_reference() != nullptr);
    CHECK(value.as_reference()->class_name == "A");
    CHECK(value.as_reference()->key_text("Id") == "x");
    CHECK(value.as_reference()->name_space == (form == name ? "" : "root/x"));
  }
  const Value short_hand = parameter(
      "<PARAMVALUE NAME=\"a\"><VALUE.REFERENCE><INSTANCENAME CLASSNAME=\"A\"><KEYVALUE>x</KEYVALUE>"
      "</INSTANCENAME></VALUE.REFERENCE></PARAMVALUE>");
  CHECK(short_hand.as_reference()->key_text("") == "x");
}

TEST_CASE("requests: what the client writes, the server reads") {
  Request request;
  request.message_id = "1 & 2";
  request.is_intrinsic = false;
  request.method = "Go";
  request.object = {"root/x", "A", {{"Id", Value::text("<1>")}}};
  request.parameters = {{"Text", Value::text("a\tb\r\n\"c\" 'd' \xE2\x82\xAC")},
                        {"Number", Value::number(Type::kUint16, 7)},
                        {"Where", Value::reference(request.object)},
                        {"Many", Value::strings({"a", "", "c"})}};
  const auto back = decode_request(encode_request(request));
  REQUIRE(back);
  CHECK(back->message_id == request.message_id);
  CHECK(to_text(back->object) == to_text(request.object));
  CHECK(back->find("Text")->as_text() == request.parameters[0].value.as_text());
  CHECK(back->find("Number")->as_number() == 7);
  CHECK(to_text(*back->find("Where")->as_reference()) == to_text(request.object));
  CHECK(back->find("Many")->texts == request.parameters[3].value.texts);
}

TEST_CASE("responses: what the server writes, the client reads") {
  Request request;
  request.is_intrinsic = false;
  request.method = "Go";
  MethodAnswer answer{4096,
                      {{"Job", Value::reference({"root/x", "A", {{"Id", Value::text("1")}}})}}};
  const auto reply = decode_response(method_response(request, answer));
  REQUIRE(reply);
  CHECK(reply->return_value == 4096);
  CHECK(reply->out.at(0).value.as_reference()->key_text("Id") == "1");
  const auto error =
      decode_response(method_response(request, cim_fail(CimStatus::kAccessDenied, "not <you>")));
  REQUIRE_FALSE(error);
  CHECK(error.error().kind() == base::ErrorKind::kPermissionDenied);
  CHECK(error.error().message() == "not <you>");
  CHECK_FALSE(decode_response("<html></html>"));
}

TEST_CASE("responses: golden texts, with every tag opened and closed") {
  Request request;
  request.message_id = "7";
  request.method = "GetInstance";
  CHECK(intrinsic_response(request, Content{}) ==
        "<?xml version=\"1.0\" encoding=\"utf-8\" ?>\n"
        "<CIM CIMVERSION=\"2.0\" DTDVERSION=\"2.0\"><MESSAGE ID=\"7\" PROTOCOLVERSION=\"1.0\">"
        "<SIMPLERSP><IMETHODRESPONSE NAME=\"GetInstance\"></IMETHODRESPONSE></SIMPLERSP></MESSAGE>"
        "</CIM>\n");
  CHECK(intrinsic_response(request, cim_fail(CimStatus::kNotFound, "no \"a\""))
            .find("<ERROR CODE=\"6\" DESCRIPTION=\"no &quot;a&quot;\"></ERROR>") !=
        std::string::npos);
  request.method = "CreateSnapshot";
  CHECK(method_response(request, MethodAnswer{4, {{"Job", Value::null(Type::kReference)}}})
            .find("<METHODRESPONSE NAME=\"CreateSnapshot\"><RETURNVALUE PARAMTYPE=\"uint32\">"
                  "<VALUE>4</VALUE></RETURNVALUE></METHODRESPONSE>") != std::string::npos);
}

}  // namespace stasis::cimapi
