#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <random>

#include "tests/kvm/test_vm.h"

namespace stasis::snapshot {
namespace {

/// In a child: snapshots, removes and applies without end, until it is killed.
[[noreturn]] void be_busy(const std::string& root) {
  Lines lines;
  NoInput input;
  Unobserved nobody;
  const auto vm = open_vm(root, {lines, input});
  STASIS_CHECK(vm.has_value());
  STASIS_CHECK((*vm)->start().has_value());
  for (unsigned round = 0;; ++round) {
    const auto kind = round % 3 == 0 ? SnapshotKind::kDisk : SnapshotKind::kFull;
    STASIS_CHECK((*vm)->create_snapshot({.kind = kind}, nobody).has_value());
    const auto all = (*vm)->snapshots();
    if (all.size() > 4) STASIS_CHECK((*vm)->destroy_snapshot(all[1].id).has_value());
    if (round % 5 == 4) {
      const auto applied = (*vm)->apply_snapshot(all.back().id, {}, nobody);
      STASIS_CHECK(applied.has_value());
      if (!all.back().has_memory) STASIS_CHECK((*vm)->start().has_value());
    }
  }
}

TEST_CASE("a process killed at any moment leaves whole snapshots and a machine that starts") {
  TestVm vm("ticker");
  const std::string root = vm.root();
  vm.close();
  std::mt19937 random(7);
  std::uniform_int_distribution<useconds_t> moments(0, 150'000);
  std::size_t seen = 0;
  for (int round = 0; round < 25; ++round) {
    const pid_t child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) be_busy(root);
    ::usleep(moments(random));
    REQUIRE(::kill(child, SIGKILL) == 0);
    int status = 0;
    REQUIRE(::waitpid(child, &status, 0) == child);
    REQUIRE(WIFSIGNALED(status));
    REQUIRE(WTERMSIG(status) == SIGKILL);
    vm.reopen();
    for (const auto& snapshot : vm->snapshots()) {
      Unobserved nobody;
      const auto verified = vm->verify_snapshot(snapshot.id, nobody);
      if (!verified) FAIL(verified.error().message());
      ++seen;
    }
    vm.lines().forget();
    const auto started = vm->start();
    if (!started) FAIL(started.error().message());
    vm.lines().await();
    vm.close();
  }
  CHECK(seen > 0);
}

}  // namespace
}  // namespace stasis::snapshot
