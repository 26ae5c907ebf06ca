// The store's promise, with the process ended at every single step: a snapshot is visible if and
// only if it is complete.
#include "tests/unit/snapshot/faulty_ops.h"
#include "tests/unit/snapshot/snapshot_fixtures.h"

namespace stasis::snapshot {
namespace {

using Work = std::function<bool(const FileOps&)>;

/// Runs `work` in a process that dies at step 1, then in one that dies at step 2, ... until one
/// lives; calls `check` after each. Returns the number of steps.
unsigned die_at_every_step(const Work& work, const std::function<void()>& check) {
  for (unsigned step = 1;; ++step) {
    REQUIRE(step < 500);
    INFO("step " << step);
    const pid_t writer = ::fork();
    REQUIRE(writer >= 0);
    if (writer == 0) {
      const FaultyOps ops(step, [owner = ::getpid()] { kill_both(owner); });
      ::_exit(work(ops) && ops.calls() < step ? 0 : 1);
    }
    int status = 0;
    REQUIRE(::waitpid(writer, &status, 0) == writer);
    check();
    if (WIFEXITED(status)) {
      REQUIRE(WEXITSTATUS(status) == 0);
      return step - 1;
    }
    REQUIRE(WTERMSIG(status) == SIGKILL);
  }
}

struct CrashingStore {
  ScratchFolder scratch;
  std::string path = scratch.path("snapshots");
  PlainRam ram{64, 64};
  Manifest root, middle, leaf;

  CrashingStore() {
    ram.fill();
    const auto store = SnapshotStore::open(path);
    REQUIRE(store);
    root = store_snapshot(*store, ram, {});
    middle = store_snapshot(*store, ram, {Engine::kAuto, 1}, root.info.id);
    leaf = store_snapshot(*store, ram, {}, middle.info.id);
  }

  /// What a start after the crash must find. Returns the snapshots that are there.
  std::vector<Manifest> check_store() const {
    const auto store = SnapshotStore::open(path);
    REQUIRE(store);
    auto list = store->list();
    REQUIRE(list);
    CHECK(list->broken.empty());
    std::size_t entries = 0;
    for (const auto& entry : std::filesystem::directory_iterator(path)) {
      CHECK(entry.path().filename().string()[0] != '.');
      ++entries;
    }
    CHECK(entries == list->snapshots.size());
    for (const Manifest& manifest : list->snapshots) {
      const auto verified = store->verify(manifest.info.id, nullptr);
      CHECK(verified);
      const auto& parent = manifest.info.parent;
      CHECK((parent.empty() || store->load(parent)));
      const auto files = std::filesystem::directory_iterator(path + "/" + manifest.info.id);
      CHECK(std::distance(begin(files), end(files)) ==
            static_cast<std::ptrdiff_t>(manifest.files.size() + 1));
    }
    return list->snapshots;
  }
  void check_old_ones(const std::vector<Manifest>& found) const {
    for (const Manifest* old : {&root, &middle, &leaf}) {
      CHECK(std::any_of(found.begin(), found.end(), [&](const Manifest& manifest) {
        return manifest.info.id == old->info.id && manifest.info.parent == old->info.parent &&
               manifest.files == old->files;
      }));
    }
  }
};

bool take_snapshot(const std::string& path, const PlainRam& ram, const RamCaptureOptions& options,
                   const FileOps& ops) {
  const auto store = SnapshotStore::open(path, ops);
  if (!store) return false;
  auto pending = store->begin(new_id());
  if (!pending) return false;
  CountingObserver observer;
  auto capture = prepare_ram_capture(pending->folder(), ram.size(), options, ops);
  if (!capture || !(*capture)->capture(ram.regions(), observer)) return false;
  const auto result = (*capture)->finish(observer);
  const auto state = pending->write_file("state.cbor", std::vector<std::uint8_t>(100, 7));
  if (!result || !state) return false;
  Manifest manifest = small_manifest(pending->id());
  manifest.info.has_memory = true;
  manifest.files = result->files;
  manifest.files.push_back(*state);
  return pending->commit(manifest).has_value();
}

TEST_CASE_METHOD(CrashingStore, "killed at any step of a commit, old snapshots are all there is") {
  const auto options =
      GENERATE(RamCaptureOptions{Engine::kFork, std::nullopt}, RamCaptureOptions{Engine::kFork, 1},
               RamCaptureOptions{Engine::kStopAndCopy, std::nullopt});
  std::size_t count = 3;
  const auto steps =
      die_at_every_step([&](const FileOps& ops) { return take_snapshot(path, ram, options, ops); },
                        [&] {
                          const auto found = check_store();
                          check_old_ones(found);
                          CHECK((found.size() == count || found.size() == count + 1));
                          count = found.size();
                        });
  CHECK(steps >= 15);
  // The last run lived; the one before it died in the last step, syncing what was visible already.
  CHECK(count == 5);
}

TEST_CASE_METHOD(CrashingStore, "killed at any step of a removal, the tree is whole") {
  std::size_t count = 3;
  die_at_every_step(
      [&](const FileOps& ops) {
        const auto store = SnapshotStore::open(path, ops);
        if (!store) return false;
        // Gone already when an earlier process died behind the instant.
        const auto removed = store->remove(middle.info.id);
        return removed || removed.error().kind() == base::ErrorKind::kNotFound;
      },
      [&] {
        const auto found = check_store();
        CHECK((found.size() == 2 || found.size() == 3));
        CHECK(found.size() <= count);
        count = found.size();
      });
  CHECK(count == 2);
  CHECK(SnapshotStore::open(path)->load(leaf.info.id)->info.parent == root.info.id);
}

TEST_CASE_METHOD(CrashingStore,
                 "killed at any step of a renaming, the name is the old or the new") {
  std::string name = leaf.info.name;
  die_at_every_step(
      [&](const FileOps& ops) {
        const auto store = SnapshotStore::open(path, ops);
        return store && store->rename(leaf.info.id, "new", "notes");
      },
      [&] {
        check_store();
        const auto found = SnapshotStore::open(path)->load(leaf.info.id);
        REQUIRE(found);
        CHECK((found->info.name == name || found->info.name == "new"));
        CHECK(found->info.notes == (found->info.name == "new" ? "notes" : ""));
        name = found->info.name;
      });
  CHECK(name == "new");
}

TEST_CASE_METHOD(CrashingStore, "a step that fails leaves nothing, and says what failed") {
  const auto options =
      GENERATE(RamCaptureOptions{Engine::kFork, std::nullopt}, RamCaptureOptions{Engine::kFork, 1},
               RamCaptureOptions{Engine::kStopAndCopy, std::nullopt});
  const auto number = GENERATE(ENOSPC, EIO);
  unsigned step = 1;
  for (bool is_stored = false; !is_stored; ++step) {
    REQUIRE(step < 500);
    INFO("step " << step);
    const FaultyOps ops(step, [number] { errno = number; });
    is_stored = take_snapshot(path, ram, options, ops);
    const auto found = check_store();
    check_old_ones(found);
    CHECK(found.size() == (is_stored ? 4 : 3));
    CHECK(is_stored == (ops.calls() < step));
  }
  CHECK(step > 15);
}

TEST_CASE_METHOD(CrashingStore, "a removal or renaming that fails keeps what was there") {
  const auto number = GENERATE(ENOSPC, EIO);
  bool is_done = false;
  for (unsigned step = 2; !is_done; ++step) {
    INFO("step " << step);
    const FaultyOps ops(step, [number] { errno = number; });
    const auto store = SnapshotStore::open(path, ops);
    REQUIRE(store);
    const bool is_renamed = store->rename(leaf.info.id, "new", "").has_value();
    const bool is_removed = store->remove(middle.info.id).has_value();
    const auto found = check_store();
    CHECK(found.size() == (is_removed ? 2 : 3));
    is_done = is_renamed && is_removed;
    REQUIRE((is_done || !is_removed || !is_renamed));
    if (is_removed) break;
  }
}

}  // namespace
}  // namespace stasis::snapshot
