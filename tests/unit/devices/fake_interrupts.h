#pragma once

#include <algorithm>
#include <atomic>
#include <map>
#include <mutex>
#include <utility>
#include <vector>

#include "devices/interrupts.h"

/// What KVM would provide, for tests and fuzzing: counted instead of done.
namespace stasis::devices::testing {

/// Message-signalled interrupt sources that remember what they were told.
class FakeMsiVectors : public MsiVectors {
 public:
  struct Record {
    std::vector<MsiMessage> routes;
    std::atomic<unsigned> signals{0};
  };

  base::Result<std::unique_ptr<MsiVector>> make_vector() override {
    records_.push_back(std::make_shared<Record>());
    return std::make_unique<Vector>(records_.back());
  }

  std::size_t count() const { return records_.size(); }
  Record& at(std::size_t index) { return *records_.at(index); }

 private:
  class Vector : public MsiVector {
   public:
    explicit Vector(std::shared_ptr<Record> record) : record_(std::move(record)) {}
    void route(const MsiMessage& message) override { record_->routes.push_back(message); }
    void signal() override { ++record_->signals; }

   private:
    std::shared_ptr<Record> record_;
  };

  std::vector<std::shared_ptr<Record>> records_;
};

/// Doorbells that a test rings by hand.
class FakeDoorbells : public Doorbells {
 public:
  base::Status attach(base::GuestAddress address, const base::Fd& eventfd) override {
    const std::lock_guard lock(mutex_);
    if (fail_) return base::fail(base::ErrorKind::kUnsupported, "fake doorbells: refused");
    attached_.emplace_back(address.value, &eventfd);
    return {};
  }
  void detach(base::GuestAddress address, const base::Fd& eventfd) override {
    const std::lock_guard lock(mutex_);
    std::erase(attached_, std::pair(address.value, &eventfd));
  }

  void refuse() { fail_ = true; }
  std::vector<std::uint64_t> addresses() const {
    const std::lock_guard lock(mutex_);
    std::vector<std::uint64_t> found;
    for (const auto& [address, fd] : attached_) found.push_back(address);
    return found;
  }
  /// The guest writes to `address`; false when no doorbell is there.
  bool ring(std::uint64_t address) const {
    const std::lock_guard lock(mutex_);
    bool rang = false;
    for (const auto& [at, fd] : attached_) {
      if (at != address) continue;
      base::signal_eventfd(*fd);
      rang = true;
    }
    return rang;
  }

 private:
  mutable std::mutex mutex_;
  bool fail_ = false;
  std::vector<std::pair<std::uint64_t, const base::Fd*>> attached_;
};

}  // namespace stasis::devices::testing
