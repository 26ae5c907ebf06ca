#include "cimapi/repository.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <utility>

namespace stasis::cimapi {
namespace {

bool same_reference(const ObjectPath& left, const ObjectPath& right);

/// Paths of ours: keys in the order in which we write them.
bool same_key(const Property& left, const Property& right) {
  const ObjectPath* reference = left.value.as_reference();
  const ObjectPath* other = right.value.as_reference();
  if ((reference == nullptr) != (other == nullptr)) return false;
  return reference != nullptr ? same_reference(*reference, *other)
                              : same_name(left.value.texts[0], right.value.texts[0]);
}

bool same_reference(const ObjectPath& left, const ObjectPath& right) {
  return left.class_name == right.class_name &&
         std::equal(left.keys.begin(), left.keys.end(), right.keys.begin(), right.keys.end(),
                    same_key);
}

bool is_class_key(std::string_view name) {
  constexpr std::string_view kEnd = "CreationClassName";
  return name.size() >= kEnd.size() && same_name(name.substr(name.size() - kEnd.size()), kEnd);
}

void move_to_end(std::vector<Instance> from, std::vector<Instance>& to) {
  to.insert(to.end(), std::make_move_iterator(from.begin()), std::make_move_iterator(from.end()));
}

/// One and the same object may be a partner by several associations.
void drop_doubles(std::vector<Instance>& instances) {
  std::vector<Instance> single;
  for (Instance& instance : instances) {
    const bool is_known = std::any_of(single.begin(), single.end(), [&](const Instance& other) {
      return same_reference(other.path, instance.path);
    });
    if (!is_known) single.push_back(std::move(instance));
  }
  instances = std::move(single);
}

/// A snapshot is found by its id alone: the instances of hundreds of others need not be made.
void drop_others(std::vector<snapshot::SnapshotInfo>& snapshots, const ObjectPath& wanted) {
  const Value* id = wanted.key("InstanceID");
  if (id == nullptr) return;
  std::erase_if(snapshots, [&](const snapshot::SnapshotInfo& info) {
    return !same_name(setting_data_path(info.id).key_text("InstanceID"), id->as_text());
  });
}

}  // namespace

ModelView Repository::view() const {
  ModelView view;
  view.space = space_;
  view.jobs = jobs_.list();  // first: what a finished job made is among the snapshots read later
  view.vm = vm_.info();
  return view;
}

/// `wanted`: what is not that object may be left out; null: all.
std::vector<Instance> Repository::collect(const std::vector<Provider>& providers,
                                          std::string_view class_name,
                                          const ObjectPath* wanted) const {
  std::vector<Instance> instances;
  std::optional<ModelView> taken;
  bool has_snapshots = false;
  for (const Provider& provider : providers) {
    if (!is_class_or_absent(provider.class_name, class_name)) continue;
    if (!taken) taken = view();
    if (provider.reads_snapshots && !std::exchange(has_snapshots, true)) {
      taken->snapshots = vm_.snapshots();
      if (wanted != nullptr) drop_others(taken->snapshots, *wanted);
    }
    move_to_end(provider.make(*taken), instances);
  }
  return instances;
}

bool Repository::is_class_or_absent(std::string_view class_name, std::string_view wanted) const {
  return wanted.empty() || schema_.derives(class_name, wanted);
}

CimResult<std::vector<Instance>> Repository::enumerate(std::string_view class_name) const {
  return candidates(class_name, nullptr);
}

CimResult<std::vector<Instance>> Repository::candidates(std::string_view class_name,
                                                        const ObjectPath* wanted) const {
  if (schema_.find(class_name) == nullptr) {
    return cim_fail(CimStatus::kInvalidClass, fmt::format("no class \"{}\"", class_name));
  }
  auto instances = collect(object_providers(space_), class_name, wanted);
  move_to_end(collect(association_providers(space_), class_name, wanted), instances);
  return instances;
}

bool Repository::names(const ObjectPath& path, const Instance& instance) const {
  if (!schema_.derives(instance.path.class_name, path.class_name)) return false;
  const auto& keys = instance.path.keys;
  return std::all_of(path.keys.begin(), path.keys.end(), [&](const Property& asked) {
    const Value* key = asked.name.empty() && keys.size() == 1 ? &keys.front().value
                                                              : instance.path.key(asked.name);
    if (key == nullptr) return false;
    if (const ObjectPath* reference = key->as_reference()) {
      const ObjectPath* wanted = asked.value.as_reference();
      return wanted != nullptr && names(*wanted, Instance{*reference, {}});
    }
    // the class that an object was made as may be named by a superclass, too
    return same_name(key->as_text(), asked.value.as_text()) ||
           (is_class_key(asked.name) && schema_.derives(key->as_text(), asked.value.as_text()));
  });
}

CimResult<Instance> Repository::get(const ObjectPath& path) const {
  const auto instances = candidates(path.class_name, &path);
  if (!instances) return tl::unexpected<CimError>(instances.error());
  if (path.keys.empty()) {
    return cim_fail(CimStatus::kInvalidParameter, fmt::format("\"{}\" has no keys", to_text(path)));
  }
  const auto matches = [&](const Instance& instance) { return names(path, instance); };
  const auto found = std::find_if(instances->begin(), instances->end(), matches);
  if (found == instances->end()) {
    return cim_fail(CimStatus::kNotFound, fmt::format("no object \"{}\"", to_text(path)));
  }
  if (std::find_if(std::next(found), instances->end(), matches) != instances->end()) {
    return cim_fail(CimStatus::kInvalidParameter,
                    fmt::format("\"{}\" names several objects: give all keys", to_text(path)));
  }
  return *found;
}

/// The ends of `link` other than the one at `source`; none when it is not at `source` or filtered.
std::vector<const ObjectPath*> Repository::partners(const Instance& link, const Instance& source,
                                                    const AssociationFilter& filter) const {
  const auto is_at_source = [&](const Property& end) {
    const ObjectPath* path = end.value.as_reference();
    return path != nullptr && same_reference(*path, source.path) &&
           (filter.role.empty() || same_name(end.name, filter.role));
  };
  const auto& ends = link.path.keys;
  const auto here = std::find_if(ends.begin(), ends.end(), is_at_source);
  std::vector<const ObjectPath*> others;
  for (auto end = ends.begin(); here != ends.end() && end != ends.end(); ++end) {
    const ObjectPath* path = end->value.as_reference();
    if (end == here || path == nullptr) continue;
    if (!filter.result_role.empty() && !same_name(end->name, filter.result_role)) continue;
    others.push_back(path);
  }
  return others;
}

CimResult<std::vector<Instance>> Repository::references(const ObjectPath& source,
                                                        const AssociationFilter& filter) const {
  const auto object = get(source);
  if (!object) return tl::unexpected<CimError>(object.error());
  auto links = collect(association_providers(space_), filter.association_class);
  const auto is_elsewhere = [&](const Instance& link) {
    return partners(link, *object, filter).empty();
  };
  links.erase(std::remove_if(links.begin(), links.end(), is_elsewhere), links.end());
  return links;
}

CimResult<std::vector<Instance>> Repository::associators(const ObjectPath& source,
                                                         const AssociationFilter& filter) const {
  const auto object = get(source);
  if (!object) return tl::unexpected<CimError>(object.error());
  const auto links = collect(association_providers(space_), filter.association_class);
  std::vector<Instance> found;
  std::vector<Instance> objects;  // of the class below, kept from partner to partner
  std::string class_name;
  for (const Instance& link : links) {
    for (const ObjectPath* partner : partners(link, *object, filter)) {
      if (!is_class_or_absent(partner->class_name, filter.result_class)) continue;
      if (partner->class_name != class_name) {
        class_name = partner->class_name;
        objects = collect(object_providers(space_), class_name);
      }
      std::copy_if(objects.begin(), objects.end(), std::back_inserter(found),
                   [&](const Instance& entry) { return same_reference(entry.path, *partner); });
    }
  }
  drop_doubles(found);
  return found;
}

}  // namespace stasis::cimapi
