#include "devices/console/buffered_output.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <thread>

namespace stasis::devices {
namespace {

using Clock = std::chrono::steady_clock;

void write_text(ByteSink& sink, std::string_view text) {
  sink.write({reinterpret_cast<const std::uint8_t*>(text.data()), text.size()});
}

/// Reads until `size` bytes came or nothing comes for two seconds.
std::string read_text(int fd, std::size_t size) {
  std::string text(size, '\0');
  std::size_t done = 0;
  while (done < size) {
    pollfd one{fd, POLLIN, 0};
    if (::poll(&one, 1, 2000) <= 0) break;
    const ssize_t got = ::read(fd, text.data() + done, size - done);
    if (got <= 0) break;
    done += static_cast<std::size_t>(got);
  }
  text.resize(done);
  return text;
}

struct Ends {
  base::Fd reader;
  base::Fd writer;
};

Ends make_pipe() {
  int ends[2];
  REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
  return {base::Fd(ends[0]), base::Fd(ends[1])};
}

Ends make_sockets() {
  int ends[2];
  REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
  return {base::Fd(ends[0]), base::Fd(ends[1])};
}

std::filesystem::path scratch_file() {
  auto path =
      std::filesystem::temp_directory_path() / ("stasis-console-" + std::to_string(::getpid()));
  std::filesystem::remove(path);
  return path;
}

std::string contents(const std::filesystem::path& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

TEST_CASE("output: bytes reach a pipe or a socket at once, without the loop") {
  auto loop = EventLoop::create("test").value();
  const Ends ends = GENERATE(false, true) ? make_pipe() : make_sockets();
  BufferedOutput out(*loop, ends.writer.get(), "test");
  write_text(out, "hello");
  CHECK(read_text(ends.reader.get(), 5) == "hello");
}

TEST_CASE("output: a reader that stops does not hold up the writer, and gets it all later") {
  auto loop = EventLoop::create("test").value();
  const Ends ends = GENERATE(false, true) ? make_pipe() : make_sockets();
  loop->start();
  ::fcntl(ends.writer.get(), F_SETPIPE_SZ, 4096);
  BufferedOutput out(*loop, ends.writer.get(), "test");
  std::string sent;
  const auto began = Clock::now();
  for (int i = 0; i < 600; ++i) {
    const std::string piece(100, static_cast<char>('a' + i % 26));
    write_text(out, piece);
    sent += piece;
  }
  CHECK(Clock::now() - began < std::chrono::seconds(2));
  CHECK(read_text(ends.reader.get(), sent.size()) == sent);
  CHECK(out.dropped_bytes() == 0);
}

TEST_CASE("output: the oldest bytes are dropped and counted when the buffer is full") {
  auto loop = EventLoop::create("test").value();
  const Ends ends = make_pipe();
  ::fcntl(ends.writer.get(), F_SETPIPE_SZ, 4096);
  std::string received;
  std::uint64_t dropped = 0;
  std::thread reader;
  {
    BufferedOutput out(*loop, ends.writer.get(), "test");
    for (int i = 0; i < 200; ++i)
      write_text(out, std::string(1000, static_cast<char>('!' + i % 90)));
    write_text(out, "the end");
    dropped = out.dropped_bytes();
    reader = std::thread([&] { received = read_text(ends.reader.get(), 200'007 - dropped); });
  }
  reader.join();
  CHECK(dropped > 100'000);
  CHECK(received.size() == 200'007 - dropped);
  CHECK(received.substr(received.size() - 7) == "the end");
}

TEST_CASE("output: more than the buffer at once keeps its end") {
  auto loop = EventLoop::create("test").value();
  const Ends ends = make_pipe();
  ::fcntl(ends.writer.get(), F_SETPIPE_SZ, 4096);
  std::thread reader;
  std::string received;
  {
    BufferedOutput out(*loop, ends.writer.get(), "test");
    write_text(out, std::string(500'000, 'x') + "the end");
    CHECK(out.dropped_bytes() > 400'000);
    const std::size_t size = 500'007 - out.dropped_bytes();
    reader = std::thread([&, size] { received = read_text(ends.reader.get(), size); });
  }
  reader.join();
  CHECK(received.substr(received.size() - 7) == "the end");
}

TEST_CASE("output: a reader that went away ends the output, not the program") {
  ::signal(SIGPIPE, SIG_IGN);
  auto loop = EventLoop::create("test").value();
  Ends ends = GENERATE(false, true) ? make_pipe() : make_sockets();
  BufferedOutput out(*loop, ends.writer.get(), "test");
  ends.reader.reset();
  write_text(out, "lost");
  write_text(out, "lost");
  CHECK(out.dropped_bytes() == 8);
}

TEST_CASE("output: a stuck reader delays the end by about a second, no more") {
  auto loop = EventLoop::create("test").value();
  const Ends ends = make_pipe();
  const auto began = Clock::now();
  {
    BufferedOutput out(*loop, ends.writer.get(), "test");
    write_text(out, std::string(200'000, 'x'));
  }
  CHECK(Clock::now() - began < std::chrono::seconds(3));
}

TEST_CASE("output: the caller's descriptor stays blocking") {
  auto loop = EventLoop::create("test").value();
  const Ends ends = make_pipe();
  const BufferedOutput out(*loop, ends.writer.get(), "test");
  CHECK((::fcntl(ends.writer.get(), F_GETFL) & O_NONBLOCK) == 0);
}

TEST_CASE("output: a file is created for its owner only, and appended to") {
  auto loop = EventLoop::create("test").value();
  const auto path = scratch_file();
  write_text(*BufferedOutput::append_to(*loop, path).value(), "one\n");
  write_text(*BufferedOutput::append_to(*loop, path).value(), "two\n");
  CHECK(contents(path) == "one\ntwo\n");
  struct stat status {};
  REQUIRE(::stat(path.c_str(), &status) == 0);
  CHECK((status.st_mode & 0777) == 0600);
  std::filesystem::remove(path);
}

TEST_CASE("output: a file that cannot be written is refused by name") {
  auto loop = EventLoop::create("test").value();
  const auto out = BufferedOutput::append_to(*loop, "/no/such/folder/log");
  REQUIRE_FALSE(out.has_value());
  CHECK_THAT(out.error().message(), Catch::Contains("/no/such/folder/log"));
}

TEST_CASE("output: a FIFO without a reader is refused instead of waited for") {
  auto loop = EventLoop::create("test").value();
  const auto path = scratch_file();
  REQUIRE(::mkfifo(path.c_str(), 0600) == 0);
  CHECK_FALSE(BufferedOutput::append_to(*loop, path).has_value());
  std::filesystem::remove(path);
}

}  // namespace
}  // namespace stasis::devices
