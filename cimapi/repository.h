#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cimapi/cim_error.h"
#include "cimapi/jobs.h"
#include "cimapi/model.h"
#include "cimapi/schema.h"
#include "snapshot/vm_control.h"

namespace stasis::cimapi {

/// Which associations and partners are asked for; empty: any. Names of superclasses match, too.
struct AssociationFilter {
  std::string association_class{};
  std::string result_class{};
  std::string role{};         ///< the property of the association that names the source
  std::string result_role{};  ///< the property that names the partner
};

/// The instances of one namespace and their classes, read only. What it shows is made anew for
/// every question. Paths in and out have the namespace under which it was asked.
/// Threads: any, all at once.
class Repository {
 public:
  /// `vm` and `jobs` outlive this.
  Repository(Space space, const Schema& schema, const snapshot::VmControl& vm, const JobTable& jobs)
      : space_(space), schema_(schema), vm_(vm), jobs_(jobs) {}

  const Schema& schema() const { return schema_; }
  Space space() const { return space_; }

  /// Of the class and its subclasses. kInvalidClass.
  CimResult<std::vector<Instance>> enumerate(std::string_view class_name) const;

  /// The one object that the path names: its class may be a superclass, keys may be left out as
  /// long as one object is left. kInvalidClass, kInvalidParameter, kNotFound.
  CimResult<Instance> get(const ObjectPath& path) const;

  /// Association instances at `source`. kNotFound when there is no such source.
  CimResult<std::vector<Instance>> references(const ObjectPath& source,
                                              const AssociationFilter& filter) const;
  /// The objects at their other ends.
  CimResult<std::vector<Instance>> associators(const ObjectPath& source,
                                               const AssociationFilter& filter) const;

 private:
  ModelView view() const;
  std::vector<Instance> collect(const std::vector<Provider>& providers, std::string_view class_name,
                                const ObjectPath* wanted = nullptr) const;
  CimResult<std::vector<Instance>> candidates(std::string_view class_name,
                                              const ObjectPath* wanted) const;
  bool names(const ObjectPath& path, const Instance& instance) const;
  bool is_class_or_absent(std::string_view class_name, std::string_view wanted) const;
  std::vector<const ObjectPath*> partners(const Instance& link, const Instance& source,
                                          const AssociationFilter& filter) const;

  Space space_;
  const Schema& schema_;
  const snapshot::VmControl& vm_;
  const JobTable& jobs_;
};

}  // namespace stasis::cimapi
