#pragma once

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>
#include <vector>

#include "snapshot/ram_capture.h"
#include "tests/unit/snapshot/snapshot_fixtures.h"

namespace stasis::snapshot {

/// What a writer sees of itself, seen from its own calls; in memory shared with the test.
struct WriterFacts {
  std::atomic<pid_t> process{0};
  std::atomic<unsigned> open_files{0};
  std::atomic<int> nice{0};
  std::atomic<int> oom_score{0};
  std::atomic<bool> hold{false};  ///< the writer waits at its first write
};

inline int oom_score() {
  std::array<char, 16> text{};
  const base::Fd file(::open("/proc/self/oom_score_adj", O_RDONLY | O_CLOEXEC));
  return ::read(file.get(), text.data(), text.size() - 1) > 0 ? std::atoi(text.data()) : -1;
}

class WatchingOps : public FileOps {
 public:
  WatchingOps() {
    void* memory =
        ::mmap(nullptr, sizeof *facts, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    REQUIRE(memory != MAP_FAILED);
    facts = new (memory) WriterFacts;
  }
  ~WatchingOps() override { ::munmap(facts, sizeof *facts); }
  WatchingOps(const WatchingOps&) = delete;
  WatchingOps& operator=(const WatchingOps&) = delete;

  ssize_t write_at(int file, const void* data, std::size_t size,
                   std::uint64_t offset) const override {
    unsigned open_files = 0;  // counted first: the file below is one
    for (int fd = 3; fd < 100; ++fd) open_files += ::fcntl(fd, F_GETFD) >= 0 ? 1U : 0U;
    facts->open_files = open_files;
    facts->nice = ::nice(0);
    facts->oom_score = oom_score();
    facts->process = ::getpid();
    while (facts->hold) ::usleep(1000);
    return FileOps::write_at(file, data, size, offset);
  }
  std::uint64_t free_bytes(int file) const override {
    return free_limit != 0 ? free_limit : FileOps::free_bytes(file);
  }
  pid_t wait_for_writer() const {
    while (facts->process == 0) ::usleep(1000);
    return facts->process;
  }

  WriterFacts* facts = nullptr;
  std::uint64_t free_limit = 0;
};

inline std::vector<pid_t> children_of(pid_t process) {
  const std::string id = std::to_string(process);
  std::ifstream file("/proc/" + id + "/task/" + id + "/children");
  return {std::istream_iterator<pid_t>(file), {}};
}

struct Capture {
  ScratchFolder scratch;
  PlainRam ram;
  WatchingOps ops;
  CountingObserver observer;
  std::unique_ptr<RamCapture> capture;

  void start(const RamCaptureOptions& options) {
    auto prepared = prepare_ram_capture(scratch.open(), ram.size(), options, ops);
    REQUIRE(prepared);
    capture = std::move(*prepared);
    REQUIRE(capture->capture(ram.regions(), observer));
    capture->guest_runs();
  }
};

}  // namespace stasis::snapshot
