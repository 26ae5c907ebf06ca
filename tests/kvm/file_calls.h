#pragma once

#include <sys/types.h>

#include <atomic>

namespace stasis::test {

/// The calls that change files, of this process and of its children: counted, and at one of them
/// something else happens.
///
/// The program these are linked into calls them in libc's place, so that nothing of what a machine
/// does to its files escapes: neither the store, nor the disk layers, nor what becomes durable on
/// the way. Only files and folders count, no pipes, sockets or event counters. Threads: any.
class FileCalls {
 public:
  FileCalls();
  ~FileCalls();
  FileCalls(const FileCalls&) = delete;
  FileCalls& operator=(const FileCalls&) = delete;

  /// From call number `at` (from 1, counted from now) on `error` is what they give, until `disarm`.
  void fail_from(unsigned at, int error);
  /// Call number `at` alone fails.
  void fail_at(unsigned at, int error);
  /// At call number `at` this process and the one that makes the call end as by a power cut.
  void kill_at(unsigned at);
  void disarm();

  /// Since it was armed last.
  unsigned calls() const;
};

}  // namespace stasis::test
