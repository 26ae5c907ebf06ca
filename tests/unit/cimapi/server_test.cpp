#include "cimapi/server.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <thread>

#include "base/fd.h"
#include "cimapi/client.h"
#include "tests/unit/cimapi/fake_vm.h"

namespace stasis::cimapi {
namespace {

using namespace std::chrono_literals;
using testing::FakeVm;

const std::string kBody =
    "<?xml version=\"1.0\"?><CIM CIMVERSION=\"2.0\" DTDVERSION=\"2.0\"><MESSAGE ID=\"1\" "
    "PROTOCOLVERSION=\"1.0\"><SIMPLEREQ><IMETHODCALL NAME=\"EnumerateClassNames\">"
    "<LOCALNAMESPACEPATH><NAMESPACE NAME=\"interop\"/></LOCALNAMESPACEPATH></IMETHODCALL>"
    "</SIMPLEREQ></MESSAGE></CIM>";

std::string head(const std::string& more) {
  return "POST /cimom HTTP/1.1\r\nHost: h\r\nContent-Type: application/xml\r\n"
         "CIMOperation: MethodCall\r\nCIMMethod: EnumerateClassNames\r\nCIMObject: interop\r\n" +
         more + "\r\n";
}

std::string request() {
  return head(fmt::format("Content-Length: {}\r\n", kBody.size())) + kBody;
}

/// A socket that sends what it is told and collects what comes.
class RawClient {
 public:
  explicit RawClient(const std::string& path) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path.copy(address.sun_path, sizeof(address.sun_path) - 1);
    is_connected_ =
        ::connect(fd_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0;
  }

  bool is_connected() const { return is_connected_; }
  void send(std::string_view text) {
    while (!text.empty()) {
      const ssize_t sent = ::send(fd_.get(), text.data(), text.size(), MSG_NOSIGNAL);
      if (sent <= 0) return;
      text.remove_prefix(static_cast<std::size_t>(sent));
    }
  }
  /// Reads until `count` times `text` were received, the peer closed, or the time is over.
  std::string receive(std::string_view text, unsigned count = 1,
                      std::chrono::milliseconds time = 5s) {
    const auto deadline = std::chrono::steady_clock::now() + time;
    while (std::chrono::steady_clock::now() < deadline && found(text) < count) {
      pollfd poll{fd_.get(), POLLIN, 0};
      if (::poll(&poll, 1, 10) <= 0) continue;
      char buffer[4096];
      const ssize_t got = ::recv(fd_.get(), buffer, sizeof(buffer), 0);
      if (got <= 0) {
        is_closed_ = true;
        break;
      }
      received_.append(buffer, static_cast<std::size_t>(got));
    }
    return received_;
  }
  bool is_closed() const { return is_closed_; }

 private:
  unsigned found(std::string_view text) const {
    unsigned count = 0;
    for (std::size_t at = received_.find(text); !text.empty() && at != std::string::npos;
         at = received_.find(text, at + text.size())) {
      ++count;
    }
    return count;
  }

  base::Fd fd_{::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)};
  bool is_connected_ = false;
  bool is_closed_ = false;
  std::string received_;
};

struct ServerFixture {
  explicit ServerFixture(const Server::Options& options = {})
      : server(Server::open(path, vm, options)) {
    REQUIRE(server);
  }
  ~ServerFixture() {
    server->reset();
    std::filesystem::remove_all(folder);
  }

  static std::string make_folder() {
    std::string pattern = "/tmp/stasis-server-XXXXXX";
    return ::mkdtemp(pattern.data());
  }

  FakeVm vm;
  std::string folder = make_folder();
  std::string path = folder + "/control.sock";
  base::Result<std::unique_ptr<Server>> server;
};

}  // namespace

TEST_CASE("server: the socket belongs to its owner only and goes with the server") {
  ServerFixture at;
  struct stat status {};
  REQUIRE(::stat(at.path.c_str(), &status) == 0);
  CHECK((status.st_mode & 0777) == 0600);
  at.server->reset();
  CHECK(::stat(at.path.c_str(), &status) != 0);
}

TEST_CASE("server: takes the place of a socket that a dead process left") {
  ServerFixture at;
  FakeVm other;
  const auto second = Server::open(at.path, other);
  CHECK(second);
}

TEST_CASE("server: says why there can be no socket") {
  FakeVm vm;
  const auto server = Server::open("/nonexistent/folder/control.sock", vm);
  REQUIRE_FALSE(server);
  CHECK(server.error().message().find("/nonexistent/folder") != std::string::npos);
}

TEST_CASE("server: requests on one connection are answered in order") {
  ServerFixture at;
  RawClient client(at.path);
  client.send(request() + request());
  const std::string answers = client.receive("</CIM>", 2);
  CHECK(answers.find("HTTP/1.1 200 OK", 10) != std::string::npos);
  CHECK_FALSE(client.is_closed());
}

TEST_CASE("server: a chunked body is read") {
  ServerFixture at;
  RawClient client(at.path);
  client.send(head("Transfer-Encoding: chunked\r\n") + fmt::format("{:x}\r\n", kBody.size()) +
              kBody + "\r\n0\r\n\r\n");
  CHECK(client.receive("</CIM>").find("200 OK") != std::string::npos);
}

TEST_CASE("server: invites a body that waits for 100-continue") {
  ServerFixture at;
  RawClient client(at.path);
  client.send(head(fmt::format("Content-Length: {}\r\nExpect: 100-continue\r\n", kBody.size())));
  CHECK(client.receive("\r\n\r\n") == "HTTP/1.1 100 Continue\r\n\r\n");
  client.send(kBody);
  CHECK(client.receive("</CIM>").find("200 OK") != std::string::npos);
}

TEST_CASE("server: what HTTP itself refuses") {
  ServerFixture at;
  RawClient client(at.path);
  SECTION("another expectation") {
    client.send(head("Content-Length: 5\r\nExpect: tea\r\n"));
    CHECK(client.receive("\r\n\r\n").starts_with("HTTP/1.1 417"));
  }
  SECTION("no length") {
    client.send(head(""));
    CHECK(client.receive("\r\n\r\n").starts_with("HTTP/1.1 411"));
  }
  SECTION("a body that is too large, before it is sent") {
    client.send(head("Content-Length: 104857600\r\n"));
    CHECK(client.receive("\r\n\r\n").starts_with("HTTP/1.1 413"));
  }
  SECTION("a body that turns out too large") {
    client.send(head("Transfer-Encoding: chunked\r\n"));
    const std::string piece(1 << 20, ' ');
    for (int i = 0; i < 6; ++i) client.send("100000\r\n" + piece + "\r\n");
    CHECK(client.receive("\r\n\r\n").starts_with("HTTP/1.1 413"));
  }
  SECTION("what is no HTTP") {
    client.send("hello there\r\n\r\n");
    CHECK(client.receive("\r\n\r\n").starts_with("HTTP/1.1 400"));
  }
}

TEST_CASE("server: slow senders are cut off, also in the middle of the header") {
  Server::Options options;
  options.request_timeout = 100ms;
  ServerFixture at(options);
  for (const std::string& start :
       {std::string("POST /ci"), head("Content-Length: 500\r\n") + "<"}) {
    RawClient client(at.path);
    client.send(start);
    const auto begin = std::chrono::steady_clock::now();
    while (!client.is_closed() && std::chrono::steady_clock::now() - begin < 5s) {
      client.send(" ");  // a byte now and then does not help
      client.receive("nothing", 1, 20ms);
    }
    CHECK(client.is_closed());
  }
}

TEST_CASE("server: idle connections are closed, others are served beside a thousand of them") {
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = std::min<rlim_t>(limit.rlim_max, 4096);
  ::setrlimit(RLIMIT_NOFILE, &limit);
  Server::Options options;
  options.max_connections = 1001;
  ServerFixture at(options);
  std::vector<RawClient> idle;
  for (int i = 0; i < 1000; ++i) REQUIRE(idle.emplace_back(at.path).is_connected());
  auto client = Client::connect(at.path);
  REQUIRE(client);
  CHECK(client->info());
  RawClient surplus(at.path);
  surplus.send(request());
  CHECK(surplus.receive("</CIM>").empty());
  CHECK(surplus.is_closed());
}

TEST_CASE("server: a connection without requests does not stay for ever") {
  Server::Options options;
  options.idle_timeout = 50ms;
  ServerFixture at(options);
  RawClient client(at.path);
  CHECK(client.receive("x").empty());
  CHECK(client.is_closed());
}

TEST_CASE("server: answers others while slow work is under way, and is not idle") {
  ServerFixture at;
  CHECK((*at.server)->idle_time() < 10s);
  at.vm.hold();
  auto client = Client::connect(at.path);
  std::thread worker([&] {
    testing::TestObserver observer;
    CHECK(client->create_snapshot({snapshot::SnapshotKind::kDisk, "x", {}, {}, {}}, observer));
  });
  at.vm.await_held();
  auto other = Client::connect(at.path);
  CHECK(other->info());
  CHECK((*at.server)->idle_time() == 0ms);
  at.vm.let_go();
  worker.join();
  std::this_thread::sleep_for(5ms);
  CHECK((*at.server)->idle_time() > 0ms);
}

TEST_CASE("server: processes of other users are denied") {
  if (::geteuid() != 0) {
    WARN("not root: nobody else to be");
    return;
  }
  ServerFixture at;
  ::chmod(at.folder.c_str(), 0755);
  ::chmod(at.path.c_str(), 0666);
  std::string answer;
  std::thread stranger([&] {
    constexpr long kNobody = 65'534;
    // the system call changes this thread only
    REQUIRE(::syscall(SYS_setresuid, kNobody, kNobody, kNobody) == 0);
    RawClient client(at.path);
    client.send(request());
    answer = client.receive("</CIM>");
  });
  stranger.join();
  CHECK(answer.find("<ERROR CODE=\"2\"") != std::string::npos);
}

TEST_CASE("server: ends while clients wait for it") {
  auto at = std::make_unique<ServerFixture>();
  at->vm.hold();
  std::thread worker([path = at->path] {
    testing::TestObserver observer;
    auto client = Client::connect(path);
    const auto made = client->create_snapshot({}, observer);
    CHECK_FALSE(made);
  });
  at->vm.await_held();
  at->server->reset();  // cancels the job
  worker.join();
  CHECK(at->vm.snapshots().empty());
}

}  // namespace stasis::cimapi
