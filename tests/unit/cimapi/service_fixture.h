#pragma once

#include <string>
#include <thread>

#include "cimapi/host_name.h"
#include "cimapi/object_manager.h"
#include "tests/unit/cimapi/fake_vm.h"

namespace stasis::cimapi::testing {

/// One machine with two snapshots, the second the child of the first, and its services.
struct ServiceFixture {
  explicit ServiceFixture(snapshot::PowerState state = snapshot::PowerState::kRunning) : vm(state) {
    root = vm.add("root", "", true);
    leaf = vm.add("leaf", root, false);
  }

  FakeVm vm;
  std::string root;
  std::string leaf;
  std::uint64_t now_us = 1'700'000'000'000'000;
  ObjectManager manager{vm, [this] { return now_us; }};
  Services& services = manager.services();

  /// Waits for the end of the job, if there is one.
  void await_idle() const {
    while (manager.jobs().is_working()) std::this_thread::yield();
  }
  /// The last job, when it has ended.
  JobInfo finished_job() const {
    await_idle();
    return manager.jobs().list().back();
  }
};

/// REFs, right and wrong.
inline Ref machine() {
  return computer_system_path(FakeVm::kId);
}
inline Ref with_key(Ref ref, const char* name, const char* value) {
  ref->keys.push_back({name, Value::text(value)});
  return ref;
}
inline Ref in_name_space(Ref ref, const char* name_space) {
  ref->name_space = name_space;
  return ref;
}
inline Ref of_class(Ref ref, const char* class_name) {
  ref->class_name = class_name;
  return ref;
}
inline Ref snapshot_ref(const std::string& id) {
  return setting_data_path(id);
}
inline Ref no_path() {
  return path_from_text("just words");
}

}  // namespace stasis::cimapi::testing
