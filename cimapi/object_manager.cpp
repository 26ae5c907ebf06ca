#include "cimapi/object_manager.h"

#include <fmt/format.h>

#include "base/check.h"
#include "cimapi/operations.h"
#include "cimapi/schema_texts.h"

namespace stasis::cimapi {
namespace {

std::string_view text_of(Space space) {
  switch (space) {
    case Space::kV1:
      return kV1Mof;
    case Space::kV2:
      return kV2Mof;
    case Space::kInterop:
      return kInteropMof;
  }
  return {};
}

void put_name_space(MethodAnswer& answer, const std::string& name_space) {
  for (Property& parameter : answer.out) {
    for (ObjectPath& path : parameter.value.references) path.name_space = name_space;
  }
}

}  // namespace

const Schema& ObjectManager::schema(Space space) {
  const std::lock_guard lock(mutex_);
  auto& slot = schemas_[static_cast<std::size_t>(space)];
  if (!slot) {
    auto parsed = Schema::parse(std::string(kCoreMof) + std::string(text_of(space)));
    STASIS_CHECK(parsed);  // a text of ours
    slot = std::move(*parsed);
  }
  return *slot;
}

Repository ObjectManager::repository(Space space) {
  return {space, schema(space), vm_, jobs_};
}

ObjectManager::Reply ObjectManager::answer(const Request& request) {
  if (request.is_intrinsic) return {intrinsic_response(request, operate(request))};
  auto result = call(request);
  Reply reply{method_response(request, result)};
  if (result) reply.reason = std::move(result->reason);
  return reply;
}

CimResult<Space> ObjectManager::space_of(const Request& request) const {
  const std::string& name = request.object.name_space;
  if (const auto space = space_named(name)) return *space;
  return cim_fail(CimStatus::kInvalidNamespace, fmt::format("no namespace \"{}\"", name));
}

CimResult<Content> ObjectManager::operate(const Request& request) {
  const auto space = space_of(request);
  if (!space) return tl::unexpected<CimError>(space.error());
  return cimapi::operate(repository(*space), services_, request);
}

CimResult<MethodAnswer> ObjectManager::call(const Request& request) {
  const auto space = space_of(request);
  if (!space) return tl::unexpected<CimError>(space.error());
  const Repository objects = repository(*space);
  const std::string& class_name = request.object.class_name;
  if (objects.schema().find(class_name) == nullptr) {
    return cim_fail(CimStatus::kInvalidClass, fmt::format("no class \"{}\"", class_name));
  }
  const auto method = objects.schema().find_method(class_name, request.method);
  if (!method) {
    return cim_fail(CimStatus::kMethodNotFound,
                    fmt::format("{} has no method \"{}\"", class_name, request.method));
  }
  if (request.is_static) {
    return cim_fail(CimStatus::kInvalidParameter,
                    fmt::format("{} is a method of instances: name one", request.method));
  }
  auto typed = type_parameters(*method, request);
  if (!typed) return tl::unexpected<CimError>(typed.error());
  const auto object = objects.get(request.object);
  if (!object) return tl::unexpected<CimError>(object.error());
  typed->object = object->path;
  auto answer = call_method(services_, *space, object->path.class_name, method->name, *typed);
  if (answer) put_name_space(*answer, request.object.name_space);
  return answer;
}

}  // namespace stasis::cimapi
