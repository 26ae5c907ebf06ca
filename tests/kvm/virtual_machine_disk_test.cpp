#include <signal.h>
#include <sys/resource.h>

#include <algorithm>
#include <csignal>

#include "tests/kvm/test_vm.h"

namespace stasis::snapshot {
namespace {

using base::ErrorKind;
namespace fs = std::filesystem;

std::vector<fs::path> layers_of(const TestVm& vm) {
  std::vector<fs::path> paths;
  for (const auto& entry : fs::directory_iterator(vm.folder() + "/disks")) {
    paths.push_back(entry.path());
  }
  std::sort(paths.begin(), paths.end());
  return paths;
}

/// What qemu-img says of all layers: 0 when all are well.
int check_layers(const TestVm& vm) {
  for (const auto& path : layers_of(vm)) {
    const std::string command = "qemu-img check -q -U " + path.string() + " >/dev/null 2>&1";
    if (const int status = std::system(command.c_str()); status != 0) return status;
  }
  return 0;
}

TEST_CASE("each snapshot of a machine with disks freezes them and puts an overlay on top") {
  TestVm vm("ticker", 2);
  const bool runs = GENERATE(true, false);
  if (runs) REQUIRE(vm->start());
  vm.snapshot({.kind = SnapshotKind::kDisk});
  CHECK(layers_of(vm).size() == 2);
  vm.snapshot();
  CHECK(layers_of(vm).size() == 4);
  vm.close();
  CHECK(check_layers(vm) == 0);
}

TEST_CASE("a chain of sixty-four overlays") {
  TestVm vm("ticker", 1);
  REQUIRE(vm->start());
  const Tick before(vm.lines().await());
  for (int i = 0; i < 63; ++i) vm.snapshot({.kind = SnapshotKind::kDisk});
  const auto full = vm.snapshot();
  CHECK(layers_of(vm).size() == 64);
  REQUIRE(vm->power_off());
  vm.reopen();
  vm.lines().forget();
  REQUIRE(vm->start_from(full.id, {}));
  CHECK(Tick(vm.lines().await(1)).nonce == before.nonce);
  vm.close();
  CHECK(check_layers(vm) == 0);
}

TEST_CASE("a layer goes when nobody needs it any more, and not before") {
  TestVm vm("ticker", 1);
  const auto first = vm.snapshot();
  const auto second = vm.snapshot();
  CHECK(layers_of(vm).size() == 2);
  REQUIRE(vm->destroy_snapshot(first.id));  // its layer is below the second's
  CHECK(layers_of(vm).size() == 2);
  REQUIRE(vm->start());
  vm.lines().await();
  REQUIRE(vm.apply(second.id));  // the former top goes, a new one comes
  CHECK(layers_of(vm).size() == 2);
  REQUIRE(vm->start());
}

TEST_CASE("a disk that is not the one of the snapshot is refused by name") {
  TestVm vm("ticker", 1);
  REQUIRE(vm->start());
  vm.lines().await();
  const auto snapshot = vm.snapshot();
  REQUIRE(vm->power_off());
  const std::string disk = vm.root() + "/disk0";
  SECTION("written to") {
    std::fstream(disk, std::ios::in | std::ios::out | std::ios::binary).write("x", 1);
    const auto started = vm->start_from(snapshot.id, {});
    REQUIRE_FALSE(started);
    CHECK(started.error().kind() == ErrorKind::kCorrupt);
    CHECK(started.error().message().find(disk) != std::string::npos);
    Unobserved nobody;
    CHECK_FALSE(vm->verify_snapshot(snapshot.id, nobody));
  }
  SECTION("gone") {
    fs::rename(disk, disk + ".elsewhere");
    const auto started = vm->start_from(snapshot.id, {});
    REQUIRE_FALSE(started);
    CHECK(started.error().kind() == ErrorKind::kNotFound);
    CHECK(started.error().message().find(disk) != std::string::npos);
    fs::rename(disk + ".elsewhere", disk);
    CHECK(vm->start_from(snapshot.id, {}));
  }
  SECTION("another overlay under its name") {
    const auto second = vm.snapshot();
    const auto layers = layers_of(vm);
    REQUIRE(layers.size() == 2);
    fs::rename(layers[0], vm.root() + "/aside");
    fs::rename(layers[1], layers[0]);
    fs::rename(vm.root() + "/aside", layers[1]);
    CHECK_FALSE(vm.apply(second.id));
  }
}

TEST_CASE("a snapshot whose parent is missing is still whole") {
  TestVm vm("ticker", 1);
  REQUIRE(vm->start());
  const Tick before(vm.lines().await());
  const auto parent = vm.snapshot();
  const auto child = vm.snapshot();
  REQUIRE(vm->power_off());
  fs::remove_all(vm.folder() + "/snapshots/" + parent.id);
  vm.reopen();
  REQUIRE(vm->snapshots().size() == 1);
  vm.lines().forget();
  REQUIRE(vm->start_from(child.id, {}));
  CHECK(Tick(vm.lines().await(1)).nonce == before.nonce);
}

TEST_CASE("a full disk in the middle leaves no snapshot and a machine that goes on") {
  TestVm vm("ticker", 1);
  REQUIRE(vm->start());
  vm.lines().await();
  // No file of this process may grow beyond this; a write then fails with EFBIG.
  rlimit before{};
  REQUIRE(::getrlimit(RLIMIT_FSIZE, &before) == 0);
  const auto ignored = std::signal(SIGXFSZ, SIG_IGN);
  const rlimit small{16 << 10, before.rlim_max};
  REQUIRE(::setrlimit(RLIMIT_FSIZE, &small) == 0);
  Unobserved nobody;
  const auto engine = GENERATE(Engine::kFork, Engine::kStopAndCopy);
  const auto failed = vm->create_snapshot({.engine = engine}, nobody);
  REQUIRE(::setrlimit(RLIMIT_FSIZE, &before) == 0);
  std::signal(SIGXFSZ, ignored);
  CHECK_FALSE(failed);
  CHECK(vm->snapshots().empty());
  vm.lines().await(vm.lines().count() + 1);
  vm.snapshot();
}

TEST_CASE("memory that is written at full speed is captured at one instant") {
  const auto engine = GENERATE(Engine::kFork, Engine::kStopAndCopy);
  TestVm vm("dirtier");
  REQUIRE(vm->start());
  vm.lines().await();
  const auto snapshot = vm.snapshot({.engine = engine});
  for (int round = 0; round < 3; ++round) {
    REQUIRE(vm.apply(snapshot.id));
    vm.lines().forget();
    for (std::size_t line = 0; line < 3; ++line) CHECK(vm.lines().await(line) != "torn");
  }
}

}  // namespace
}  // namespace stasis::snapshot
