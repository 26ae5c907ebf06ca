#include "cimapi/client.h"

#include <fmt/format.h>

#include <algorithm>
#include <thread>

#include "cimapi/codes.h"
#include "cimapi/http_client.h"
#include "cimapi/message.h"
#include "cimapi/names.h"
#include "cimapi/no_observer.h"
#include "cimapi/setting_data.h"
#include "cimapi/snapshot_settings.h"
#include "cimapi/wbem_handler.h"

namespace stasis::cimapi {
namespace {

using base::ErrorKind;
using base::fail;
using base::Result;
using base::Status;

constexpr std::uint32_t kJobStarted = 4096;

ObjectPath in_v2(ObjectPath path) {
  path.name_space = kV2Name;
  return path;
}

HttpRequest http_request_of(const Request& request) {
  const std::string object =
      request.is_intrinsic ? request.object.name_space : to_text(request.object);
  HttpRequest http;
  http.verb = "POST";
  http.target = kWbemTarget;
  http.headers = {{"Host", "localhost"},
                  {"Content-Type", "application/xml; charset=\"utf-8\""},
                  {"CIMOperation", "MethodCall"},
                  {"CIMMethod", request.method},
                  {"CIMObject", percent_encoded(object)},
                  {"CIMProtocolVersion", "1.0"}};
  http.body = encode_request(request);
  return http;
}

Result<Reply> ask(HttpClient& http, const Request& request, std::chrono::milliseconds timeout,
                  std::string* reason) {
  const HttpResponse response = TRY(http.exchange(http_request_of(request), timeout));
  if (response.status != 200) {
    return fail(ErrorKind::kInternal, fmt::format("the VM process: HTTP {} {}", response.status,
                                                  header(response.headers, "CIMError")));
  }
  if (reason != nullptr) *reason = percent_decoded(header(response.headers, kReasonHeader));
  return decode_response(response.body);
}

/// `busy machine is in use`: the kind's name, then the sentence.
std::optional<base::Error> error_of(std::uint32_t code, const std::string& reason) {
  const auto kind = kind_of_code(code);
  if (!kind) return std::nullopt;
  if (reason.empty()) return base::Error(*kind, text_of_code(code));
  const std::size_t space = std::min(reason.find(' '), reason.size());
  return base::Error(kind_named(std::string_view(reason).substr(0, space)),
                     reason.substr(std::min(space + 1, reason.size())));
}

Request intrinsic(std::string_view method, std::string_view name_space,
                  std::vector<Property> parameters) {
  Request request;
  request.message_id = "1";
  request.method = method;
  request.object.name_space = name_space;
  request.parameters = std::move(parameters);
  return request;
}

Property class_parameter(const char* name, std::string_view class_name) {
  return {name, Value::reference({{}, std::string(class_name), {}})};
}

Property snapshot_parameter(const char* name, const std::string& id) {
  return {name, Value::reference(in_v2(setting_data_path(id)))};
}

snapshot::PowerState power_state_of(std::uint64_t enabled_state) {
  using snapshot::PowerState;
  switch (enabled_state) {
    case 2:
      return PowerState::kRunning;
    case 4:
      return PowerState::kStopping;
    case 6:
      return PowerState::kSaved;
    case 9:
      return PowerState::kPaused;
    case 10:
      return PowerState::kStarting;
    default:
      return PowerState::kOff;
  }
}

/// The id at the other end of the only association of that class; empty: there is none.
std::string partner_id(const std::vector<Instance>& links, const char* end) {
  if (links.empty()) return {};
  const Value* value = links.front().find(end);
  const ObjectPath* path = value == nullptr ? nullptr : value->as_reference();
  if (path == nullptr) return {};
  const std::string id = path->key_text("InstanceID");
  return id.substr(std::min(id.find(':') + 1, id.size()));
}

base::Error job_error(const Instance& job) {
  std::string text = job.text("JobStatus");
  if (text.empty()) text = job.text("ErrorDescription");
  return {kind_named(job.text("ErrorKind")), std::move(text)};
}

bool is_over(const Instance& job) {
  constexpr std::uint64_t kCompleted = 7;
  return job.number("JobState") >= kCompleted;
}

}  // namespace

const Value* MethodResult::find(std::string_view name) const {
  const auto found = std::find_if(out.begin(), out.end(), [&](const Property& parameter) {
    return same_name(parameter.name, name);
  });
  return found == out.end() ? nullptr : &found->value;
}

Client::Client(std::unique_ptr<HttpClient> http, Options options)
    : http_(std::move(http)), options_(options) {}
Client::Client(Client&& other) noexcept = default;
Client& Client::operator=(Client&& other) noexcept = default;
Client::~Client() = default;

Result<Client> Client::connect(const std::string& socket_path, const Options& options) {
  auto http = TRY(HttpClient::connect(socket_path, options.connect_timeout));
  return Client(std::move(http), options);
}

Result<Client> Client::connect(const std::string& socket_path) {
  return connect(socket_path, Options{});
}

Result<MethodResult> Client::invoke(const ObjectPath& object, std::string_view method,
                                    const std::vector<Property>& in) {
  Request request;
  request.message_id = "1";
  request.is_intrinsic = false;
  request.method = method;
  request.object = object;
  request.parameters = in;
  std::string reason;
  Reply reply = TRY(ask(*http_, request, options_.answer_timeout, &reason));
  MethodResult result{reply.return_value, std::move(reply.out), {}};
  result.error = error_of(result.return_value, reason);
  return result;
}

Result<Instance> Client::get(const ObjectPath& path) {
  const Request request =
      intrinsic("GetInstance", path.name_space, {{"InstanceName", Value::reference(path)}});
  Reply reply = TRY(ask(*http_, request, options_.answer_timeout, nullptr));
  if (reply.instances.empty()) {
    return fail(ErrorKind::kCorrupt, "answer of the VM process: no instance");
  }
  reply.instances.front().path = path;
  return std::move(reply.instances.front());
}

Result<std::vector<Instance>> Client::enumerate(std::string_view name_space,
                                                std::string_view class_name) {
  const Request request =
      intrinsic("EnumerateInstances", name_space, {class_parameter("ClassName", class_name)});
  return TRY(ask(*http_, request, options_.answer_timeout, nullptr)).instances;
}

Result<std::vector<Instance>> Client::associators(const ObjectPath& path,
                                                  std::string_view association_class,
                                                  std::string_view result_class) {
  std::vector<Property> parameters{{"ObjectName", Value::reference(path)}};
  if (!association_class.empty()) {
    parameters.push_back(class_parameter("AssocClass", association_class));
  }
  if (!result_class.empty()) parameters.push_back(class_parameter("ResultClass", result_class));
  const Request request = intrinsic("Associators", path.name_space, std::move(parameters));
  return TRY(ask(*http_, request, options_.answer_timeout, nullptr)).instances;
}

Result<MethodResult> Client::call_service(std::string_view method,
                                          const std::vector<Property>& in) {
  return invoke(in_v2(service_path(kSnapshotService, kSnapshotServiceName)), method, in);
}

Status Client::finish(const Result<MethodResult>& result, snapshot::WorkObserver& observer) {
  if (!result) return fail(result.error());
  if (result->error) return fail(*result->error);
  if (result->return_value != kJobStarted) return {};
  const Value* job = result->find("Job");
  if (job == nullptr || job->as_reference() == nullptr) {
    return fail(ErrorKind::kCorrupt, "answer of the VM process: a job without its name");
  }
  return follow(*job->as_reference(), observer);
}

Status Client::follow(const ObjectPath& job, snapshot::WorkObserver& observer) {
  constexpr std::uint64_t kCompleted = 7;
  constexpr std::uint64_t kTerminate = 4;
  bool is_terminated = false;
  bool is_committing = false;
  while (true) {
    const Instance state = TRY(get(job));
    observer.progressed(state.number("BytesDone"), state.number("BytesTotal"));
    if (is_over(state)) {
      return state.number("JobState") == kCompleted ? Status() : fail(job_error(state));
    }
    if (!state.boolean("Cancellable") && !is_committing) {
      is_committing = true;
      observer.committing();
    }
    if (observer.is_cancelled() && !is_terminated) {
      is_terminated = true;  // what came of it, the job's last state tells
      TRY(invoke(job, "RequestStateChange",
                 {{"RequestedState", Value::number(Type::kUint16, kTerminate)}}));
      continue;
    }
    std::this_thread::sleep_for(options_.poll_interval);
  }
}

Result<ObjectPath> Client::computer_system() {
  if (computer_system_) return *computer_system_;
  for (Instance& instance : TRY(enumerate(kV2Name, kComputerSystem))) {
    if (instance.text("Caption") != "Virtual Machine") continue;
    computer_system_ = in_v2(instance.path);
    return *computer_system_;
  }
  return fail(ErrorKind::kCorrupt, "answer of the VM process: no virtual machine");
}

Result<snapshot::VmInfo> Client::info() {
  const ObjectPath path = TRY(computer_system());
  const Instance machine = TRY(get(path));
  const auto settings = TRY(associators(path, "Msvm_SettingsDefineState", ""));
  if (settings.empty()) return fail(ErrorKind::kCorrupt, "answer of the VM process: no settings");
  snapshot::VmInfo vm = vm_info_of(settings.front());
  vm.state = power_state_of(machine.number("EnabledState"));
  vm.current = partner_id(TRY(enumerate(kV2Name, "CIM_MostCurrentSnapshotInBranch")), "Dependent");
  vm.last_applied = partner_id(TRY(enumerate(kV2Name, "CIM_LastAppliedSnapshot")), "Antecedent");
  return vm;
}

Result<std::vector<snapshot::SnapshotInfo>> Client::snapshots() {
  std::vector<snapshot::SnapshotInfo> infos;
  for (const Instance& instance : TRY(enumerate(kV2Name, kSettingData))) {
    if (is_snapshot(instance)) infos.push_back(snapshot_info_of(instance));
  }
  return infos;
}

Result<snapshot::SnapshotInfo> Client::create_snapshot(const snapshot::CreateOptions& options,
                                                       snapshot::WorkObserver& observer) {
  const std::uint64_t type = options.kind == snapshot::SnapshotKind::kFull ? 2 : 3;
  const ObjectPath system = TRY(computer_system());
  const auto result = call_service(
      "CreateSnapshot",
      {{"AffectedSystem", Value::reference(system)},
       {"SnapshotSettings",
        Value::embedded(encode_snapshot_settings(
            {options.name, options.notes, options.engine, options.compression_level}))},
       {"SnapshotType", Value::number(Type::kUint16, type)}});
  TRY(finish(result, observer));
  if (const Value* made = result->find("ResultingSnapshot")) {
    if (made->as_reference() != nullptr) {
      return snapshot_info_of(TRY(get(in_v2(*made->as_reference()))));
    }
  }
  const Value* job = result->find("Job");
  if (job == nullptr || job->as_reference() == nullptr) {
    return fail(ErrorKind::kCorrupt, "answer of the VM process: no snapshot");
  }
  const auto made = TRY(
      associators(*job->as_reference(), "CIM_AffectedJobElement", "CIM_VirtualSystemSettingData"));
  if (made.empty()) return fail(ErrorKind::kCorrupt, "answer of the VM process: no snapshot");
  return snapshot_info_of(made.front());
}

Status Client::apply_snapshot(const std::string& id, const snapshot::ApplyOptions& options,
                              snapshot::WorkObserver& observer) {
  return finish(
      call_service(
          "ApplySnapshotInPlace",
          {snapshot_parameter("Snapshot", id),
           {"ClockPolicy", Value::number(Type::kUint16, static_cast<std::uint64_t>(options.clock))},
           {"NewGeneration", Value::boolean(options.new_generation)}}),
      observer);
}

Status Client::destroy_snapshot(const std::string& id) {
  NoObserver observer;
  return finish(call_service("DestroySnapshot", {snapshot_parameter("AffectedSnapshot", id)}),
                observer);
}

Status Client::destroy_snapshot_tree(const std::string& id) {
  NoObserver observer;
  return finish(
      call_service("DestroySnapshotTree", {snapshot_parameter("SnapshotSettingData", id)}),
      observer);
}

Status Client::verify_snapshot(const std::string& id, snapshot::WorkObserver& observer) {
  return finish(call_service("VerifySnapshot", {snapshot_parameter("Snapshot", id)}), observer);
}

Status Client::rename_snapshot(const std::string& id, const std::string& name,
                               const std::string& notes) {
  NoObserver observer;
  return finish(call_service("RenameSnapshot", {snapshot_parameter("Snapshot", id),
                                                {"NewName", Value::text(name)},
                                                {"Notes", Value::text(notes)}}),
                observer);
}

Result<std::string> Client::selftest() {
  const ObjectPath system = TRY(computer_system());
  const MethodResult result =
      TRY(call_service("SelfTest", {{"AffectedSystem", Value::reference(system)}}));
  if (result.error) return fail(*result.error);
  const Value* report = result.find("Report");
  return report == nullptr ? std::string() : report->as_text();
}

Status Client::request_state(std::uint16_t requested) {
  const ObjectPath system = TRY(computer_system());
  NoObserver observer;
  return finish(invoke(system, "RequestStateChange",
                       {{"RequestedState", Value::number(Type::kUint16, requested)}}),
                observer);
}

Status Client::start() {
  return request_state(2);
}
Status Client::resume() {
  return request_state(2);
}
Status Client::power_off() {
  return request_state(3);
}
Status Client::shut_down() {
  return request_state(4);
}
Status Client::pause() {
  return request_state(9);
}
Status Client::reset() {
  return request_state(11);
}

}  // namespace stasis::cimapi
