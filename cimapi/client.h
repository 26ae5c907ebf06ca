#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "cimapi/value.h"
#include "snapshot/vm_control.h"

namespace stasis::cimapi {

class HttpClient;

/// What a method gave: its return value (of the method's own family) and the out parameters.
struct MethodResult {
  std::uint32_t return_value = 0;
  std::vector<Property> out;
  /// Why the return value is no success; from the header `Stasis-Reason`, else made of the code.
  std::optional<base::Error> error;

  const Value* find(std::string_view name) const;
};

/// Management of one virtual machine through its control socket: the client of `Server`.
///
/// The typed calls are those of `snapshot::VmControl` and report the same kinds of error. Long work
/// is a job at the server: its observer is told of the bytes done and asked for cancellation a few
/// times a second; when it wants to cancel, the job is terminated and the call returns kCancelled
/// once nothing is left of the work, or success if it was too late.
/// When the VM process ends in the middle, calls give kIo with a text that says so.
/// Threads: one at a time.
class Client {
 public:
  struct Options {
    std::chrono::milliseconds connect_timeout{2'000};
    /// For one answer; synchronous work such as deleting a snapshot takes as long as it takes.
    std::chrono::milliseconds answer_timeout{120'000};
    std::chrono::milliseconds poll_interval{20};  ///< of a running job
  };

  /// kNotFound: no socket there; kIo: nobody listens any more (the VM process is gone).
  static base::Result<Client> connect(const std::string& socket_path, const Options& options);
  static base::Result<Client> connect(const std::string& socket_path);

  Client(Client&& other) noexcept;
  Client& operator=(Client&& other) noexcept;
  ~Client();

  base::Result<snapshot::VmInfo> info();
  base::Result<std::vector<snapshot::SnapshotInfo>> snapshots();  ///< oldest first
  base::Result<snapshot::SnapshotInfo> create_snapshot(const snapshot::CreateOptions& options,
                                                       snapshot::WorkObserver& observer);
  /// In place for a running or paused machine, as `VmControl::apply_snapshot`.
  base::Status apply_snapshot(const std::string& id, const snapshot::ApplyOptions& options,
                              snapshot::WorkObserver& observer);
  base::Status destroy_snapshot(const std::string& id);
  base::Status destroy_snapshot_tree(const std::string& id);
  base::Status verify_snapshot(const std::string& id, snapshot::WorkObserver& observer);
  base::Status rename_snapshot(const std::string& id, const std::string& name,
                               const std::string& notes);
  base::Result<std::string> selftest();
  base::Status start();
  base::Status pause();
  base::Status resume();
  base::Status shut_down();
  base::Status power_off();
  base::Status reset();

  /// The generic calls. A CIM error of the server is an Error here.
  base::Result<MethodResult> invoke(const ObjectPath& object, std::string_view method,
                                    const std::vector<Property>& in);
  base::Result<Instance> get(const ObjectPath& path);
  base::Result<std::vector<Instance>> enumerate(std::string_view name_space,
                                                std::string_view class_name);
  base::Result<std::vector<Instance>> associators(const ObjectPath& path,
                                                  std::string_view association_class,
                                                  std::string_view result_class);

  /// Waits for the end of a job, as the typed calls do.
  base::Status follow(const ObjectPath& job, snapshot::WorkObserver& observer);

 private:
  Client(std::unique_ptr<HttpClient> http, Options options);

  base::Result<MethodResult> call_service(std::string_view method, const std::vector<Property>& in);
  base::Status finish(const base::Result<MethodResult>& result, snapshot::WorkObserver& observer);
  base::Status request_state(std::uint16_t requested);
  base::Result<ObjectPath> computer_system();

  std::unique_ptr<HttpClient> http_;
  Options options_;
  std::optional<ObjectPath> computer_system_;  // asked for once
};

}  // namespace stasis::cimapi
