#include "cimapi/message.h"

#include <fmt/format.h>

#include <algorithm>

#include "cimapi/xml_reader.h"
#include "cimapi/xml_writer.h"

namespace stasis::cimapi {
namespace {

using base::ErrorKind;

tl::unexpected<MessageError> refuse(MessageFault fault, std::string text) {
  return tl::unexpected<MessageError>(MessageError{fault, std::move(text)});
}

/// An element that is not as DSP0201 says.
tl::unexpected<MessageError> invalid(std::string text) {
  return refuse(MessageFault::kNotValid, std::move(text));
}

struct VersionRule {
  const char* attribute;
  std::string_view prefix;
  MessageFault fault;
};

std::optional<MessageError> wrong_version(pugi::xml_node node, const VersionRule& rule) {
  const std::string_view version = node.attribute(rule.attribute).value();
  if (version.empty()) {
    return MessageError{MessageFault::kNotValid, fmt::format("no {}", rule.attribute)};
  }
  if (version.starts_with(rule.prefix)) return std::nullopt;
  return MessageError{
      rule.fault, fmt::format("{} {}: only {}x is served", rule.attribute, version, rule.prefix)};
}

std::optional<MessageError> check_versions(pugi::xml_node cim, pugi::xml_node message) {
  if (std::string_view(cim.name()) != "CIM" || !message) {
    return MessageError{MessageFault::kNotValid, "expected CIM with MESSAGE"};
  }
  if (auto fault = wrong_version(cim, {"CIMVERSION", "2.", MessageFault::kUnsupportedCimVersion})) {
    return fault;
  }
  if (auto fault = wrong_version(cim, {"DTDVERSION", "2.", MessageFault::kUnsupportedDtdVersion})) {
    return fault;
  }
  return wrong_version(message,
                       {"PROTOCOLVERSION", "1.", MessageFault::kUnsupportedProtocolVersion});
}

std::optional<MessageError> read_object(pugi::xml_node call, Request& request) {
  if (request.is_intrinsic) {
    request.object.name_space = read_name_space(call.child("LOCALNAMESPACEPATH"));
    if (!request.object.name_space.empty()) return std::nullopt;
    return MessageError{MessageFault::kNotValid, "IMETHODCALL without LOCALNAMESPACEPATH"};
  }
  const pugi::xml_node instance = call.child("LOCALINSTANCEPATH");
  request.is_static = !instance;
  auto path = read_path(instance ? instance : call.child("LOCALCLASSPATH"));
  if (!path) return MessageError{MessageFault::kNotValid, path.error().message()};
  request.object = std::move(*path);
  return std::nullopt;
}

std::optional<MessageError> read_parameters(pugi::xml_node call, Request& request) {
  const char* element = request.is_intrinsic ? "IPARAMVALUE" : "PARAMVALUE";
  for (const pugi::xml_node node : call.children(element)) {
    if (const pugi::xml_node named = node.child("VALUE.NAMEDINSTANCE")) {
      auto instance = read_named_instance(named);
      if (!instance) return MessageError{MessageFault::kNotValid, instance.error().message()};
      request.modified_instance = std::move(*instance);
      continue;
    }
    auto parameter = read_parameter(node);
    if (!parameter) return MessageError{MessageFault::kNotValid, parameter.error().message()};
    request.parameters.push_back(std::move(*parameter));
  }
  return std::nullopt;
}

tl::expected<Request, MessageError> read_call(pugi::xml_node simple, Request request) {
  const pugi::xml_node intrinsic = simple.child("IMETHODCALL");
  const pugi::xml_node call = intrinsic ? intrinsic : simple.child("METHODCALL");
  request.is_intrinsic = static_cast<bool>(intrinsic);
  request.method = call.attribute("NAME").value();
  if (request.method.empty()) return invalid("expected IMETHODCALL or METHODCALL with NAME");
  if (auto fault = read_object(call, request)) return tl::unexpected<MessageError>(*fault);
  if (auto fault = read_parameters(call, request)) return tl::unexpected<MessageError>(*fault);
  return request;
}

std::string envelope(const Request& request, std::string_view kind, std::string_view content) {
  return fmt::format(
      "<?xml version=\"1.0\" encoding=\"utf-8\" ?>\n"
      "<CIM CIMVERSION=\"2.0\" DTDVERSION=\"2.0\">"
      "<MESSAGE ID=\"{}\" PROTOCOLVERSION=\"1.0\"><{}>{}</{}></MESSAGE></CIM>\n",
      escaped(request.message_id), kind, content, kind);
}

std::string error_xml(const CimError& error) {
  return fmt::format("<ERROR CODE=\"{}\" DESCRIPTION=\"{}\"></ERROR>",
                     static_cast<unsigned>(error.status), escaped(error.description));
}

ErrorKind kind_of(unsigned status) {
  switch (static_cast<CimStatus>(status)) {
    case CimStatus::kAccessDenied:
      return ErrorKind::kPermissionDenied;
    case CimStatus::kInvalidParameter:
    case CimStatus::kTypeMismatch:
      return ErrorKind::kInvalidArgument;
    case CimStatus::kNotFound:
      return ErrorKind::kNotFound;
    case CimStatus::kFailed:
      return ErrorKind::kIo;
    default:
      return ErrorKind::kUnsupported;
  }
}

base::Result<void> read_results(pugi::xml_node response, Reply& reply) {
  reply.return_value = response.child("RETURNVALUE").child("VALUE").text().as_uint();
  for (const pugi::xml_node node : response.children("PARAMVALUE")) {
    Property parameter = TRY(read_parameter(node));
    reply.out.push_back(std::move(parameter));
  }
  for (const pugi::xml_node node : response.child("IRETURNVALUE").children()) {
    if (std::string_view(node.name()) == "INSTANCE") {
      reply.instances.push_back(TRY(read_instance(node)));
    } else if (node.child("INSTANCE")) {
      reply.instances.push_back(TRY(read_named_instance(node)));
    }
  }
  return {};
}

std::string intrinsic_parameter_xml(const Property& parameter) {
  const ObjectPath* path = parameter.value.as_reference();
  std::string inner;
  if (path == nullptr) {
    inner = value_xml(parameter.value);
  } else if (path->keys.empty()) {
    inner = fmt::format("<CLASSNAME NAME=\"{}\"></CLASSNAME>", escaped(path->class_name));
  } else {
    inner = instance_name_xml(*path);
  }
  return fmt::format("<IPARAMVALUE NAME=\"{}\">{}</IPARAMVALUE>", escaped(parameter.name), inner);
}

}  // namespace

const Value* Request::find(std::string_view name) const {
  const auto found = std::find_if(parameters.begin(), parameters.end(), [&](const Property& entry) {
    return same_name(entry.name, name);
  });
  return found == parameters.end() ? nullptr : &found->value;
}

tl::expected<Request, MessageError> decode_request(std::string_view body) {
  const auto document = parse_xml(body, XmlLimits{});
  if (!document) {
    return refuse(document.error().kind() == ErrorKind::kCorrupt ? MessageFault::kNotWellFormed
                                                                 : MessageFault::kNotValid,
                  document.error().message());
  }
  const pugi::xml_node cim = (*document)->document_element();
  const pugi::xml_node message = cim.child("MESSAGE");
  if (auto fault = check_versions(cim, message)) return tl::unexpected<MessageError>(*fault);
  if (message.child("MULTIREQ")) {
    return refuse(MessageFault::kMultipleRequests, "send one request a message");
  }
  const pugi::xml_node simple = message.child("SIMPLEREQ");
  if (!simple) return invalid("expected SIMPLEREQ");
  Request request;
  request.message_id = message.attribute("ID").value();
  return read_call(simple, std::move(request));
}

std::string intrinsic_response(const Request& request, const CimResult<Content>& result) {
  std::string inner;
  if (!result) {
    inner = error_xml(result.error());
  } else if (result->has_value()) {
    inner = fmt::format("<IRETURNVALUE>{}</IRETURNVALUE>", **result);
  }
  return envelope(request, "SIMPLERSP",
                  fmt::format("<IMETHODRESPONSE NAME=\"{}\">{}</IMETHODRESPONSE>",
                              escaped(request.method), inner));
}

std::string method_response(const Request& request, const CimResult<MethodAnswer>& result) {
  std::string inner;
  if (!result) {
    inner = error_xml(result.error());
  } else {
    inner = fmt::format("<RETURNVALUE PARAMTYPE=\"uint32\"><VALUE>{}</VALUE></RETURNVALUE>",
                        result->return_value);
    for (const Property& parameter : result->out) inner += parameter_xml(parameter);
  }
  return envelope(request, "SIMPLERSP",
                  fmt::format("<METHODRESPONSE NAME=\"{}\">{}</METHODRESPONSE>",
                              escaped(request.method), inner));
}

std::string encode_request(const Request& request) {
  std::string inner;
  if (request.is_intrinsic) {
    inner = name_space_xml(request.object.name_space);
    for (const Property& parameter : request.parameters) {
      inner += intrinsic_parameter_xml(parameter);
    }
    return envelope(
        request, "SIMPLEREQ",
        fmt::format("<IMETHODCALL NAME=\"{}\">{}</IMETHODCALL>", escaped(request.method), inner));
  }
  inner = local_path_xml(request.object);
  for (const Property& parameter : request.parameters) inner += parameter_xml(parameter);
  return envelope(
      request, "SIMPLEREQ",
      fmt::format("<METHODCALL NAME=\"{}\">{}</METHODCALL>", escaped(request.method), inner));
}

base::Result<Reply> decode_response(std::string_view body) {
  constexpr XmlLimits kLimits{std::size_t{64} << 20, 4'000'000, 64};
  const auto document = TRY(parse_xml(body, kLimits));
  const pugi::xml_node simple = document->child("CIM").child("MESSAGE").child("SIMPLERSP");
  const pugi::xml_node intrinsic = simple.child("IMETHODRESPONSE");
  const pugi::xml_node response = intrinsic ? intrinsic : simple.child("METHODRESPONSE");
  if (!response)
    return base::fail(ErrorKind::kCorrupt, "answer of the VM process: no CIM response");
  if (const pugi::xml_node error = response.child("ERROR")) {
    const unsigned status = error.attribute("CODE").as_uint();
    return base::fail(kind_of(status), error.attribute("DESCRIPTION").value());
  }
  Reply reply;
  TRY(read_results(response, reply));
  return reply;
}

}  // namespace stasis::cimapi
