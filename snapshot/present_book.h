#pragma once

#include <memory>
#include <utility>

#include "base/guarded.h"
#include "snapshot/vm_directory.h"

namespace stasis::snapshot {

/// The present of a machine, kept twice: what is true of the running process, and what a process
/// after it will find in `current.json`.
///
/// The two differ after a failed write: then the file has the old or the new present, and files
/// that either names must stay. Threads: any; changes one at a time (the machine's work slot and
/// session). `directory` must outlive it.
class PresentBook {
 public:
  /// Reads the file.
  static base::Result<PresentBook> open(const VmDirectory& directory);

  /// What is true now, snapshots that are not there left out (`VmDirectory::settled`).
  Present now() const;

  /// `next` is true and durable on return. After an error `now` is as before.
  base::Status write(const Present& next);

  /// The same in two steps, of which the first does the larger part of the work ahead of time: then
  /// it is durable, but not true.
  base::Status prepare(const Present& next) const;
  base::Status write_prepared(const Present& next);

  /// `present` is true whatever the file says.
  void hold(Present present);

  /// Lets the file say what is true, if it does not. False: it cannot be done, and which files the
  /// next process will ask for is not known; the reason is in the log.
  bool settle();

 private:
  struct Page {
    Present present;
    bool is_in_file = true;
  };

  PresentBook(const VmDirectory& directory, Present present)
      : directory_(&directory),
        page_(std::make_unique<base::Guarded<Page>>(Page{std::move(present), true})) {}
  base::Status note(const Present& next, const base::Status& written);

  const VmDirectory* directory_;
  std::unique_ptr<base::Guarded<Page>> page_;
};

}  // namespace stasis::snapshot
