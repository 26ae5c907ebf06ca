// Starts a command and tells when its output first contains a text.
// Usage: first-output [--until TEXT] [--deadline SECONDS] [--input FILE] [--log FILE] -- COMMAND...
// Prints the microseconds from just before the start to that moment; without TEXT, to the first
// byte. The command is killed then. FILE is the command's input; with --log what others write into
// that file is waited for, any byte, instead of what the command prints. Exit status: 0, or 1 when
// it did not come.
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <sys/inotify.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>

namespace {

using Clock = std::chrono::steady_clock;  // CLOCK_MONOTONIC

struct Options {
  std::string until;
  int deadline_s = 60;
  const char* input = "/dev/null";
  const char* log = nullptr;
  char** command = nullptr;
};

Options parse(int argc, char** argv) {
  Options options;
  for (int i = 1; i < argc; ++i) {
    const std::string_view word = argv[i];
    if (word == "--until" && i + 1 < argc) {
      options.until = argv[++i];
    } else if (word == "--deadline" && i + 1 < argc) {
      options.deadline_s = std::atoi(argv[++i]);
    } else if (word == "--input" && i + 1 < argc) {
      options.input = argv[++i];
    } else if (word == "--log" && i + 1 < argc) {
      options.log = argv[++i];
    } else if (word == "--" && i + 1 < argc) {
      options.command = argv + i + 1;
      break;
    }
  }
  return options;
}

/// Starts the command with `output` as its standard output; no messages.
pid_t start(const Options& options, int output) {
  char** command = options.command;
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 0, options.input, O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(&actions, output, 1);
  posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0);
  pid_t child = -1;
  const int failed = posix_spawnp(&child, command[0], &actions, nullptr, command, environ);
  posix_spawn_file_actions_destroy(&actions);
  if (failed == 0) return child;
  std::fprintf(stderr, "first-output: %s: %s\n", command[0], std::strerror(failed));
  std::exit(1);
}

/// Reads until the text is there; false at the end of the output or of the time. What inotify(7)
/// tells of a log is no text: any will do.
bool wait_for(int input, const Options& options, Clock::time_point begin) {
  const auto end = begin + std::chrono::seconds(options.deadline_s);
  std::string seen;
  while (true) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(end - Clock::now());
    pollfd waiting{.fd = input, .events = POLLIN, .revents = 0};
    if (left.count() <= 0 || poll(&waiting, 1, static_cast<int>(left.count())) != 1) return false;
    std::array<char, 4096> chunk;
    const ssize_t size = read(input, chunk.data(), chunk.size());
    if (size <= 0) return false;
    if (options.log != nullptr) return true;
    seen.append(chunk.data(), static_cast<std::size_t>(size));
    if (seen.find(options.until) != std::string::npos) return true;
  }
}

int watch(const char* log) {
  const int watcher = inotify_init1(IN_CLOEXEC);
  if (inotify_add_watch(watcher, log, IN_MODIFY) >= 0) return watcher;
  std::fprintf(stderr, "first-output: %s: %s\n", log, std::strerror(errno));
  std::exit(1);
}

/// Who waits has to be seen to the moment something comes, whoever else wants its CPU; the command
/// has an ordinary turn. Without the right to it, an ordinary turn has to do.
void go_first() {
  const sched_param priority{.sched_priority = 1};
  sched_setscheduler(0, SCHED_FIFO | SCHED_RESET_ON_FORK, &priority);
}

}  // namespace

int main(int argc, char** argv) {
  const Options options = parse(argc, argv);
  std::array<int, 2> ends{};
  if (options.command == nullptr || pipe2(ends.data(), O_CLOEXEC) != 0) {
    std::fprintf(stderr, "usage: first-output [OPTIONS] -- COMMAND...\n");
    return 1;
  }
  go_first();
  const int seen = options.log != nullptr ? watch(options.log) : ends[0];
  const auto begin = Clock::now();
  const pid_t child = start(options, ends[1]);
  close(ends[1]);
  const bool came = wait_for(seen, options, begin);
  const auto took = Clock::now() - begin;
  kill(child, SIGKILL);
  waitpid(child, nullptr, 0);
  if (!came) return 1;
  std::printf("%lld\n", static_cast<long long>(
                            std::chrono::duration_cast<std::chrono::microseconds>(took).count()));
  return 0;
}
