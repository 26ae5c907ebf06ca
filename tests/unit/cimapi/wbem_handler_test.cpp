#include "cimapi/wbem_handler.h"

#include <catch2/catch.hpp>

#include "cimapi/xml_writer.h"
#include "tests/unit/cimapi/service_fixture.h"

namespace stasis::cimapi {
namespace {

using namespace stasis::cimapi::testing;

Request operation(const char* name, std::vector<Property> parameters,
                  const char* name_space = kV2Name) {
  Request request;
  request.message_id = "1";
  request.method = name;
  request.object.name_space = name_space;
  request.parameters = std::move(parameters);
  return request;
}

Request call(ObjectPath object, const char* method, std::vector<Property> parameters) {
  Request request = operation(method, std::move(parameters));
  if (object.name_space.empty()) object.name_space = kV2Name;
  request.is_intrinsic = false;
  request.object = std::move(object);
  return request;
}

ObjectPath snapshot_service() {
  return service_path(kSnapshotService, kSnapshotServiceName);
}

HttpRequest http_of(const Request& request) {
  HttpRequest http{"POST", "/cimom", {}, encode_request(request)};
  http.headers = {
      {"Host", "h"},
      {"Content-Type", "application/xml; charset=\"utf-8\""},
      {"CIMOperation", "MethodCall"},
      {"CIMMethod", request.method},
      {"CIMObject", request.is_intrinsic ? request.object.name_space : to_text(request.object)}};
  return http;
}

Property class_name(const char* name) {
  return {"ClassName", Value::reference({{}, name, {}})};
}
Property instance_name(const ObjectPath& path) {
  return {"InstanceName", Value::reference(path)};
}

struct WbemFixture : ServiceFixture {
  HttpResponse send(const Request& request) {
    return handle_wbem(manager, http_of(request), Caller::kTrusted);
  }
  /// The status code of the CIM error in the answer; 0: none.
  unsigned error(const Request& request) {
    const HttpResponse response = send(request);
    CHECK(response.status == 200);
    const std::size_t at = response.body.find("<ERROR CODE=\"");
    return at == std::string::npos
               ? 0
               : static_cast<unsigned>(std::stoul(response.body.substr(at + 13)));
  }
  bool has(const Request& request, const std::string& text) {
    return send(request).body.find(text) != std::string::npos;
  }
  /// The return value in the answer to a method call.
  std::uint32_t value(const Request& request) {
    const auto reply = decode_response(send(request).body);
    REQUIRE(reply);
    return reply->return_value;
  }
};

void set(HttpRequest& http, const char* name, const char* value) {
  for (auto& [known, text] : http.headers) {
    if (known == name) text = value;
  }
}

}  // namespace

TEST_CASE("wire: faults of the headers") {
  WbemFixture at;
  HttpRequest http = http_of(operation("EnumerateClassNames", {}));
  const auto fault = [&] {
    const HttpResponse response = handle_wbem(at.manager, http, Caller::kTrusted);
    return std::pair(response.status, std::string(header(response.headers, "CIMError")));
  };
  using Pair = std::pair<unsigned, std::string>;
  SECTION("fine") {
    CHECK(fault() == Pair{200, ""});
  }
  SECTION("verb") {
    http.verb = "GET";
    CHECK(fault() == Pair{405, ""});
    http.verb = "M-POST";
    CHECK(fault() == Pair{501, ""});
  }
  SECTION("target") {
    http.target = "/other";
    CHECK(fault() == Pair{404, ""});
  }
  SECTION("no host") {
    set(http, "Host", "");
    CHECK(fault() == Pair{400, ""});
  }
  SECTION("content type") {
    set(http, "Content-Type", "text/plain");
    CHECK(fault() == Pair{400, ""});
    set(http, "Content-Type", "text/xml");
    CHECK(fault() == Pair{200, ""});
  }
  SECTION("no body") {
    http.body.clear();
    CHECK(fault() == Pair{400, ""});
  }
  SECTION("operation") {
    set(http, "CIMOperation", "Other");
    CHECK(fault() == Pair{400, "unsupported-operation"});
  }
  SECTION("batch") {
    http.headers.emplace_back("CIMBatch", "x");
    CHECK(fault() == Pair{501, "multiple-requests-unsupported"});
  }
  SECTION("protocol version") {
    http.headers.emplace_back("CIMProtocolVersion", "2.0");
    CHECK(fault() == Pair{501, "unsupported-protocol-version"});
  }
  SECTION("another method") {
    set(http, "CIMMethod", "GetClass");
    CHECK(fault() == Pair{400, "header-mismatch"});
  }
  SECTION("no method") {
    set(http, "CIMMethod", "");
    CHECK(fault() == Pair{400, "header-mismatch"});
  }
  SECTION("another object") {
    set(http, "CIMObject", "root/other");
    CHECK(fault() == Pair{400, "header-mismatch"});
  }
  SECTION("the object percent-encoded, in another case") {
    set(http, "CIMObject", "root%2FVirtualization%2Fv2");
    CHECK(fault() == Pair{200, ""});
  }
  SECTION("version of the DTD") {
    http.body.replace(http.body.find("DTDVERSION=\"2"), 13, "DTDVERSION=\"3");
    CHECK(fault() == Pair{501, "unsupported-dtd-version"});
  }
  SECTION("cut short") {
    http.body.resize(http.body.size() / 2);
    CHECK(fault() == Pair{400, "request-not-well-formed"});
  }
}

TEST_CASE("wire: strangers are denied, whatever they ask") {
  WbemFixture at;
  for (const Request& request :
       {operation("EnumerateClassNames", {}), call(*machine(), "RequestStateChange", {})}) {
    const auto response = handle_wbem(at.manager, http_of(request), Caller::kStranger);
    CHECK(response.status == 200);
    CHECK(response.body.find("<ERROR CODE=\"2\"") != std::string::npos);
  }
}

TEST_CASE("wire: CIM errors in their order") {
  WbemFixture at;
  CHECK(at.error(operation("EnumerateInstances", {class_name("CIM_None")}, "root/none")) == 3);
  CHECK(at.error(operation("EnumerateInstances", {class_name("CIM_None")})) == 5);
  CHECK(at.error(operation("EnumerateInstances", {})) == 5);
  CHECK(at.error(operation("GetClass", {})) == 4);
  CHECK(at.error(operation("GetInstance", {})) == 4);
  CHECK(at.error(operation("GetInstance", {instance_name(job_path("x"))})) == 6);
  CHECK(at.error(operation("OpenEnumerateInstances", {class_name("CIM_Job")})) == 7);
  CHECK(at.error(operation("CreateInstance", {})) == 7);
  CHECK(at.error(operation("ExecQuery", {})) == 14);
  CHECK(at.error(call({kV2Name, "CIM_None", {}}, "Go", {})) == 5);
  CHECK(at.error(call(snapshot_service(), "Go", {})) == 17);
  CHECK(at.error(call(service_path("CIM_VirtualSystemSnapshotService", "none"), "CreateSnapshot",
                      {})) == 6);
  // DMTF's class has three methods only
  CHECK(at.error(call(service_path("CIM_VirtualSystemSnapshotService", kSnapshotServiceName),
                      "DestroySnapshotTree", {})) == 17);
  CHECK(at.error(operation("AssociatorNames", {{"ObjectName", Value::reference(job_path("x"))}})) ==
        6);
}

TEST_CASE("wire: parameters of methods are typed by the schema") {
  WbemFixture at;
  const auto create = [&](std::vector<Property> more) {
    std::vector<Property> parameters{{"AffectedSystem", Value::reference(*machine())}};
    parameters.insert(parameters.end(), more.begin(), more.end());
    return call(snapshot_service(), "CreateSnapshot", std::move(parameters));
  };
  for (const char* wrong : {"65536", "-1", "two", "2.0", ""}) {
    CHECK(at.error(create({{"SnapshotType", Value::text(wrong)}})) == 13);
  }
  CHECK(at.error(create({{"SnapshotType", Value::strings({"2"})}})) == 13);
  CHECK(at.error(create({{"SnapshotSettings", Value::reference(*machine())}})) == 13);
  CHECK(at.error(create({{"Colour", Value::text("red")}})) == 4);
  CHECK(at.error(create({{"affectedsystem", Value::reference(*machine())}})) == 4);  // twice
  CHECK(at.vm.seen().calls.empty());
  // texts stand for numbers, names come in any case, values for out-parameters are ignored
  CHECK(at.value(create({{"snapshottype", Value::text("3")},
                         {"ResultingSnapshot", Value::reference(*machine())},
                         {"Job", Value::text("")}})) == 0);
}

TEST_CASE("wire: a REF may come as a path's text; other text is no REF") {
  WbemFixture at;
  const auto create = [&](const char* text) {
    return at.value(call(snapshot_service(), "CreateSnapshot",
                         {{"AffectedSystem", Value::text(text)},
                          {"SnapshotType", Value::number(Type::kUint16, 3)}}));
  };
  CHECK(
      create(
          R"(\\HOST\root\virtualization\v2:Msvm_ComputerSystem.Name="11111111-2222-4333-8444-555555555555")") ==
      0);
  CHECK(create("web1") == 4);
  ObjectPath v1 = service_path(kManagementService, kManagementServiceName);
  v1.name_space = kV1Name;
  CHECK(at.value(call(v1, "CreateVirtualSystemSnapshot",
                      {{"SourceSystem", Value::text("web1")}})) == 32'776);
}

TEST_CASE("wire: references in answers bear the namespace that was asked") {
  WbemFixture at;
  ObjectPath service = snapshot_service();
  service.name_space = kClusterName;
  const auto reply =
      decode_response(at.send(call(service, "CreateSnapshot",
                                   {{"AffectedSystem", Value::reference(*machine())},
                                    {"SnapshotType", Value::number(Type::kUint16, 3)}}))
                          .body);
  REQUIRE(reply);
  REQUIRE(reply->out.size() == 1);  // no Job
  CHECK(reply->out[0].value.as_reference()->name_space == kClusterName);
}

TEST_CASE("wire: the reason of a return value is in a header") {
  WbemFixture at;
  const auto response = at.send(call(snapshot_service(), "ApplySnapshot",
                                     {{"Snapshot", Value::reference(*snapshot_ref(at.root))}}));
  CHECK(percent_decoded(header(response.headers, kReasonHeader)) ==
        "invalid-state machine is running: turn it off first");
  CHECK(header(response.headers, "CIMOperation") == "MethodResponse");
}

TEST_CASE("wire: property lists filter, the path keeps its keys") {
  WbemFixture at;
  const auto ask = [&](Value list) {
    return at
        .send(operation("EnumerateInstances",
                        {class_name("CIM_ConcreteJob"), {"PropertyList", std::move(list)}}))
        .body;
  };
  at.services.snapshots.create_snapshot({machine(), "", 2});
  at.finished_job();
  const std::string one = ask(Value::strings({"jobstate", "Colour"}));
  CHECK(one.find("<KEYBINDING NAME=\"InstanceID\">") != std::string::npos);
  CHECK(one.find("<PROPERTY NAME=\"JobState\"") != std::string::npos);
  CHECK(one.find("<PROPERTY NAME=\"Name\"") == std::string::npos);
  CHECK(ask(Value::strings({})).find("<PROPERTY ") == std::string::npos);
}

TEST_CASE("wire: classes") {
  WbemFixture at;
  const Property job = class_name("CIM_ConcreteJob");
  CHECK(at.has(operation("GetClass", {job}),
               "<CLASS NAME=\"CIM_ConcreteJob\" SUPERCLASS=\"CIM_Job\">"));
  CHECK_FALSE(at.has(operation("GetClass", {job}), "NAME=\"Caption\""));
  CHECK(at.has(operation("GetClass", {job, {"LocalOnly", Value::boolean(false)}}),
               "NAME=\"Caption\""));
  CHECK_FALSE(at.has(operation("GetClass", {job, {"IncludeQualifiers", Value::boolean(false)}}),
                     "QUALIFIER"));
  CHECK(at.has(operation("EnumerateClassNames", {job}),
               "<CLASSNAME NAME=\"Msvm_ConcreteJob\"></CLASSNAME></IRETURNVALUE>"));
  CHECK(at.has(operation("EnumerateClassNames", {job, {"DeepInheritance", Value::boolean(true)}}),
               "Stasis_ConcreteJob"));
  CHECK(at.has(operation("EnumerateClasses", {job}), "<CLASS NAME=\"Msvm_ConcreteJob\""));
}

TEST_CASE("wire: snapshots are renamed by ModifyInstance and not deleted by DeleteInstance") {
  WbemFixture at;
  const ObjectPath path = *snapshot_ref(at.root);
  const auto modify = [&](const char* element_name) {
    HttpRequest http = http_of(operation("ModifyInstance", {}));
    const Instance changed{
        path,
        {{"ElementName", Value::text(element_name)}, {"Notes", Value::strings({"one", "two"})}}};
    const std::string parameter = "<IPARAMVALUE NAME=\"ModifiedInstance\"><VALUE.NAMEDINSTANCE>" +
                                  instance_name_xml(path) +
                                  instance_xml({{{}, path.class_name, {}}, changed.properties}) +
                                  "</VALUE.NAMEDINSTANCE></IPARAMVALUE>";
    http.body.insert(http.body.find("</IMETHODCALL>"), parameter);
    return handle_wbem(at.manager, http, Caller::kTrusted).body;
  };
  CHECK(modify("renamed").find("ERROR") == std::string::npos);
  CHECK(at.vm.snapshots()[0].name == "renamed");
  CHECK(at.vm.snapshots()[0].notes == "one\ntwo");
  CHECK(modify("").find("<ERROR CODE=\"4\"") != std::string::npos);
  CHECK(at.error(operation("ModifyInstance", {})) == 4);
  CHECK(at.error(operation("DeleteInstance", {instance_name(path)})) == 7);
  CHECK(at.error(operation("DeleteInstance", {instance_name(*machine())})) == 7);
}

TEST_CASE("wire: jobs: errors, state changes, removal") {
  WbemFixture at;
  at.vm.fail_next(base::ErrorKind::kIo, "disk <full>");
  at.services.snapshots.create_snapshot({machine(), "", 2});
  const ObjectPath job = job_path(at.finished_job().id);
  const auto error = decode_response(at.send(call(job, "GetError", {})).body);
  REQUIRE(error);
  REQUIRE(error->out.size() == 1);
  const std::string text = error->out[0].value.as_text();
  CHECK(text.find("<INSTANCE CLASSNAME=\"Msvm_Error\">") == 0);
  CHECK(text.find("disk &lt;full&gt;") != std::string::npos);
  CHECK(text.find("CIMStatusCode") != std::string::npos);
  CHECK(at.value(call(job, "KillJob", {})) == 1);
  CHECK(at.value(call(job, "RequestStateChange", {})) == 5);
  CHECK(at.value(call(job, "RequestStateChange",
                      {{"RequestedState", Value::number(Type::kUint16, 4)}})) == 4097);
  CHECK(at.error(call(job_path("none"), "GetError", {})) == 6);
  CHECK(at.error(operation("DeleteInstance", {instance_name(job)})) == 0);
  CHECK(at.error(operation("GetInstance", {instance_name(job)})) == 6);
}

TEST_CASE("wire: a good job has no error") {
  WbemFixture at;
  at.services.snapshots.create_snapshot({machine(), "", 2});
  const ObjectPath job = job_path(at.finished_job().id);
  const auto error = decode_response(at.send(call(job, "GetError", {})).body);
  REQUIRE(error);
  CHECK(error->return_value == 0);
  CHECK(error->out.empty());
}

TEST_CASE("wire: discovery") {
  WbemFixture at;
  for (const char* name_space : {kInteropName, kRootInteropName}) {
    for (const char* name : {kV1Name, kV2Name, kClusterName, kInteropName, kRootInteropName}) {
      CHECK(at.has(operation("EnumerateInstances", {class_name("CIM_Namespace")}, name_space),
                   std::string("<VALUE>") + name + "</VALUE>"));
    }
    CHECK(at.has(operation("EnumerateInstances", {class_name("CIM_ObjectManager")}, name_space),
                 "version " STASIS_VERSION));
    CHECK(at.error(operation("EnumerateInstances", {class_name("CIM_RegisteredProfile")},
                             name_space)) == 0);
  }
}

}  // namespace stasis::cimapi
