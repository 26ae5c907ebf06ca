#include "cimapi/http_client.h"

#include <fmt/format.h>

#include <boost/asio/connect.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/beast/core/basic_stream.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/http/write.hpp>

#include "cimapi/unix_address.h"

namespace stasis::cimapi {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using base::ErrorKind;
using base::fail;
using boost::system::error_code;

constexpr std::uint64_t kMaxAnswer = std::uint64_t{64} << 20;

http::request<http::string_body> message_of(const HttpRequest& request) {
  http::request<http::string_body> message;
  message.version(11);
  message.method_string(request.verb);
  message.target(request.target);
  for (const auto& [name, value] : request.headers) message.insert(name, value);
  message.body() = request.body;
  message.prepare_payload();
  return message;
}

HttpResponse response_of(http::response<http::string_body> message) {
  HttpResponse response;
  response.status = message.result_int();
  for (const auto& field : message) {
    response.headers.emplace_back(std::string(field.name_string()), std::string(field.value()));
  }
  response.body = std::move(message.body());
  return response;
}

base::Error connect_error(const std::string& path, const error_code& error) {
  if (error == beast::error::timeout) {
    return {ErrorKind::kTimeout, fmt::format("control socket \"{}\": no answer", path)};
  }
  if (error == asio::error::connection_refused) {
    return {ErrorKind::kIo,
            fmt::format("control socket \"{}\": nobody listens: the VM process is gone", path)};
  }
  return base::errno_error(error.value(), fmt::format("control socket \"{}\"", path));
}

base::Error exchange_error(const error_code& error) {
  if (error == beast::error::timeout) {
    return {ErrorKind::kTimeout, "the VM process does not answer"};
  }
  const bool is_gone = error == http::error::end_of_stream ||
                       error == http::error::partial_message ||
                       error == asio::error::connection_reset || error == asio::error::broken_pipe;
  if (is_gone) return {ErrorKind::kIo, "the VM process ended before it answered"};
  return {ErrorKind::kIo, fmt::format("the VM process: {}", error.message())};
}

}  // namespace

class HttpClient::Impl {
 public:
  Impl() { buffer_.reserve(kUsualAnswer); }

  error_code connect(const std::string& name, std::chrono::milliseconds timeout) {
    error_code result;
    stream_.expires_after(timeout);
    stream_.async_connect(asio::local::stream_protocol::endpoint(name),
                          [&](error_code error) { result = error; });
    run();
    return result;
  }

  base::Result<HttpResponse> exchange(const HttpRequest& request,
                                      std::chrono::milliseconds timeout) {
    const auto message = message_of(request);
    error_code result;
    stream_.expires_after(timeout);
    http::async_write(stream_, message, [&](error_code error, std::size_t) { result = error; });
    run();
    if (result) return fail(exchange_error(result));
    http::response_parser<http::string_body> parser;
    parser.body_limit(kMaxAnswer);
    http::async_read(stream_, buffer_, parser,
                     [&](error_code error, std::size_t) { result = error; });
    run();
    if (result) return fail(exchange_error(result));
    return response_of(parser.release());
  }

 private:
  void run() {
    context_.restart();
    context_.run();
  }

  // An answer is read into what room there is: without any, in pieces of 512 bytes.
  static constexpr std::size_t kUsualAnswer = 16 * 1024;

  asio::io_context context_{1};
  beast::basic_stream<asio::local::stream_protocol> stream_{context_};
  beast::flat_buffer buffer_;
};

HttpClient::HttpClient(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
HttpClient::~HttpClient() = default;

base::Result<std::unique_ptr<HttpClient>> HttpClient::connect(const std::string& socket_path,
                                                              std::chrono::milliseconds timeout) {
  const UnixAddress address = TRY(UnixAddress::of(socket_path));
  auto impl = std::make_unique<Impl>();
  if (const error_code error = impl->connect(address.name(), timeout)) {
    return fail(connect_error(socket_path, error));
  }
  return std::unique_ptr<HttpClient>(new HttpClient(std::move(impl)));
}

base::Result<HttpResponse> HttpClient::exchange(const HttpRequest& request,
                                                std::chrono::milliseconds timeout) {
  return impl_->exchange(request, timeout);
}

}  // namespace stasis::cimapi
