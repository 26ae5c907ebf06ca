/// Preloaded into the program, it makes system calls wait at random, before and after: so races
/// between processes that come up once in a thousand runs come up in one of ten.
///
///     LD_PRELOAD=build/tests/cli/libdelays.so stasis ...

#include <dlfcn.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <random>
#include <thread>

namespace {

struct Odds {
  int percent;
  int most_ms;
};

constexpr Odds kOfDisk{30, 300};
constexpr Odds kOfSocket{20, 50};
constexpr Odds kOfData{5, 30};

void maybe_wait(Odds odds) {
  thread_local std::minstd_rand random{std::random_device{}()};
  if (static_cast<int>(random() % 100) >= odds.percent) return;
  const auto most = std::chrono::microseconds(std::chrono::milliseconds(odds.most_ms));
  std::this_thread::sleep_for(random() % static_cast<unsigned>(most.count()) *
                              std::chrono::microseconds(1));
}

/// The function of the same name of the next library.
template <typename Function>
Function* next(const char* name) {
  return reinterpret_cast<Function*>(::dlsym(RTLD_NEXT, name));
}

template <typename Function, typename... Arguments>
auto delayed(Function* call, Odds odds, Arguments... arguments) {
  maybe_wait(odds);
  const auto answer = call(arguments...);
  const int error = errno;
  maybe_wait(odds);
  errno = error;
  return answer;
}

}  // namespace

extern "C" {

int fsync(int file) {
  static auto* const kCall = next<int(int)>("fsync");
  return delayed(kCall, kOfDisk, file);
}

int fdatasync(int file) {
  static auto* const kCall = next<int(int)>("fdatasync");
  return delayed(kCall, kOfDisk, file);
}

int renameat(int from_folder, const char* from, int to_folder, const char* to) noexcept {
  static auto* const kCall = next<int(int, const char*, int, const char*)>("renameat");
  return delayed(kCall, kOfSocket, from_folder, from, to_folder, to);
}

int connect(int socket, const sockaddr* address, socklen_t size) {
  static auto* const kCall = next<int(int, const sockaddr*, socklen_t)>("connect");
  return delayed(kCall, kOfSocket, socket, address, size);
}

int bind(int socket, const sockaddr* address, socklen_t size) noexcept {
  static auto* const kCall = next<int(int, const sockaddr*, socklen_t)>("bind");
  return delayed(kCall, kOfSocket, socket, address, size);
}

int listen(int socket, int backlog) noexcept {
  static auto* const kCall = next<int(int, int)>("listen");
  return delayed(kCall, kOfSocket, socket, backlog);
}

int accept4(int socket, sockaddr* address, socklen_t* size, int flags) {
  static auto* const kCall = next<int(int, sockaddr*, socklen_t*, int)>("accept4");
  return delayed(kCall, kOfSocket, socket, address, size, flags);
}

ssize_t sendmsg(int socket, const msghdr* message, int flags) {
  static auto* const kCall = next<ssize_t(int, const msghdr*, int)>("sendmsg");
  return delayed(kCall, kOfData, socket, message, flags);
}

ssize_t recvmsg(int socket, msghdr* message, int flags) {
  static auto* const kCall = next<ssize_t(int, msghdr*, int)>("recvmsg");
  return delayed(kCall, kOfData, socket, message, flags);
}

ssize_t send(int socket, const void* bytes, size_t size, int flags) {
  static auto* const kCall = next<ssize_t(int, const void*, size_t, int)>("send");
  return delayed(kCall, kOfData, socket, bytes, size, flags);
}

ssize_t recv(int socket, void* bytes, size_t size, int flags) {
  static auto* const kCall = next<ssize_t(int, void*, size_t, int)>("recv");
  return delayed(kCall, kOfData, socket, bytes, size, flags);
}

ssize_t read(int file, void* bytes, size_t size) {
  static auto* const kCall = next<ssize_t(int, void*, size_t)>("read");
  return delayed(kCall, kOfData, file, bytes, size);
}

ssize_t write(int file, const void* bytes, size_t size) {
  static auto* const kCall = next<ssize_t(int, const void*, size_t)>("write");
  return delayed(kCall, kOfData, file, bytes, size);
}

int poll(pollfd* files, nfds_t count, int timeout) {
  static auto* const kCall = next<int(pollfd*, nfds_t, int)>("poll");
  return delayed(kCall, kOfData, files, count, timeout);
}

int ftruncate(int file, off_t size) noexcept {
  static auto* const kCall = next<int(int, off_t)>("ftruncate");
  return delayed(kCall, kOfSocket, file, size);
}

}  // extern "C"
