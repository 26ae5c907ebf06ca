#include "cimapi/server.h"

#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <boost/asio/io_context.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/basic_stream.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/http/write.hpp>
#include <exception>
#include <functional>
#include <optional>
#include <system_error>
#include <thread>

#include "base/log.h"
#include "cimapi/unix_address.h"
#include "cimapi/wbem_handler.h"

namespace stasis::cimapi {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using boost::system::error_code;
using std::chrono::steady_clock;
using Unix = asio::local::stream_protocol;
using Parser = http::request_parser<http::string_body>;

constexpr unsigned kHandlerThreads = 4;  // one may wait for slow work while others are answered
constexpr std::chrono::milliseconds kAcceptRetry{100};
// The guest goes first (nice(2)). With 5 the threads of its disks still waited a tick of the
// scheduler for ours, on two processors.
constexpr int kNiceness = 10;

base::Error socket_error(const std::string& path, const std::error_code& error) {
  return base::errno_error(error.value(), fmt::format("control socket \"{}\"", path));
}

/// Only the machine's own user and root may manage it.
Caller caller_at(int socket) {
  ucred peer{};
  socklen_t length = sizeof(peer);
  if (::getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &length) != 0) return Caller::kStranger;
  return peer.uid == 0 || peer.uid == ::geteuid() ? Caller::kTrusted : Caller::kStranger;
}

HttpRequest request_of(Parser& parser) {
  auto message = parser.release();
  HttpRequest request;
  request.verb = std::string(message.method_string());
  request.target = std::string(message.target());
  for (const auto& field : message) {
    request.headers.emplace_back(std::string(field.name_string()), std::string(field.value()));
  }
  request.body = std::move(message.body());
  return request;
}

/// What a connection asks of its server.
struct Host {
  const Server::Options& options;
  ObjectManager& manager;
  std::function<void(std::function<void()>)> run_elsewhere;  ///< on a thread that may wait
  std::atomic<unsigned>& connections;
  std::atomic<unsigned>& requests;
  std::atomic<steady_clock::rep>& last_request;
};

/// One connection: requests one after the other. Runs on the I/O thread but for `handle`.
class Connection : public std::enable_shared_from_this<Connection> {
 public:
  Connection(Unix::socket socket, Host& host)
      : caller_(caller_at(socket.native_handle())), stream_(std::move(socket)), host_(host) {
    ++host_.connections;
  }
  ~Connection() { --host_.connections; }
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  void serve() { buffer_.size() > 0 ? read_header() : await_request(); }

 private:
  /// The first bytes of a request may take long; the rest may not.
  void await_request() {
    constexpr std::size_t kFirstPart = 2048;
    stream_.expires_after(host_.options.idle_timeout);
    stream_.async_read_some(buffer_.prepare(kFirstPart),
                            [self = shared_from_this()](error_code error, std::size_t count) {
                              if (error) return;
                              self->buffer_.commit(count);
                              self->read_header();
                            });
  }

  void read_header() {
    parser_.emplace();
    parser_->body_limit(host_.options.max_body_bytes);
    stream_.expires_after(host_.options.request_timeout);
    http::async_read_header(
        stream_, buffer_, *parser_,
        [self = shared_from_this()](error_code error, std::size_t) { self->header_read(error); });
  }

  void header_read(error_code error) {
    if (error == http::error::body_limit) return refuse(413, "body too large");
    if (error == beast::error::timeout || error == http::error::end_of_stream) return;
    if (error) return refuse(400, error.message());
    const auto& head = parser_->get();
    if (!parser_->chunked() && !parser_->content_length() && head.method() == http::verb::post) {
      return refuse(411, "no Content-Length");
    }
    const auto expected = head[http::field::expect];
    if (expected.empty()) return read_body();
    if (!beast::iequals(expected, "100-continue")) return refuse(417, "only 100-continue");
    invite();
  }

  void invite() {
    static constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";
    asio::async_write(stream_, asio::buffer(kContinue.data(), kContinue.size()),
                      [self = shared_from_this()](error_code error, std::size_t) {
                        if (!error) self->read_body();
                      });
  }

  void read_body() {
    http::async_read(
        stream_, buffer_, *parser_,
        [self = shared_from_this()](error_code error, std::size_t) { self->body_read(error); });
  }

  void body_read(error_code error) {
    if (error == http::error::body_limit) return refuse(413, "body too large");
    if (error) return;
    stream_.expires_never();
    ++host_.requests;
    host_.run_elsewhere([self = shared_from_this()] { self->handle(); });
  }

  /// On a thread that may wait.
  void handle() {
    const bool keep_alive = parser_->keep_alive();
    HttpResponse response = answer_to(request_of(*parser_));
    asio::post(stream_.get_executor(),
               [self = shared_from_this(), keep_alive, response = std::move(response)]() mutable {
                 self->host_.last_request = steady_clock::now().time_since_epoch().count();
                 --self->host_.requests;
                 self->answer(std::move(response), keep_alive);
               });
  }

  /// The machine must not end by what a library throws here: memory that ran out, most likely.
  HttpResponse answer_to(const HttpRequest& request) {
    try {
      return handle_wbem(host_.manager, request, caller_);
    } catch (const std::exception& thrown) {
      base::log::error("control socket: request failed: {}", thrown.what());
      return http_fault(500, "", thrown.what());
    }
  }

  /// What is left of such a request is not read: the connection ends.
  void refuse(unsigned status, const std::string& text) {
    answer(http_fault(status, "", text), false);
  }

  void answer(HttpResponse response, bool keep_alive) {
    message_.emplace();
    message_->version(11);
    message_->result(response.status);
    for (const auto& [name, value] : response.headers) message_->insert(name, value);
    message_->body() = std::move(response.body);
    message_->keep_alive(keep_alive);
    message_->prepare_payload();
    stream_.expires_after(host_.options.request_timeout);
    http::async_write(stream_, *message_,
                      [self = shared_from_this(), keep_alive](error_code error, std::size_t) {
                        self->answered(error, keep_alive);
                      });
  }

  void answered(error_code error, bool keep_alive) {
    parser_.reset();
    message_.reset();
    if (error) return;
    if (keep_alive) return serve();
    stream_.socket().shutdown(Unix::socket::shutdown_send, error);
    drain();
  }

  /// Closing with unread bytes would reset the connection before the peer has read the answer.
  void drain() {
    constexpr std::size_t kMaxDrained = std::size_t{1} << 20;
    buffer_.clear();
    if (drained_ > kMaxDrained) return;
    stream_.expires_after(std::chrono::seconds(1));
    stream_.async_read_some(buffer_.prepare(4096),
                            [self = shared_from_this()](error_code error, std::size_t count) {
                              self->drained_ += count;
                              if (!error) self->drain();
                            });
  }

  const Caller caller_;
  beast::basic_stream<Unix> stream_;
  Host& host_;
  beast::flat_buffer buffer_;
  std::optional<Parser> parser_;
  std::optional<http::response<http::string_body>> message_;
  std::size_t drained_ = 0;
};

}  // namespace

class Server::Impl {
 public:
  Impl(std::string path, snapshot::VmControl& vm, const Options& options)
      : path_(std::move(path)), options_(options), manager_(vm) {}

  ~Impl() {
    ::unlink(path_.c_str());
    context_.stop();
    if (thread_.joinable()) thread_.join();
    if (pool_) pool_->join();
  }
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  base::Status listen() {
    const UnixAddress address = TRY(UnixAddress::of(path_));
    ::unlink(path_.c_str());
    error_code error;
    acceptor_.open(Unix(), error);
    // the mode that bind gives the file; set later, there would be a moment in between
    if (!error && ::fchmod(acceptor_.native_handle(), S_IRUSR | S_IWUSR) != 0) {
      return base::fail(base::errno_error(fmt::format("control socket \"{}\"", path_)));
    }
    if (!error) acceptor_.bind(Unix::endpoint(address.name()), error);
    if (!error) acceptor_.listen(asio::socket_base::max_listen_connections, error);
    if (error) return base::fail(socket_error(path_, error));
    accept();
    try {
      thread_ = std::thread([this] { run(); });
    } catch (const std::system_error& thrown) {
      return base::fail(socket_error(path_, thrown.code()));
    }
    return {};
  }

  std::chrono::milliseconds idle_time() const {
    if (requests_ > 0 || manager_.jobs().is_working()) return std::chrono::milliseconds(0);
    const auto now = steady_clock::now().time_since_epoch();
    return std::chrono::duration_cast<std::chrono::milliseconds>(
        now - steady_clock::duration(last_request_.load()));
  }

 private:
  /// The priority of this thread and of those that it makes. A wish: nothing depends on it.
  static void give_way_to_guest() { [[maybe_unused]] const int niceness = ::nice(kNiceness); }

  /// What a handler throws ends its connection, not the machine.
  void run() {
    give_way_to_guest();
    for (bool is_over = false; !is_over;) {
      try {
        context_.run();
        is_over = true;
      } catch (const std::exception& thrown) {
        base::log::error("control socket: connection lost: {}", thrown.what());
      }
    }
  }

  void accept() {
    acceptor_.async_accept([this](error_code error, Unix::socket socket) {
      if (!error && connections_ < options_.max_connections) {
        std::make_shared<Connection>(std::move(socket), host_)->serve();
      }
      error ? accept_later() : accept();
    });
  }

  /// Out of descriptors, most likely: do not spin.
  void accept_later() {
    retry_.expires_after(kAcceptRetry);
    retry_.async_wait([this](error_code error) {
      if (!error) accept();
    });
  }

  void run_elsewhere(std::function<void()> task) {  // on the I/O thread
    try {
      if (!pool_) pool_.emplace(kHandlerThreads);
      asio::post(*pool_, task);
    } catch (const std::system_error&) {  // no thread to be had: others wait
      task();
    }
  }

  const std::string path_;
  const Options options_;
  ObjectManager manager_;
  std::atomic<unsigned> connections_{0};
  std::atomic<unsigned> requests_{0};
  std::atomic<steady_clock::rep> last_request_{steady_clock::now().time_since_epoch().count()};
  Host host_{options_,
             manager_,
             [this](std::function<void()> task) { run_elsewhere(std::move(task)); },
             connections_,
             requests_,
             last_request_};
  asio::io_context context_{1};
  Unix::acceptor acceptor_{context_};
  asio::steady_timer retry_{context_};
  std::optional<asio::thread_pool> pool_;  // made by the I/O thread
  std::thread thread_;
};

Server::Server(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Server::~Server() = default;

base::Result<std::unique_ptr<Server>> Server::open(const std::string& socket_path,
                                                   snapshot::VmControl& vm,
                                                   const Options& options) {
  auto impl = std::make_unique<Impl>(socket_path, vm, options);
  TRY(impl->listen());
  return std::unique_ptr<Server>(new Server(std::move(impl)));
}

base::Result<std::unique_ptr<Server>> Server::open(const std::string& socket_path,
                                                   snapshot::VmControl& vm) {
  return open(socket_path, vm, Options{});
}

std::chrono::milliseconds Server::idle_time() const {
  return impl_->idle_time();
}

}  // namespace stasis::cimapi
