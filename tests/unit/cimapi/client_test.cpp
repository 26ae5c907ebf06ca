#include "cimapi/client.h"

#include <stdlib.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <thread>

#include "cimapi/server.h"
#include "tests/unit/cimapi/fake_vm.h"

namespace stasis::cimapi {
namespace {

using base::ErrorKind;
using snapshot::PowerState;
using snapshot::SnapshotKind;
using testing::FakeVm;
using testing::TestObserver;

struct TempFolder {
  TempFolder() {
    std::string pattern = "/tmp/stasis-cim-XXXXXX";
    path = ::mkdtemp(pattern.data());
  }
  ~TempFolder() { std::filesystem::remove_all(path); }
  std::string path;
};

struct ClientFixture {
  TempFolder folder;
  std::string socket = folder.path + "/control.sock";
  FakeVm vm;
  base::Result<std::unique_ptr<Server>> server = Server::open(socket, vm);
  base::Result<Client> client = Client::connect(socket);
  TestObserver observer;
};

}  // namespace

TEST_CASE("client: information about the machine comes through whole") {
  ClientFixture at;
  at.vm.add("first", "", true);
  const auto info = at.client->info();
  REQUIRE(info);
  const auto known = at.vm.info();
  CHECK(info->id == known.id);
  CHECK(info->state == PowerState::kRunning);
  CHECK(info->created_unix_us == known.created_unix_us);
  CHECK(info->started_unix_us == known.started_unix_us);
  CHECK(info->current == known.current);
  CHECK(info->last_applied.empty());
  CHECK(info->config.name == "web1");
  CHECK(info->config.kernel == known.config.kernel);
  CHECK(info->config.cmdline == known.config.cmdline);
  CHECK(info->config.cpus == 2);
  CHECK(info->config.memory_bytes == known.config.memory_bytes);
  REQUIRE(info->config.disks.size() == 1);
  CHECK(info->config.disks[0].path == "disk.img");
  CHECK(info->config.disks[0].id == "disk0");
  CHECK(info->config.disks[0].format == devices::ImageFormat::kQcow2);
  CHECK(info->config.disks[0].backing == known.config.disks[0].backing);
  CHECK(info->config.console.kind == vmm::ConsoleConfig::Kind::kFile);
  CHECK(info->config.console.port == vmm::ConsoleConfig::Port::kVirtio);
  CHECK(info->config.console.file == "console.txt");
  REQUIRE(info->config.net);
  CHECK(info->config.net->forwards.at(0).host_port == 2222);
}

TEST_CASE("client: creates a full snapshot as a job and gives its report") {
  ClientFixture at;
  snapshot::CreateOptions options;
  options.name = "before <upgrade> & \"more\"";
  options.notes = "line one\nline two";
  options.engine = snapshot::Engine::kFork;
  options.compression_level = 3;
  const auto made = at.client->create_snapshot(options, at.observer);
  REQUIRE(made);
  CHECK(made->name == options.name);
  CHECK(made->notes == options.notes);
  CHECK(made->has_memory);
  CHECK(made->capture.engine == "fork");
  CHECK(made->capture.pause_us == 300);
  CHECK(made->capture.stored_bytes == 4000);
  CHECK(at.vm.seen().create.engine == snapshot::Engine::kFork);
  CHECK(at.vm.seen().create.compression_level == 3);
  CHECK(at.observer.done == 1000);
  const auto list = at.client->snapshots();
  REQUIRE(list);
  REQUIRE(list->size() == 1);
  CHECK(list->front().id == made->id);
}

TEST_CASE("client: creates a disk snapshot at once") {
  ClientFixture at;
  const auto made =
      at.client->create_snapshot({SnapshotKind::kDisk, "disks", {}, {}, {}}, at.observer);
  REQUIRE(made);
  CHECK(made->kind == SnapshotKind::kDisk);
  CHECK_FALSE(made->has_memory);
}

TEST_CASE("client: a cancelled snapshot leaves nothing behind") {
  ClientFixture at;
  at.vm.hold();
  at.observer.cancel = true;
  const auto made = at.client->create_snapshot({}, at.observer);
  REQUIRE_FALSE(made);
  CHECK(made.error().kind() == ErrorKind::kCancelled);
  CHECK(at.vm.snapshots().empty());
}

TEST_CASE("client: the reason of a failure comes with its kind") {
  ClientFixture at;
  at.vm.fail_next(ErrorKind::kOutOfResources, "disk \"a\": full");
  const auto made = at.client->create_snapshot({}, at.observer);
  REQUIRE_FALSE(made);
  CHECK(made.error().kind() == ErrorKind::kOutOfResources);
  CHECK(made.error().message() == "disk \"a\": full");
  at.vm.fail_next(ErrorKind::kTimeout, "vCPU 1: did not stop\nwithin 5 s");
  const auto paused = at.client->pause();
  REQUIRE_FALSE(paused);
  CHECK(paused.error().kind() == ErrorKind::kTimeout);
  CHECK(paused.error().message() == "vCPU 1: did not stop\nwithin 5 s");
}

TEST_CASE("client: a busy machine names the job") {
  ClientFixture at;
  at.vm.hold();
  std::thread other([&] {
    TestObserver observer;
    auto client = Client::connect(at.socket);
    REQUIRE(client);
    CHECK(client->create_snapshot({SnapshotKind::kFull, "nightly", {}, {}, {}}, observer));
  });
  at.vm.await_held();
  const auto made = at.client->create_snapshot({}, at.observer);
  at.vm.let_go();
  other.join();
  REQUIRE_FALSE(made);
  CHECK(made.error().kind() == ErrorKind::kBusy);
  CHECK(made.error().message().find("create snapshot \"nightly\"") != std::string::npos);
  CHECK(made.error().message().find("50 %") != std::string::npos);
}

TEST_CASE("client: applies in place with clock policy and generation") {
  ClientFixture at;
  const std::string id = at.vm.add("first", "", true);
  REQUIRE(at.client->apply_snapshot(id, {snapshot::ClockPolicy::kFreeze, false}, at.observer));
  CHECK(at.vm.seen().apply.clock == snapshot::ClockPolicy::kFreeze);
  CHECK_FALSE(at.vm.seen().apply.new_generation);
  CHECK(at.vm.state() == PowerState::kRunning);
  CHECK(at.client->info()->last_applied == id);
}

TEST_CASE("client: renames, verifies, tests and deletes") {
  ClientFixture at;
  const std::string root = at.vm.add("first", "", true);
  const std::string child = at.vm.add("second", root, true);
  REQUIRE(at.client->rename_snapshot(root, "renamed", "why"));
  CHECK(at.vm.snapshots()[0].name == "renamed");
  CHECK(at.vm.snapshots()[0].notes == "why");
  CHECK(at.client->verify_snapshot(root, at.observer));
  CHECK(at.client->selftest() == "12 sections are equal");
  REQUIRE(at.client->destroy_snapshot(root));
  CHECK(at.client->snapshots()->at(0).parent.empty());
  REQUIRE(at.client->destroy_snapshot_tree(child));
  CHECK(at.client->snapshots()->empty());
  const auto gone = at.client->destroy_snapshot(root);
  REQUIRE_FALSE(gone);
  CHECK(gone.error().kind() == ErrorKind::kInvalidArgument);
}

TEST_CASE("client: changes the power state") {
  ClientFixture at;
  REQUIRE(at.client->pause());
  CHECK(at.client->info()->state == PowerState::kPaused);
  REQUIRE(at.client->resume());
  REQUIRE(at.client->reset());
  REQUIRE(at.client->shut_down());
  CHECK(at.client->info()->state == PowerState::kOff);
  REQUIRE(at.client->start());
  REQUIRE(at.client->power_off());
  const auto twice = at.client->power_off();
  REQUIRE_FALSE(twice);
  CHECK(twice.error().kind() == ErrorKind::kInvalidState);
}

TEST_CASE("client: says that nobody listens, or that there is no machine") {
  TempFolder folder;
  const auto none = Client::connect(folder.path + "/control.sock");
  REQUIRE_FALSE(none);
  CHECK(none.error().kind() == ErrorKind::kNotFound);
}

TEST_CASE("client: says that the process ended in the middle") {
  ClientFixture at;
  REQUIRE(at.client->info());
  at.server->reset();
  const auto info = at.client->info();
  REQUIRE_FALSE(info);
  CHECK(info.error().kind() == ErrorKind::kIo);
  CHECK(info.error().message().find("ended") != std::string::npos);
}

TEST_CASE("client: reaches sockets whose path is longer than an address") {
  TempFolder folder;
  const std::string deep = folder.path + "/" + std::string(100, 'd') + "/" + std::string(100, 'e');
  std::filesystem::create_directories(deep);
  FakeVm vm;
  const auto server = Server::open(deep + "/control.sock", vm);
  REQUIRE(server);
  auto client = Client::connect(deep + "/control.sock");
  REQUIRE(client);
  CHECK(client->info());
}

}  // namespace stasis::cimapi
