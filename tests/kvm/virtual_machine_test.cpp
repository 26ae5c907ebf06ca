#include "snapshot/virtual_machine.h"

#include <sys/resource.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <fstream>
#include <iterator>
#include <vector>

#include "tests/kvm/test_vm.h"

namespace stasis::snapshot {
namespace {

using base::ErrorKind;

std::string contents(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

std::size_t entries(const std::string& folder) {
  const auto all = std::filesystem::directory_iterator(folder);
  return static_cast<std::size_t>(std::distance(begin(all), end(all)));
}

/// Wants to stop as soon as it is asked.
class Impatient final : public WorkObserver {
 public:
  void progressed(std::uint64_t, std::uint64_t) override {}
  bool is_cancelled() const override { return true; }
  void committing() override { FAIL("cancelled work must not commit"); }
};

/// Holds work up until it is let go.
class Gate final : public WorkObserver {
 public:
  void progressed(std::uint64_t, std::uint64_t) override {
    reached = true;
    while (!open) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  bool is_cancelled() const override { return false; }
  void committing() override {}
  std::atomic<bool> reached = false;
  std::atomic<bool> open = false;
};

TEST_CASE("a machine started from a snapshot goes on, it does not boot") {
  const auto engine = GENERATE(Engine::kFork, Engine::kStopAndCopy);
  const auto level = GENERATE(std::optional<int>(), std::optional<int>(3));
  TestVm vm("ticker");
  REQUIRE(vm->start());
  const Tick before(vm.lines().await(2));
  const auto snapshot = vm.snapshot({.engine = engine, .compression_level = level});
  const Tick after(vm.lines().await(vm.lines().count()));
  REQUIRE(vm->power_off());
  vm.reopen();
  vm.lines().forget();
  REQUIRE(vm->start_from(snapshot.id, {}));
  const Tick rest(vm.lines().await(1));
  CHECK(rest.nonce == before.nonce);
  CHECK(rest.count > before.count);
  CHECK(rest.count <= after.count + 1);
}

TEST_CASE("the report says what a capture did") {
  TestVm vm("ticker");
  REQUIRE(vm->start());
  vm.lines().await();
  const auto snapshot = vm.snapshot({.name = "one", .notes = "a note"});
  CHECK(snapshot.name == "one");
  CHECK(snapshot.notes == "a note");
  CHECK(snapshot.has_memory);
  CHECK(snapshot.capture.engine == "fork");
  CHECK(snapshot.capture.pause_us > 0);
  CHECK(snapshot.capture.total_us >= snapshot.capture.pause_us);
  CHECK(snapshot.capture.captured_bytes > 0);
  CHECK(snapshot.capture.captured_bytes < (4 << 20));  // of 64 MiB next to nothing is touched
  CHECK(vm->info().current == snapshot.id);
  REQUIRE(vm->snapshots().size() == 1);
}

TEST_CASE("both engines give the same bytes of a guest at rest") {
  TestVm vm("ticker");
  REQUIRE(vm->start());
  vm.lines().await(1);
  REQUIRE(vm->pause());
  const auto fork = vm.snapshot({.engine = Engine::kFork});
  const auto copy = vm.snapshot({.engine = Engine::kStopAndCopy});
  CHECK(vm->info().state == PowerState::kPaused);
  for (const char* name : {"ram.raw", "ram.index"}) {
    CAPTURE(name);
    const std::string bytes = contents(vm.folder() + "/snapshots/" + fork.id + "/" + name);
    CHECK(!bytes.empty());
    CHECK(bytes == contents(vm.folder() + "/snapshots/" + copy.id + "/" + name));
  }
}

TEST_CASE("a snapshot is applied in place to a running machine") {
  TestVm vm("ticker");
  REQUIRE(vm->start());
  vm.lines().await(2);
  const auto snapshot = vm.snapshot();
  const Tick later(vm.lines().await(vm.lines().count() + 20));
  REQUIRE(vm.apply(snapshot.id));
  vm.lines().forget();
  const Tick now(vm.lines().await(1));
  CHECK(vm->info().state == PowerState::kRunning);
  CHECK(now.nonce == later.nonce);
  CHECK(now.count < later.count);
  CHECK(vm->info().last_applied == snapshot.id);
}

/// Of this process's threads that have given themselves that name.
std::vector<int> niceness_now(const std::string& name) {
  std::vector<int> found;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/task")) {
    std::string of_thread;
    std::ifstream(entry.path() / "comm") >> of_thread;
    if (of_thread != name) continue;
    const auto id = static_cast<id_t>(std::stoul(entry.path().filename()));
    found.push_back(::getpriority(PRIO_PROCESS, id));
  }
  return found;
}

/// The same, as soon as there is one.
std::vector<int> niceness_of(const std::string& name) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  auto found = niceness_now(name);
  while (found.empty() && std::chrono::steady_clock::now() < deadline) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
    found = niceness_now(name);
  }
  return found;
}

TEST_CASE("who starts or changes a machine with less priority does not give it that") {
  TestVm vm("ticker");
  const std::vector<int> expected{::getpriority(PRIO_PROCESS, static_cast<id_t>(::getpid()))};
  std::thread([&] {
    errno = 0;  // nice(2) may return any number
    ::nice(3);
    CHECK(errno == 0);
    CHECK(vm->start());
    CHECK(niceness_of("vcpu0") == expected);
    CHECK(niceness_of("devices") == expected);
    const SnapshotInfo info = vm.snapshot();
    CHECK(vm.apply(info.id));
    CHECK(niceness_of("vcpu0") == expected);
    CHECK(niceness_of("devices") == expected);
    CHECK(vm->power_off());
    CHECK(vm.apply(info.id));
    CHECK(vm->start());
    CHECK(niceness_of("vcpu0") == expected);
  }).join();
}

TEST_CASE("several with less priority at a machine that reboots all the time") {
  TestVm vm("reset");
  REQUIRE(vm->start());
  const auto use = [&] {
    ::nice(3);
    Unobserved nobody;
    for (int turn = 0; turn < 20; ++turn) {
      static_cast<void>(vm->create_snapshot({}, nobody));  // busy at times
      static_cast<void>(vm->power_off());
      static_cast<void>(vm->start());
    }
  };
  std::array<std::thread, 3> users{std::thread(use), std::thread(use), std::thread(use)};
  for (auto& user : users) user.join();
  static_cast<void>(vm->start());
  CHECK(vm->info().state == PowerState::kRunning);
}

TEST_CASE("when a snapshot cannot be applied the machine goes on") {
  TestVm vm("ticker");
  REQUIRE(vm->start());
  const Tick first(vm.lines().await());
  const auto snapshot = vm.snapshot();
  const std::string folder = vm.folder() + "/snapshots/" + snapshot.id;
  const char* victim = GENERATE("ram.index", "ram.raw", "state.cbor", "manifest.json");
  CAPTURE(victim);
  std::filesystem::permissions(folder + "/" + victim, std::filesystem::perms::owner_all);
  std::filesystem::resize_file(folder + "/" + victim,
                               std::filesystem::file_size(folder + "/" + victim) / 2);
  const auto applied = vm.apply(snapshot.id);
  REQUIRE_FALSE(applied);
  CHECK(applied.error().message().find(victim) != std::string::npos);
  vm.lines().forget();
  CHECK(Tick(vm.lines().await(1)).nonce == first.nonce);
  CHECK(vm->info().state == PowerState::kRunning);
}

TEST_CASE("a paused machine stays paused over a snapshot, and runs on afterwards") {
  TestVm vm("ticker");
  REQUIRE(vm->start());
  vm.lines().await();
  REQUIRE(vm->pause());
  vm.snapshot();
  CHECK(vm->info().state == PowerState::kPaused);
  const auto count = vm.lines().count();
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  CHECK(vm.lines().count() == count);
  REQUIRE(vm->resume());
  vm.lines().await(count + 1);
}

TEST_CASE("a paused machine that is taken back in place does not run before it is resumed") {
  TestVm vm("ticker");
  REQUIRE(vm->start());
  const Tick before(vm.lines().await());
  const auto snapshot = vm.snapshot();
  REQUIRE(vm->pause());
  vm.lines().forget();
  REQUIRE(vm.apply(snapshot.id));
  CHECK(vm->info().state == PowerState::kPaused);
  std::this_thread::sleep_for(std::chrono::milliseconds(100));
  CHECK(vm.lines().count() == 0);
  REQUIRE(vm->resume());
  CHECK(Tick(vm.lines().await(1)).nonce == before.nonce);
}

TEST_CASE("a machine that is off has snapshots without memory") {
  TestVm vm("ticker");
  const auto kind = GENERATE(SnapshotKind::kFull, SnapshotKind::kDisk);
  const auto snapshot = vm.snapshot({.kind = kind});
  CHECK_FALSE(snapshot.has_memory);
  CHECK(snapshot.capture.engine == "none");
  REQUIRE(vm.apply(snapshot.id));
  CHECK(vm->info().state == PowerState::kOff);
}

TEST_CASE("an applied snapshot with memory waits for the next start, over processes") {
  TestVm vm("ticker");
  REQUIRE(vm->start());
  const Tick first(vm.lines().await());
  const auto snapshot = vm.snapshot();
  REQUIRE(vm->power_off());
  REQUIRE(vm.apply(snapshot.id));
  CHECK(vm->info().state == PowerState::kSaved);
  vm.reopen();
  CHECK(vm->info().state == PowerState::kSaved);
  const auto linked = vm.snapshot();
  CHECK(linked.has_memory);
  CHECK_FALSE(vm->destroy_snapshot(snapshot.id));  // its memory is wanted
  vm.lines().forget();
  REQUIRE(vm->start());
  CHECK(Tick(vm.lines().await(1)).nonce == first.nonce);
  REQUIRE(vm->destroy_snapshot(snapshot.id));
  REQUIRE(vm->power_off());
  vm.lines().forget();
  REQUIRE(vm->start_from(linked.id, {}));
  CHECK(Tick(vm.lines().await(1)).nonce == first.nonce);
}

TEST_CASE("a second work on the machine is told of the first") {
  TestVm vm("ticker");
  REQUIRE(vm->start());
  vm.lines().await();
  Gate gate;
  std::thread worker([&] { REQUIRE(vm->create_snapshot({.name = "slow"}, gate)); });
  while (!gate.reached) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  Unobserved nobody;
  const auto second = vm->create_snapshot({}, nobody);
  gate.open = true;
  worker.join();
  REQUIRE_FALSE(second);
  CHECK(second.error().kind() == ErrorKind::kBusy);
  CHECK(second.error().message().find("creating snapshot \"slow\"") != std::string::npos);
}

TEST_CASE("a cancelled snapshot leaves nothing, and the machine runs on") {
  const auto engine = GENERATE(Engine::kFork, Engine::kStopAndCopy);
  TestVm vm("ticker");
  REQUIRE(vm->start());
  vm.lines().await();
  Impatient impatient;
  const auto snapshot = vm->create_snapshot({.engine = engine}, impatient);
  REQUIRE_FALSE(snapshot);
  CHECK(snapshot.error().kind() == ErrorKind::kCancelled);
  CHECK(vm->snapshots().empty());
  CHECK(entries(vm.folder() + "/snapshots") == 0);
  vm.lines().await(vm.lines().count() + 1);
}

TEST_CASE("children survive the removal of a node in the middle") {
  TestVm vm("ticker");
  REQUIRE(vm->start());
  vm.lines().await();
  const auto root = vm.snapshot();
  const auto middle = vm.snapshot();
  const auto leaf = vm.snapshot();
  CHECK(middle.parent == root.id);
  CHECK(leaf.parent == middle.id);
  REQUIRE(vm->destroy_snapshot(middle.id));
  const auto left = vm->snapshots();
  REQUIRE(left.size() == 2);
  CHECK(left[1].id == leaf.id);
  CHECK(left[1].parent == root.id);
  REQUIRE(vm.apply(leaf.id));
  REQUIRE(vm->destroy_snapshot(leaf.id));
  CHECK(vm->info().current == root.id);
  CHECK(vm->info().last_applied.empty());
}

TEST_CASE("a tree goes with all that is below it") {
  TestVm vm("halt");
  const auto root = vm.snapshot();
  const auto left = vm.snapshot();
  vm.snapshot();
  REQUIRE(vm.apply(root.id));
  const auto right = vm.snapshot();
  CHECK(right.parent == root.id);
  REQUIRE(vm->destroy_snapshot_tree(left.id));
  REQUIRE(vm->snapshots().size() == 2);
  REQUIRE(vm->destroy_snapshot_tree(root.id));
  CHECK(vm->snapshots().empty());
  CHECK(vm->info().current.empty());
}

TEST_CASE("what is not there is said to be missing") {
  TestVm vm("halt");
  const std::string id = *make_uuid();
  Unobserved nobody;
  CHECK(vm.apply(id).error().kind() == ErrorKind::kNotFound);
  CHECK(vm->destroy_snapshot(id).error().kind() == ErrorKind::kNotFound);
  CHECK(vm->destroy_snapshot_tree(id).error().kind() == ErrorKind::kNotFound);
  CHECK(vm->verify_snapshot(id, nobody).error().kind() == ErrorKind::kNotFound);
  CHECK(vm->rename_snapshot(id, "x", "").error().kind() == ErrorKind::kNotFound);
  CHECK(vm->pause().error().kind() == ErrorKind::kInvalidState);
  CHECK(vm->shut_down().error().kind() == ErrorKind::kInvalidState);
  CHECK(vm->selftest().error().kind() == ErrorKind::kInvalidState);
}

TEST_CASE("a guest that reboots all the time can be asked for snapshots") {
  TestVm vm("reset");
  REQUIRE(vm->start());
  unsigned taken = 0;
  for (int i = 0; i < 20; ++i) {
    Unobserved nobody;
    const auto snapshot = vm->create_snapshot({}, nobody);
    if (snapshot) {
      ++taken;
    } else {
      CHECK(snapshot.error().kind() == ErrorKind::kInvalidState);
    }
  }
  CHECK(vm->snapshots().size() == taken);
  CHECK(vm->info().state == PowerState::kRunning);
}

TEST_CASE("a reboot keeps the CMOS clock and RAM and the generation, a new start does not") {
  TestVm vm("reboots");
  std::array<std::string, 2> generations;
  for (std::string& generation : generations) {
    vm.lines().forget();
    REQUIRE(vm->start());
    const std::string first = vm.lines().await(0);
    CHECK_THAT(first, Catch::Matchers::StartsWith("life 0 year ") &&
                          !Catch::Matchers::Contains(" year 77 "));
    generation = first.substr(first.find("generation "));
    CHECK(vm.lines().await(1) == "life 1 year 77 " + generation);
    CHECK(vm.lines().await(2) == "life 2 year 77 " + generation);
    while (vm->info().state != PowerState::kOff) {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
  }
  CHECK(generations[0] != generations[1]);
}

TEST_CASE("a guest that ended leaves a machine that is off and starts again") {
  const char* guest = GENERATE("triple_fault", "hello");
  TestVm vm(guest);
  REQUIRE(vm->start());
  while (!vm->last_ending()) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  CHECK(vm->info().state == PowerState::kOff);
  CHECK_FALSE(vm.snapshot().has_memory);
  REQUIRE(vm->start());
}

TEST_CASE("the self-test leaves the machine running") {
  TestVm vm("ticker");
  REQUIRE(vm->start());
  vm.lines().await();
  const auto said = vm->selftest();
  REQUIRE(said);
  CHECK_FALSE(said->empty());
  vm.lines().await(vm.lines().count() + 1);
}

TEST_CASE("two hundred snapshots of one machine") {
  TestVm vm("ticker");
  REQUIRE(vm->start());
  vm.lines().await();
  std::string last;
  for (int i = 0; i < 200; ++i) last = vm.snapshot({.kind = SnapshotKind::kDisk}).id;
  CHECK(vm->snapshots().size() == 200);
  CHECK(vm->info().current == last);
}

}  // namespace
}  // namespace stasis::snapshot
