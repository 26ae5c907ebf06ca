#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <csignal>
#include <deque>
#include <map>
#include <thread>

#include "devices/block/layered_disk.h"
#include "tests/unit/devices/block_faulty_calls.h"
#include "tests/unit/devices/block_model_disk.h"
#include "tests/unit/devices/block_qemu_img.h"
#include "tests/unit/devices/block_slot_disk.h"

namespace stasis::devices {
namespace {

using namespace testing;

/// Lives in memory that a child shares.
struct SharedRecord {
  SharedRecord()
      : memory(::mmap(nullptr, sizeof(SlotRecord), PROT_READ | PROT_WRITE,
                      MAP_SHARED | MAP_ANONYMOUS, -1, 0)),
        record(*new (memory) SlotRecord) {}
  ~SharedRecord() { ::munmap(memory, sizeof(SlotRecord)); }
  SharedRecord(const SharedRecord&) = delete;
  SharedRecord& operator=(const SharedRecord&) = delete;
  void* memory;
  SlotRecord& record;
};

std::string overlay_path(const TemporaryFolder& folder, unsigned number) {
  return folder / fmt::format("o{}", number);
}

std::vector<ImageLayer> chain(const TemporaryFolder& folder, unsigned overlays) {
  std::vector<ImageLayer> layers{{folder / "base", ImageFormat::kRaw}};
  for (unsigned i = 0; i < overlays; ++i) {
    layers.push_back({overlay_path(folder, i), ImageFormat::kQcow2});
  }
  return layers;
}

/// A writer's life: writes, flushes, puts overlays on top, seals later, ends in order.
bool work(const TemporaryFolder& folder, SlotRecord& record, FileIo::Engine engine,
          unsigned steps) {
  const auto loop = EventLoop::create("test").value();
  const auto disk =
      LayeredDisk::open(chain(folder, record.overlays), {false, engine}, *loop).value();
  SlotWriter writer(*disk, record, 17);
  for (unsigned step = 0; step < steps; ++step) {
    if (!writer.write_some()) return false;
    if (step % 3 == 2 && !writer.flush()) return false;
    if (step % 8 == 7 && !disk->seal_frozen()) return false;
    if (step % 8 != 5) continue;
    auto overlay = disk->prepare_overlay(overlay_path(folder, record.overlays));
    if (!overlay) return false;
    ++record.overlays;
    disk->switch_to(std::move(*overlay));
  }
  return true;
}

/// Runs `child` in a child process; how that ended, as of waitpid(2).
template <typename Child>
int in_child(Child child, std::chrono::microseconds kill_after = {}) {
  const pid_t pid = ::fork();
  REQUIRE(pid >= 0);
  if (pid == 0) ::_exit(child() ? 0 : 1);
  if (kill_after.count() > 0) {
    std::this_thread::sleep_for(kill_after);
    ::kill(pid, SIGKILL);
  }
  int status = 0;
  REQUIRE(::waitpid(pid, &status, 0) == pid);
  return status;
}

void check_slots(LayeredDisk& disk, const SlotRecord& record) {
  for (unsigned slot = 0; slot < kSlots; ++slot) {
    const auto bytes = contents(disk, SlotWriter::offset_of(slot), kSlotBytes);
    for (std::uint64_t at = 0; at < kSlotBytes; at += 512) {
      std::uint32_t version = 0;
      std::memcpy(&version, bytes.data() + at, sizeof version);
      if (version >= record.flushed[slot] && version <= record.started[slot]) continue;
      FAIL_CHECK(fmt::format("slot {} at {}: version {} not in {}..{}", slot, at, version,
                             record.flushed[slot].load(), record.started[slot].load()));
      return;
    }
  }
}

/// What a crash must not have hurt; afterwards the disk is in order again.
void check_after_crash(const TemporaryFolder& folder, const SlotRecord& record) {
  const auto layers = chain(folder, record.overlays);
  std::filesystem::remove(overlay_path(folder, record.overlays));  // nobody had it yet
  for (unsigned i = 0; i < record.overlays; ++i) check_no_errors(overlay_path(folder, i));
  {
    const auto loop = EventLoop::create("test").value();
    const auto disk = LayeredDisk::open(layers, {}, *loop);
    INFO((disk ? "" : disk.error().message()));
    REQUIRE(disk);
    check_slots(**disk, record);
  }
  if (record.overlays > 0) check_clean(layers.back().path);
}

TEST_CASE("layered disk: killed at any call, it keeps what was flushed and finds no errors",
          "[long]") {
  constexpr unsigned kSteps = 20;
  std::uint64_t calls = 0;
  {
    const TemporaryFolder folder;
    SharedRecord shared;
    folder.make_file("base", kSlotDiskBytes);
    const int status = in_child([&] {
      const FaultyCalls count({});
      const bool is_fine = work(folder, shared.record, FileIo::Engine::kThreads, kSteps);
      shared.record.calls = FaultyCalls::count();
      return is_fine;
    });
    REQUIRE(status == 0);
    calls = shared.record.calls;
    check_after_crash(folder, shared.record);
    for (unsigned i = 0; i < shared.record.overlays; ++i) check_clean(overlay_path(folder, i));
  }
  REQUIRE(calls > 100);
  constexpr unsigned kRounds = 60;
  for (unsigned round = 0; round < kRounds; ++round) {
    const std::uint64_t at = 1 + calls * round / kRounds;
    CAPTURE(at, calls);
    const TemporaryFolder folder;
    SharedRecord shared;
    folder.make_file("base", kSlotDiskBytes);
    const int status = in_child([&] {
      const FaultyCalls kill({.what = CallPlan::What::kKill, .at = at});
      return work(folder, shared.record, FileIo::Engine::kThreads, kSteps);
    });
    CHECK((WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL));
    check_after_crash(folder, shared.record);
  }
}

TEST_CASE("layered disk: killed again and again at any time, it keeps what was flushed", "[long]") {
  const TemporaryFolder folder;
  SharedRecord shared;
  folder.make_file("base", kSlotDiskBytes);
  for (unsigned round = 0; round < 12; ++round) {
    const int status =
        in_child([&] { return work(folder, shared.record, FileIo::Engine::kAuto, 1000); },
                 std::chrono::milliseconds(5 + round * 7));
    CHECK((WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL));
    check_after_crash(folder, shared.record);
  }
}

/// One file as a loss of power leaves it: what the last sync covered, and some of what came later.
class PowerLoss {
 public:
  PowerLoss(std::vector<LoggedCall> log, std::uint64_t inode, std::vector<std::byte> start)
      : log_(std::move(log)), inode_(inode), start_(std::move(start)) {}

  std::size_t log_size() const { return log_.size(); }

  std::vector<std::byte> file_at(std::size_t end, unsigned seed) const {
    std::mt19937 random(seed);
    std::size_t durable = 0;
    for (std::size_t i = 0; i < end; ++i) {
      if (log_[i].kind == LoggedCall::Kind::kSync && log_[i].inode == inode_) {
        durable = log_[i].offset;
      }
    }
    std::vector<std::byte> file = start_;
    for (std::size_t i = 0; i < end; ++i) {
      if (log_[i].inode == inode_) apply(file, log_[i], i < durable, random);
    }
    return file;
  }

 private:
  static void apply(std::vector<std::byte>& file, const LoggedCall& call, bool is_durable,
                    std::mt19937& random) {
    const auto happens = [&] { return is_durable || random() % 2 == 0; };
    if (call.kind == LoggedCall::Kind::kResize && happens()) file.resize(call.offset);
    if (call.kind == LoggedCall::Kind::kSync || call.kind == LoggedCall::Kind::kResize) return;
    for (std::uint64_t at = 0; at < call.size;) {  // the page cache is written by pages
      const std::uint64_t place = call.offset + at;
      const std::uint64_t part = std::min(4096 - place % 4096, call.size - at);
      if (happens()) put(file, call, at, part);
      at += part;
    }
  }

  static void put(std::vector<std::byte>& file, const LoggedCall& call, std::uint64_t at,
                  std::uint64_t part) {
    const std::uint64_t place = call.offset + at;
    if (file.size() < place + part) file.resize(place + part);
    if (call.bytes.empty()) {
      std::memset(file.data() + place, 0, part);
    } else {
      std::memcpy(file.data() + place, call.bytes.data() + at, part);
    }
  }

  std::vector<LoggedCall> log_;
  std::uint64_t inode_;
  std::vector<std::byte> start_;
};

std::vector<std::byte> read_file(const std::string& path) {
  const base::Fd fd = base::open_file(path, O_RDONLY).value();
  std::vector<std::byte> bytes(std::filesystem::file_size(path));
  REQUIRE(::pread(fd.get(), bytes.data(), bytes.size(), 0) == static_cast<ssize_t>(bytes.size()));
  return bytes;
}

TEST_CASE("layered disk: a loss of power leaves no errors and what was flushed", "[long]") {
  const TemporaryFolder folder;
  const auto base = folder.make_file("base", kSlotDiskBytes);
  const std::vector<ImageLayer> layers = chain(folder, 1);
  REQUIRE(create_overlay(layers[1].path, {layers[0]}));
  struct stat status {};
  REQUIRE(::stat(layers[1].path.c_str(), &status) == 0);
  const auto start = read_file(layers[1].path);
  SlotRecord record;
  // What was promised, by the length of the log at that time.
  std::map<std::size_t, std::array<std::uint32_t, kSlots>> promises;
  std::optional<PowerLoss> loss;
  {
    const FaultyCalls logging({.keeps_log = true});
    const auto loop = EventLoop::create("test").value();
    const auto disk = LayeredDisk::open(layers, {false, FileIo::Engine::kThreads}, *loop).value();
    SlotWriter writer(*disk, record, 5);
    for (int step = 0; step < 30; ++step) {
      REQUIRE(writer.write_some());
      if (step % 4 != 3) continue;
      REQUIRE(writer.flush());
      auto& promise = promises[FaultyCalls::log().size()];
      for (unsigned i = 0; i < kSlots; ++i) promise[i] = record.flushed[i];
    }
    loss.emplace(FaultyCalls::log(), status.st_ino, start);
  }
  REQUIRE(loss->log_size() > 80);
  constexpr unsigned kRounds = 60;
  for (unsigned round = 0; round < kRounds; ++round) {
    const std::size_t end = 1 + (loss->log_size() - 1) * round / (kRounds - 1);
    CAPTURE(end);
    save_raw(layers[1].path, loss->file_at(end, round));
    for (auto& flushed : record.flushed) flushed = 0;
    if (auto promise = promises.upper_bound(end); promise != promises.begin()) {
      --promise;
      for (unsigned i = 0; i < kSlots; ++i) record.flushed[i] = promise->second[i];
    }
    record.overlays = 1;
    check_after_crash(folder, record);
  }
}

TEST_CASE("layered disk: a host that runs out of space or fails to sync hurts no other data") {
  const int error = GENERATE(ENOSPC, EIO);
  const unsigned first = GENERATE(1u, 2u, 3u, 5u, 8u, 13u, 21u);
  CAPTURE(error, first);
  const TemporaryFolder folder;
  folder.make_file("base", kSlotDiskBytes);
  const auto layers = chain(folder, 1);
  REQUIRE(create_overlay(layers[1].path, {layers[0]}));
  const auto loop = EventLoop::create("test").value();
  SlotRecord record;
  record.overlays = 1;
  {
    const auto disk = LayeredDisk::open(layers, {false, FileIo::Engine::kThreads}, *loop).value();
    SlotWriter writer(*disk, record, first);
    REQUIRE(writer.write_some());
    REQUIRE(writer.flush());
    bool all_fine = true;
    {
      const FaultyCalls faults({.what = CallPlan::What::kFail, .at = first, .error = error});
      for (int i = 0; i < 6; ++i) {
        all_fine = writer.write_some() && all_fine;
        all_fine = writer.flush() && all_fine;
      }
    }
    CHECK_FALSE(all_fine);
    check_slots(*disk, record);
    CHECK(writer.write_some());
    CHECK(writer.flush());
    check_slots(*disk, record);
  }
  check_clean(layers[1].path);
  check_after_crash(folder, record);
}

}  // namespace
}  // namespace stasis::devices
