#include "cimapi/wbem_handler.h"

#include <fmt/format.h>

#include <array>
#include <optional>

#include "cimapi/setting_data.h"

namespace stasis::cimapi {
namespace {

constexpr unsigned kOk = 200;
constexpr unsigned kBadRequest = 400;
constexpr unsigned kNotFound = 404;
constexpr unsigned kMethodNotAllowed = 405;
constexpr unsigned kNotImplemented = 501;

struct FaultRow {
  unsigned status;
  std::string_view cim_error;
};

/// In the order of MessageFault.
constexpr std::array<FaultRow, 6> kFaults = {{
    {kBadRequest, "request-not-well-formed"},
    {kBadRequest, "request-not-valid"},
    {kNotImplemented, "unsupported-cim-version"},
    {kNotImplemented, "unsupported-dtd-version"},
    {kNotImplemented, "unsupported-protocol-version"},
    {kNotImplemented, "multiple-requests-unsupported"},
}};

bool is_xml(std::string_view content_type) {
  const std::string_view type = content_type.substr(0, content_type.find_first_of("; "));
  return same_name(type, "application/xml") || same_name(type, "text/xml");
}

std::optional<HttpResponse> check_http(const HttpRequest& request) {
  if (request.verb == "M-POST") return http_fault(kNotImplemented, "", "use POST");
  if (request.verb != "POST") return http_fault(kMethodNotAllowed, "", "use POST");
  if (request.target != kWbemTarget && request.target != "/") {
    return http_fault(kNotFound, "", fmt::format("use {}", kWbemTarget));
  }
  if (header(request.headers, "Host").empty()) return http_fault(kBadRequest, "", "no Host");
  if (!is_xml(header(request.headers, "Content-Type"))) {
    return http_fault(kBadRequest, "", "Content-Type: use application/xml");
  }
  if (request.body.empty()) return http_fault(kBadRequest, "", "no body");
  return std::nullopt;
}

std::optional<HttpResponse> check_cim_headers(const HttpRequest& request) {
  if (!header(request.headers, "CIMBatch").empty()) {
    return http_fault(kNotImplemented, "multiple-requests-unsupported", "one request a message");
  }
  if (!same_name(header(request.headers, "CIMOperation"), "MethodCall")) {
    return http_fault(kBadRequest, "unsupported-operation", "CIMOperation: use MethodCall");
  }
  const std::string_view version = header(request.headers, "CIMProtocolVersion");
  if (!version.empty() && !version.starts_with("1.")) {
    return http_fault(kNotImplemented, "unsupported-protocol-version", "only 1.x is served");
  }
  return std::nullopt;
}

/// The headers say once more which method of which object is called.
bool is_as_in_headers(const HttpRequest& http, const Request& request) {
  if (!same_name(percent_decoded(header(http.headers, "CIMMethod")), request.method)) return false;
  const std::string object = percent_decoded(header(http.headers, "CIMObject"));
  if (request.is_intrinsic) return same_name(object, request.object.name_space);
  const ObjectPath path = path_from_text(object);
  return same_name(path.name_space, request.object.name_space) &&
         same_name(path.class_name, request.object.class_name);
}

HttpResponse cim_response(std::string body) {
  return {kOk,
          {{"Content-Type", "application/xml; charset=\"utf-8\""},
           {"CIMOperation", "MethodResponse"},
           {"Cache-Control", "no-cache"}},
          std::move(body)};
}

HttpResponse deny(const Request& request) {
  const auto error =
      cim_fail(CimStatus::kAccessDenied, "only the machine's user and root are served");
  return cim_response(request.is_intrinsic ? intrinsic_response(request, error)
                                           : method_response(request, error));
}

}  // namespace

HttpResponse http_fault(unsigned status, std::string_view cim_error, std::string_view text) {
  HttpResponse response{status, {{"Content-Type", "text/plain"}}, std::string(text) + "\n"};
  if (!cim_error.empty()) response.headers.emplace_back("CIMError", cim_error);
  if (status == kMethodNotAllowed) response.headers.emplace_back("Allow", "POST");
  return response;
}

HttpResponse handle_wbem(ObjectManager& manager, const HttpRequest& http, Caller caller) {
  if (auto fault = check_http(http)) return *fault;
  if (auto fault = check_cim_headers(http)) return *fault;
  const auto request = decode_request(http.body);
  if (!request) {
    const FaultRow& row = kFaults[static_cast<std::size_t>(request.error().fault)];
    return http_fault(row.status, row.cim_error, request.error().text);
  }
  if (!is_as_in_headers(http, *request)) {
    return http_fault(kBadRequest, "header-mismatch", "CIMMethod or CIMObject: not as in the body");
  }
  if (caller == Caller::kStranger) return deny(*request);
  ObjectManager::Reply reply = manager.answer(*request);
  HttpResponse response = cim_response(std::move(reply.body));
  if (reply.reason) {
    response.headers.emplace_back(kReasonHeader, percent_encoded(kind_name(reply.reason->kind()) +
                                                                 " " + reply.reason->message()));
  }
  return response;
}

}  // namespace stasis::cimapi
