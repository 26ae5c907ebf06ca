#include "snapshot/snapshot_store.h"

#include <fstream>

#include "tests/unit/snapshot/snapshot_fixtures.h"

namespace stasis::snapshot {
namespace {

struct OpenStore {
  ScratchFolder scratch;
  PlainRam ram{64, 64};
  SnapshotStore store = open();

  SnapshotStore open() const {
    auto opened = SnapshotStore::open(scratch.path("snapshots"));
    if (!opened) FAIL(opened.error().message());
    return std::move(*opened);
  }
  std::string folder(const std::string& id) const { return scratch.path("snapshots/" + id); }
  Manifest add(const std::string& parent = "") const {
    ram.fill();
    return store_snapshot(store, ram, {}, parent);
  }
  std::size_t entries() const {
    std::size_t count = 0;
    for ([[maybe_unused]] const auto& entry :
         std::filesystem::directory_iterator(scratch.path("snapshots"))) {
      ++count;
    }
    return count;
  }
};

TEST_CASE_METHOD(OpenStore, "a snapshot is there once it is committed, and not before") {
  auto pending = store.begin(new_id());
  REQUIRE(pending);
  CHECK(store.list()->snapshots.empty());
  CHECK(store.load(pending->id()).error().kind() == base::ErrorKind::kNotFound);
  REQUIRE(pending->commit(small_manifest(pending->id())));
  const auto list = store.list();
  REQUIRE(list);
  REQUIRE(list->snapshots.size() == 1);
  CHECK(list->snapshots[0].info.id == pending->id());
  CHECK(store.load(pending->id()));
}

TEST_CASE_METHOD(OpenStore, "what is dropped leaves nothing") {
  {
    auto pending = store.begin(new_id());
    REQUIRE(pending);
    ram.fill();
    capture_into(pending->folder(), ram, {});
    CHECK(entries() == 1);
  }
  CHECK(entries() == 0);
}

TEST_CASE_METHOD(OpenStore, "a dropped capture stops its process and leaves nothing") {
  auto pending = store.begin(new_id());
  REQUIRE(pending);
  ram.fill();
  {
    auto capture = prepare_ram_capture(pending->folder(), ram.size(), {Engine::kFork, 19});
    REQUIRE(capture);
    CountingObserver observer;
    REQUIRE((*capture)->capture(ram.regions(), observer));
  }
  CHECK(::waitpid(-1, nullptr, __WALL | WNOHANG) == -1);
}

TEST_CASE_METHOD(OpenStore, "files and folders are their owner's alone") {
  const Manifest manifest = add();
  const auto mode = [](const std::string& path) {
    struct stat status {};
    REQUIRE(::stat(path.c_str(), &status) == 0);
    return status.st_mode & 07777;
  };
  CHECK(mode(scratch.path("snapshots")) == 0700);
  CHECK(mode(folder(manifest.info.id)) == 0700);
  for (const auto& entry : std::filesystem::directory_iterator(folder(manifest.info.id))) {
    CHECK(mode(entry.path()) == 0600);
  }
}

TEST_CASE_METHOD(OpenStore, "leftovers of writers that are gone are removed, those at work stay") {
  const std::string dead = scratch.path("snapshots/.new-" + new_id());
  const std::string gone = scratch.path("snapshots/.gone-" + new_id());
  for (const auto& path : {dead, gone}) {
    std::filesystem::create_directory(path);
    std::ofstream(path + "/ram.raw") << "half";
  }
  const auto alive = store.begin(new_id());
  REQUIRE(alive);
  const Manifest manifest = add();
  std::ofstream(folder(manifest.info.id) + "/.manifest.new") << "half";
  const auto again = open();
  CHECK_FALSE(std::filesystem::exists(dead));
  CHECK_FALSE(std::filesystem::exists(gone));
  CHECK(std::filesystem::exists(scratch.path("snapshots/.new-" + alive->id())));
  CHECK_FALSE(std::filesystem::exists(folder(manifest.info.id) + "/.manifest.new"));
  CHECK(again.list()->snapshots.size() == 1);
}

TEST_CASE_METHOD(OpenStore, "an identifier is used once") {
  const Manifest manifest = add();
  CHECK_FALSE(store.begin(manifest.info.id));
  CHECK_FALSE(store.begin("../escape"));
  const auto pending = store.begin(new_id());
  REQUIRE(pending);
  CHECK_FALSE(store.begin(pending->id()));
}

TEST_CASE_METHOD(OpenStore, "children of a removed snapshot become its parent's") {
  const Manifest root = add();
  const Manifest middle = add(root.info.id);
  const Manifest leaf = add(middle.info.id);
  const std::string root_before = read_file(folder(root.info.id) + "/manifest.json");
  REQUIRE(store.remove(middle.info.id));
  CHECK(store.load(leaf.info.id)->info.parent == root.info.id);
  CHECK(store.load(middle.info.id).error().kind() == base::ErrorKind::kNotFound);
  CHECK(read_file(folder(root.info.id) + "/manifest.json") == root_before);
  CHECK(store.verify(leaf.info.id, nullptr));
  REQUIRE(store.remove(root.info.id));
  CHECK(store.load(leaf.info.id)->info.parent.empty());
  CHECK(entries() == 1);
  CHECK(store.remove(root.info.id).error().kind() == base::ErrorKind::kNotFound);
}

TEST_CASE_METHOD(OpenStore, "a new name and notes replace the old ones, and nothing else") {
  const Manifest manifest = add();
  REQUIRE(store.rename(manifest.info.id, "nach dem Update \xC3\xBC", "two\nlines"));
  const auto renamed = store.load(manifest.info.id);
  REQUIRE(renamed);
  CHECK(renamed->info.name == "nach dem Update \xC3\xBC");
  CHECK(renamed->info.notes == "two\nlines");
  CHECK(renamed->files == manifest.files);
  CHECK(store.verify(manifest.info.id, nullptr));
  CHECK(store.rename(manifest.info.id, "", "").error().kind() == base::ErrorKind::kInvalidArgument);
}

TEST_CASE_METHOD(OpenStore, "the short list follows every change, also those of others") {
  const Manifest root = add();
  const Manifest child = add(root.info.id);
  const auto names = [&] {
    std::vector<std::string> found;
    const auto list = store.infos();
    for (const auto& info : list->snapshots) found.push_back(info.name);
    return found;
  };
  const auto full_names = [&] {
    std::vector<std::string> found;
    const auto list = store.list();
    for (const auto& manifest : list->snapshots) found.push_back(manifest.info.name);
    return found;
  };
  CHECK(names() == full_names());
  REQUIRE(store.rename(child.info.id, "first", ""));
  CHECK(names() == full_names());
  const SnapshotStore other = open();
  REQUIRE(other.rename(child.info.id, "other", ""));  // as long as the one before
  CHECK(names() == full_names());
  REQUIRE(store.remove(root.info.id));
  const auto left = store.infos()->snapshots;
  REQUIRE(left.size() == 1);
  CHECK(left[0].name == "other");
  CHECK(left[0].parent.empty());
  add();
  CHECK(names().size() == 2);
}

TEST_CASE_METHOD(OpenStore, "what was just committed need not be read, until it changes") {
  const Manifest manifest = add();
  SnapshotInfo told = manifest.info;
  told.notes = "not in the file";
  store.remember(told);
  CHECK(store.infos()->snapshots.at(0).notes == told.notes);
  REQUIRE(open().rename(manifest.info.id, "new", ""));
  CHECK(store.infos()->snapshots.at(0).name == "new");
  CHECK(store.infos()->snapshots.at(0).notes.empty());
  told.id = new_id();
  store.remember(told);  // there is none
  CHECK(store.infos()->snapshots.size() == 1);
}

TEST_CASE_METHOD(OpenStore, "a manifest that was damaged after it was read is found broken") {
  const Manifest manifest = add();
  REQUIRE(store.infos()->snapshots.size() == 1);
  const std::string path = folder(manifest.info.id) + "/manifest.json";
  std::string text = read_file(path);
  text[text.size() / 2] ^= 1;
  std::ofstream(path) << text;
  const auto list = store.infos();
  REQUIRE(list);
  CHECK(list->snapshots.empty());
  REQUIRE(list->broken.size() == 1);
  CHECK(list->broken[0].id == manifest.info.id);
  CHECK(list->broken[0].error.kind() == base::ErrorKind::kCorrupt);
}

TEST_CASE_METHOD(OpenStore, "200 snapshots are listed, oldest first") {
  std::string parent;
  for (unsigned i = 0; i < 200; ++i) {
    auto pending = store.begin(new_id());
    REQUIRE(pending);
    Manifest manifest = small_manifest(pending->id(), parent);
    manifest.info.created_unix_us += 200 - i;
    REQUIRE(pending->commit(manifest));
    parent = pending->id();
  }
  const auto list = store.list();
  REQUIRE(list);
  REQUIRE(list->snapshots.size() == 200);
  CHECK(list->broken.empty());
  CHECK(list->snapshots.front().info.id == parent);
  CHECK(std::is_sorted(list->snapshots.begin(), list->snapshots.end(),
                       [](const auto& a, const auto& b) {
                         return a.info.created_unix_us < b.info.created_unix_us;
                       }));
}

TEST_CASE_METHOD(OpenStore, "verify tells how far it is and can be cancelled") {
  const Manifest manifest = add();
  CountingObserver observer;
  REQUIRE(store.verify(manifest.info.id, &observer));
  CHECK(observer.done_ == observer.total_);
  CHECK(observer.total_ > ram.size());
  CountingObserver impatient;
  impatient.cancel_at = 1;
  CHECK(store.verify(manifest.info.id, &impatient).error().kind() == base::ErrorKind::kCancelled);
}

}  // namespace
}  // namespace stasis::snapshot
