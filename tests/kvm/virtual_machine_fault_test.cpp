// Whole machines whose every single call that changes a file goes wrong once: the process is killed
// there, or the disk is full or broken from there on.
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <cerrno>
#include <functional>

#include "tests/kvm/file_calls.h"
#include "tests/kvm/test_vm.h"

namespace stasis::snapshot {
namespace {

using test::FileCalls;

constexpr unsigned kMoreThanThereAre = 2000;

/// Everything that changes files: each kind of snapshot in each state, removal, both ways back.
void live(VirtualMachine& vm) {
  Unobserved nobody;
  const auto take = [&](const CreateOptions& options) {
    const auto taken = vm.create_snapshot(options, nobody);
    STASIS_CHECK(taken.has_value());
    return taken->id;
  };
  STASIS_CHECK(vm.start().has_value());
  const auto first = take({.name = "first"});
  const auto second = take({.kind = SnapshotKind::kDisk});
  take({.compression_level = 1});
  STASIS_CHECK(vm.destroy_snapshot(second).has_value());
  STASIS_CHECK(vm.apply_snapshot(first, {}, nobody).has_value());
  STASIS_CHECK(vm.power_off().has_value());
  take({});
  STASIS_CHECK(vm.apply_snapshot(first, {}, nobody).has_value());
  take({});  // of a saved machine: its memory is linked
  STASIS_CHECK(vm.start_from(first, {}).has_value());
  STASIS_CHECK(vm.destroy_snapshot(first).has_value());
}

[[noreturn]] void live_until(unsigned call, const std::string& root) {
  FileCalls calls;
  calls.kill_at(call);
  Lines lines;
  NoInput input;
  const auto vm = open_vm(root, {lines, input});
  STASIS_CHECK(vm.has_value());
  live(**vm);
  ::_exit(calls.calls() < call ? 0 : 1);
}

void check_snapshots(VirtualMachine& vm) {
  const auto all = vm.snapshots();
  for (const auto& snapshot : all) {
    Unobserved nobody;
    const auto verified = vm.verify_snapshot(snapshot.id, nobody);
    if (!verified) FAIL(verified.error().message());
    const bool has_parent =
        snapshot.parent.empty() || std::any_of(all.begin(), all.end(), [&](const auto& other) {
          return other.id == snapshot.parent;
        });
    CHECK(has_parent);
  }
}

/// What is in the machine's folders and nobody knows.
void check_no_litter(const TestVm& vm, std::size_t snapshots) {
  std::size_t entries = 0;
  for (const auto& entry : std::filesystem::directory_iterator(vm.folder() + "/snapshots")) {
    CAPTURE(entry.path());
    CHECK(entry.path().filename().string()[0] != '.');
    ++entries;
  }
  CHECK(entries == snapshots);
}

void check_after_kill(TestVm& vm) {
  vm.reopen();
  check_snapshots(*vm.operator->());
  check_no_litter(vm, vm->snapshots().size());
  vm.lines().forget();
  const auto started = vm->start();
  if (!started) FAIL(started.error().message());
  vm.lines().await();
}

TEST_CASE("killed at every call that changes a file, snapshots are whole and the machine starts") {
  TestVm vm("ticker", 1);
  const std::string root = vm.root();
  unsigned call = 1;
  for (;; call += STASIS_FAULT_STRIDE) {
    INFO("call " << call);
    REQUIRE(call < kMoreThanThereAre);
    for (const auto& old : vm->snapshots()) REQUIRE(vm->destroy_snapshot(old.id).has_value());
    vm.close();
    const pid_t child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) live_until(call, root);
    int status = 0;
    REQUIRE(::waitpid(child, &status, 0) == child);
    check_after_kill(vm);
    if (WIFEXITED(status)) {
      REQUIRE(WEXITSTATUS(status) == 0);
      break;
    }
    REQUIRE(WTERMSIG(status) == SIGKILL);
  }
  CHECK(call > 100);
}

struct Deed {
  std::string name;
  std::function<base::Status(VirtualMachine&, const std::string& snapshot)> act;
  bool takes_snapshot = true;
};

base::Status take(VirtualMachine& vm, const CreateOptions& options) {
  Unobserved nobody;
  TRY(vm.create_snapshot(options, nobody));
  return {};
}

const Deed kDeeds[] = {
    {"full snapshot", [](auto& vm, const auto&) { return take(vm, {}); }},
    {"compressed by stop-and-copy",
     [](auto& vm, const auto&) {
       return take(vm, {.engine = Engine::kStopAndCopy, .compression_level = 1});
     }},
    {"disk snapshot",
     [](auto& vm, const auto&) { return take(vm, {.kind = SnapshotKind::kDisk}); }},
    {"apply in place",
     [](auto& vm, const auto& id) {
       Unobserved nobody;
       return vm.apply_snapshot(id, {}, nobody);
     },
     false},
    {"removal", [](auto& vm, const auto& id) { return vm.destroy_snapshot(id); }, false},
};

/// A machine that runs, with one snapshot, and what its guest holds in memory only.
struct Running {
  Running() {
    REQUIRE(vm->start().has_value());
    nonce = Tick(vm.lines().await()).nonce;
    snapshot = vm.snapshot({.name = "before"}).id;
  }
  void check_goes_on() {
    CHECK(vm->info().state == PowerState::kRunning);
    vm.lines().forget();
    CHECK(Tick(vm.lines().await(1)).nonce == nonce);  // the first may have begun before
  }
  TestVm vm{"ticker", 1};
  std::string nonce, snapshot;
};

/// Returns whether all of the deed was done before call `at` came.
bool try_deed(const Deed& deed, unsigned at, int error, bool once) {
  Running running;
  auto& vm = *running.vm.operator->();
  FileCalls calls;
  once ? calls.fail_at(at, error) : calls.fail_from(at, error);
  const auto before = vm.snapshots().size();
  const auto done = deed.act(vm, running.snapshot);
  const bool was_hit = calls.calls() >= at;
  calls.disarm();
  CAPTURE(done ? std::string("done") : done.error().message());
  running.check_goes_on();
  check_snapshots(vm);
  const auto after = vm.snapshots().size();
  // Seen but not durable, and it cannot be hidden again: the one case in which both are wrong.
  const bool is_stuck = !done && !once && done.error().message().find("publishing") == 0;
  if (deed.takes_snapshot && !is_stuck) CHECK(after == before + (done ? 1 : 0));
  running.vm.snapshot({.name = "when all is well again"});
  running.vm.reopen();
  check_snapshots(*running.vm.operator->());
  check_no_litter(running.vm, after + 1);
  const auto started = running.vm->start();
  if (!started) FAIL(started.error().message());
  return !was_hit;
}

TEST_CASE("whatever call fails, the guest goes on and no snapshot is half") {
  const auto error = GENERATE(ENOSPC, EIO);
  const bool once = error == EIO;
  for (const auto& deed : kDeeds) {
    unsigned at = 1;
    for (;; at += STASIS_FAULT_STRIDE) {
      INFO(deed.name << ", call " << at << (once ? " fails" : " and all that follow fail"));
      REQUIRE(at < kMoreThanThereAre);
      if (try_deed(deed, at, error, once)) break;
    }
    CHECK(at > 3);
  }
}

}  // namespace
}  // namespace stasis::snapshot
