#pragma once

#include <catch2/catch.hpp>
#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "base/check.h"
#include "snapshot/uuid.h"
#include "snapshot/virtual_machine.h"

namespace stasis::snapshot {

/// What a guest prints, line by line.
class Lines final : public devices::ByteSink {
 public:
  void write(std::span<const std::uint8_t> bytes) override {
    const std::lock_guard lock(mutex_);
    for (const std::uint8_t byte : bytes) {
      if (byte != '\n') {
        last_ += static_cast<char>(byte);
      } else {
        lines_.push_back(std::exchange(last_, {}));
      }
    }
    changed_.notify_all();
  }

  void forget() {
    const std::lock_guard lock(mutex_);
    lines_.clear();
    last_.clear();
  }

  /// The `number`th whole line since `forget`; fails the test after ten seconds.
  std::string await(std::size_t number = 0) {
    std::unique_lock lock(mutex_);
    const bool came =
        changed_.wait_for(lock, std::chrono::seconds(10), [&] { return lines_.size() > number; });
    REQUIRE(came);
    return lines_[number];
  }

  std::size_t count() const {
    const std::lock_guard lock(mutex_);
    return lines_.size();
  }

 private:
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::string> lines_;
  std::string last_;
};

class NoInput final : public ConsoleInput {
 public:
  void attach(devices::ByteReceiver&) override {}
  void detach() override {}
};

/// A line of the guest "ticker".
struct Tick {
  explicit Tick(const std::string& line) {
    const auto blank = line.find(' ');
    STASIS_CHECK(blank != std::string::npos);
    count = std::strtoul(line.c_str(), nullptr, 10);
    nonce = line.substr(blank + 1);
  }
  unsigned long count = 0;
  std::string nonce;
};

/// The machine "vm" below `root`, as a new process finds it.
inline base::Result<std::unique_ptr<VirtualMachine>> open_vm(const std::string& root,
                                                             VirtualMachine::Io io) {
  VmDirectory directory = TRY(VmDirectory::open(root, "vm"));
  VmLock lock = TRY(directory.lock());
  return VirtualMachine::open(std::move(directory), std::move(lock), io);
}

/// A named machine in a folder of its own, which goes with it.
class TestVm {
 public:
  /// With `disks` raw disks of 16 MiB, "disk0" and so on in the root folder.
  explicit TestVm(const std::string& guest, unsigned disks = 0) {
    STASIS_CHECK(::mkdtemp(root_.data()) != nullptr);
    VmConfig config;
    config.id = *make_uuid();
    config.created_unix_us = 1;
    config.machine.name = "vm";
    config.machine.kernel = std::string(std::getenv("STASIS_GUESTS")) + "/" + guest + ".elf";
    config.machine.cmdline = "console=ttyS0";
    config.machine.memory_bytes = std::uint64_t{64} << 20;
    for (unsigned i = 0; i < disks; ++i) {
      const std::string path = root_ + "/disk" + std::to_string(i);
      std::ofstream(path).close();
      std::filesystem::resize_file(path, 16 << 20);
      config.machine.disks.emplace_back().path = path;
    }
    auto created = VmDirectory::create(root_, config);
    STASIS_CHECK(created.has_value());
    keep(VirtualMachine::open(std::move(created->first), std::move(created->second),
                              {lines_, input_}));
  }
  TestVm(const TestVm&) = delete;
  TestVm& operator=(const TestVm&) = delete;
  ~TestVm() {
    vm_.reset();
    std::filesystem::remove_all(root_);
  }

  VirtualMachine* operator->() { return vm_.get(); }
  Lines& lines() { return lines_; }
  const std::string& root() const { return root_; }
  std::string folder() const { return root_ + "/vms/vm"; }

  /// As a new process would find it.
  void reopen() {
    vm_.reset();
    keep(open_vm(root_, {lines_, input_}));
  }

  /// Gives the machine up, for another process.
  void close() { vm_.reset(); }

  SnapshotInfo snapshot(const CreateOptions& options = {}) {
    Unobserved nobody;
    auto info = vm_->create_snapshot(options, nobody);
    if (!info) FAIL(info.error().message());
    return *info;
  }
  base::Status apply(const std::string& id, const ApplyOptions& options = {}) {
    Unobserved nobody;
    return vm_->apply_snapshot(id, options, nobody);
  }

 private:
  void keep(base::Result<std::unique_ptr<VirtualMachine>> vm) {
    if (!vm) FAIL(vm.error().message());
    vm_ = std::move(*vm);
  }

  std::string root_ = "/tmp/stasis-vm-XXXXXX";
  Lines lines_;
  NoInput input_;
  std::unique_ptr<VirtualMachine> vm_;
};

}  // namespace stasis::snapshot
