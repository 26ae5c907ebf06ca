#include "cimapi/operations.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "cimapi/class_xml.h"
#include "cimapi/setting_data.h"
#include "cimapi/xml_writer.h"

namespace stasis::cimapi {
namespace {

struct Operation {
  const Repository& repository;
  Services& services;
  const Request& request;

  std::string text(std::string_view name) const {
    const Value* value = request.find(name);
    if (value == nullptr) return {};
    const ObjectPath* path = value->as_reference();  // CLASSNAME
    return path == nullptr ? value->as_text() : path->class_name;
  }
  bool flag(std::string_view name, bool otherwise) const {
    const Value* value = request.find(name);
    return value == nullptr || value->is_null ? otherwise : value->as_boolean();
  }
};

tl::unexpected<CimError> missing(const char* parameter) {
  return cim_fail(CimStatus::kInvalidParameter, fmt::format("{}: is missing", parameter));
}

CimResult<ObjectPath> object_of(const Operation& operation, const char* parameter) {
  const Value* value = operation.request.find(parameter);
  const ObjectPath* path = value == nullptr ? nullptr : value->as_reference();
  if (path == nullptr) return missing(parameter);
  if (!path->name_space.empty() && space_named(path->name_space) != operation.repository.space()) {
    return cim_fail(CimStatus::kInvalidNamespace,
                    fmt::format("{}: is in another namespace", to_text(*path)));
  }
  return *path;
}

CimResult<const SchemaClass*> class_of(const Operation& operation, const std::string& name) {
  if (name.empty()) return missing("ClassName");
  const SchemaClass* found = operation.repository.schema().find(name);
  if (found == nullptr) {
    return cim_fail(CimStatus::kInvalidClass, fmt::format("no class \"{}\"", name));
  }
  return found;
}

/// References in paths and properties get the namespace that was asked.
void settle(ObjectPath& path, const std::string& name_space);
void settle(std::vector<Property>& properties, const std::string& name_space) {
  for (Property& property : properties) {
    for (ObjectPath& path : property.value.references) settle(path, name_space);
  }
}
void settle(ObjectPath& path, const std::string& name_space) {
  path.name_space = name_space;
  settle(path.keys, name_space);
}

/// Only the properties that were asked for, if any were.
void filter_properties(Instance& instance, const Value* list) {
  if (list == nullptr || list->is_null) return;
  auto& properties = instance.properties;
  const auto is_unwanted = [&](const Property& property) {
    return std::none_of(list->texts.begin(), list->texts.end(),
                        [&](const std::string& name) { return same_name(name, property.name); });
  };
  properties.erase(std::remove_if(properties.begin(), properties.end(), is_unwanted),
                   properties.end());
}

Instance presented(Instance instance, const Operation& operation) {
  settle(instance.path, operation.request.object.name_space);
  settle(instance.properties, operation.request.object.name_space);
  filter_properties(instance, operation.request.find("PropertyList"));
  return instance;
}

CimResult<Content> get_class(const Operation& operation) {
  const auto found = class_of(operation, operation.text("ClassName"));
  if (!found) return tl::unexpected<CimError>(found.error());
  return class_xml(operation.repository.schema(), **found,
                   {operation.flag("LocalOnly", true), operation.flag("IncludeQualifiers", true)});
}

CimResult<std::vector<const SchemaClass*>> classes_below(const Operation& operation) {
  const std::string name = operation.text("ClassName");
  if (!name.empty()) {
    const auto found = class_of(operation, name);
    if (!found) return tl::unexpected<CimError>(found.error());
  }
  return operation.repository.schema().below(name, operation.flag("DeepInheritance", false));
}

CimResult<Content> enumerate_classes(const Operation& operation) {
  const auto classes = classes_below(operation);
  if (!classes) return tl::unexpected<CimError>(classes.error());
  const ClassView view{operation.flag("LocalOnly", true),
                       operation.flag("IncludeQualifiers", true)};
  std::string out;
  for (const auto* entry : *classes) out += class_xml(operation.repository.schema(), *entry, view);
  return out;
}

CimResult<Content> enumerate_class_names(const Operation& operation) {
  const auto classes = classes_below(operation);
  if (!classes) return tl::unexpected<CimError>(classes.error());
  std::string out;
  for (const auto* entry : *classes) {
    out += fmt::format("<CLASSNAME NAME=\"{}\"></CLASSNAME>", entry->name);
  }
  return out;
}

CimResult<Content> get_instance(const Operation& operation) {
  const auto path = object_of(operation, "InstanceName");
  if (!path) return tl::unexpected<CimError>(path.error());
  auto instance = operation.repository.get(*path);
  if (!instance) return tl::unexpected<CimError>(instance.error());
  return instance_xml(presented(std::move(*instance), operation));
}

CimResult<Content> enumerate_instances(const Operation& operation) {
  auto instances = operation.repository.enumerate(operation.text("ClassName"));
  if (!instances) return tl::unexpected<CimError>(instances.error());
  std::string out;
  for (Instance& instance : *instances) {
    const Instance shown = presented(std::move(instance), operation);
    out += fmt::format("<VALUE.NAMEDINSTANCE>{}{}</VALUE.NAMEDINSTANCE>",
                       instance_name_xml(shown.path), instance_xml(shown));
  }
  return out;
}

CimResult<Content> enumerate_instance_names(const Operation& operation) {
  auto instances = operation.repository.enumerate(operation.text("ClassName"));
  if (!instances) return tl::unexpected<CimError>(instances.error());
  std::string out;
  for (Instance& instance : *instances) {
    out += instance_name_xml(presented(std::move(instance), operation).path);
  }
  return out;
}

enum class Show { kObjects, kNames };

CimResult<Content> show(CimResult<std::vector<Instance>> instances, const Operation& operation,
                        Show how) {
  if (!instances) return tl::unexpected<CimError>(instances.error());
  std::string out;
  for (Instance& instance : *instances) {
    const Instance shown = presented(std::move(instance), operation);
    out += how == Show::kNames
               ? fmt::format("<OBJECTPATH>{}</OBJECTPATH>", full_path_xml(shown.path))
               : fmt::format("<VALUE.OBJECTWITHPATH>{}{}</VALUE.OBJECTWITHPATH>",
                             full_path_xml(shown.path), instance_xml(shown));
  }
  return out;
}

/// kInvalidParameter for a class in a filter that is not known.
CimResult<AssociationFilter> filter_of(const Operation& operation, const char* association) {
  const AssociationFilter filter{operation.text(association), operation.text("ResultClass"),
                                 operation.text("Role"), operation.text("ResultRole")};
  for (const std::string& name : {filter.association_class, filter.result_class}) {
    if (!name.empty() && operation.repository.schema().find(name) == nullptr) {
      return cim_fail(CimStatus::kInvalidParameter, fmt::format("no class \"{}\"", name));
    }
  }
  return filter;
}

template <Show kHow>
CimResult<Content> associators(const Operation& operation) {
  const auto path = object_of(operation, "ObjectName");
  if (!path) return tl::unexpected<CimError>(path.error());
  const auto filter = filter_of(operation, "AssocClass");
  if (!filter) return tl::unexpected<CimError>(filter.error());
  return show(operation.repository.associators(*path, *filter), operation, kHow);
}

template <Show kHow>
CimResult<Content> references(const Operation& operation) {
  const auto path = object_of(operation, "ObjectName");
  if (!path) return tl::unexpected<CimError>(path.error());
  auto filter = filter_of(operation, "ResultClass");  // of the association itself
  if (!filter) return tl::unexpected<CimError>(filter.error());
  return show(operation.repository.references(*path, *filter), operation, kHow);
}

CimResult<Content> delete_instance(const Operation& operation) {
  const auto path = object_of(operation, "InstanceName");
  if (!path) return tl::unexpected<CimError>(path.error());
  const auto instance = operation.repository.get(*path);
  if (!instance) return tl::unexpected<CimError>(instance.error());
  const std::string& name = instance->path.class_name;
  if (name == kSettingData) {
    return cim_fail(CimStatus::kNotSupported, "snapshots go by the method DestroySnapshot");
  }
  if (name != kJobClass) {
    return cim_fail(CimStatus::kNotSupported, fmt::format("{}: cannot be deleted", name));
  }
  if (auto gone = operation.services.jobs.remove(instance->text("InstanceID")); !gone) {
    return cim_fail(CimStatus::kFailed, gone.error().message());
  }
  return Content{};
}

bool is_listed(const Value* list, std::string_view name) {
  return list == nullptr || list->is_null ||
         std::any_of(list->texts.begin(), list->texts.end(),
                     [&](const std::string& entry) { return same_name(entry, name); });
}

std::optional<std::string> new_text(const Operation& operation, const char* name) {
  const Value* value = operation.request.modified_instance->find(name);
  if (value == nullptr || !is_listed(operation.request.find("PropertyList"), name)) {
    return std::nullopt;
  }
  std::string text;
  for (const std::string& line : value->texts) text += (text.empty() ? "" : "\n") + line;
  return text;
}

CimResult<Content> modify_instance(const Operation& operation) {
  if (!operation.request.modified_instance) return missing("ModifiedInstance");
  const auto instance = operation.repository.get(operation.request.modified_instance->path);
  if (!instance) return tl::unexpected<CimError>(instance.error());
  const bool is_of_snapshot = is_snapshot(*instance) || instance->number("SettingType") == 5;
  if (!is_of_snapshot) {
    return cim_fail(CimStatus::kNotSupported, "only name and notes of a snapshot can be modified");
  }
  const snapshot::SnapshotInfo before = snapshot_info_of(*instance);
  const auto renamed = operation.services.work.rename(
      before, new_text(operation, "ElementName").value_or(before.name),
      new_text(operation, "Notes").value_or(before.notes));
  if (renamed) return Content{};
  const bool is_wrong = renamed.error().verdict == Verdict::kInvalidParameter;
  return cim_fail(is_wrong ? CimStatus::kInvalidParameter : CimStatus::kFailed,
                  renamed.error().error.message());
}

CimResult<Content> get_property(const Operation& operation) {
  const auto path = object_of(operation, "InstanceName");
  if (!path) return tl::unexpected<CimError>(path.error());
  const auto instance = operation.repository.get(*path);
  if (!instance) return tl::unexpected<CimError>(instance.error());
  const Value* value = instance->find(operation.text("PropertyName"));
  return value == nullptr ? Content{} : value_xml(*value);
}

CimResult<Content> no_query(const Operation& /*operation*/) {
  return cim_fail(CimStatus::kQueryLanguageNotSupported, "there is no query language");
}

struct OperationEntry {
  std::string_view name;
  CimResult<Content> (*perform)(const Operation&);
};

constexpr std::array<OperationEntry, 14> kOperations = {{
    {"GetClass", get_class},
    {"EnumerateClasses", enumerate_classes},
    {"EnumerateClassNames", enumerate_class_names},
    {"GetInstance", get_instance},
    {"EnumerateInstances", enumerate_instances},
    {"EnumerateInstanceNames", enumerate_instance_names},
    {"Associators", associators<Show::kObjects>},
    {"AssociatorNames", associators<Show::kNames>},
    {"References", references<Show::kObjects>},
    {"ReferenceNames", references<Show::kNames>},
    {"ModifyInstance", modify_instance},
    {"DeleteInstance", delete_instance},
    {"GetProperty", get_property},
    {"ExecQuery", no_query},
}};

}  // namespace

CimResult<Content> operate(const Repository& repository, Services& services,
                           const Request& request) {
  const auto* entry = std::find_if(
      kOperations.begin(), kOperations.end(),
      [&](const OperationEntry& candidate) { return same_name(candidate.name, request.method); });
  if (entry == kOperations.end()) {
    return cim_fail(CimStatus::kNotSupported,
                    fmt::format("{}: no such operation here", request.method));
  }
  return entry->perform({repository, services, request});
}

}  // namespace stasis::cimapi
