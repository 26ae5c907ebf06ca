#pragma once

#include <cstdint>
#include <string>

#include "base/result.h"

namespace stasis::base {

/// Owner of one file descriptor; closes it once. Empty when default-constructed or moved from.
class Fd {
 public:
  Fd() = default;
  explicit Fd(int number) : number_(number) {}
  Fd(Fd&& other) noexcept : number_(other.release()) {}
  Fd& operator=(Fd&& other) noexcept;
  ~Fd() { reset(); }

  int get() const { return number_; }
  bool is_open() const { return number_ >= 0; }
  int release();
  void reset();

 private:
  int number_ = -1;
};

/// Opens `path` close-on-exec. `flags` and `mode` as in open(2). Errors name the path.
Result<Fd> open_file(const std::string& path, int flags, unsigned mode = 0600);

/// A non-blocking, close-on-exec eventfd with counter `initial`.
Result<Fd> make_eventfd(unsigned initial = 0);

/// Adds one to an eventfd. Never blocks; a full counter is already "signalled".
void signal_eventfd(const Fd& eventfd);

/// Takes the count out of a non-blocking eventfd; 0 when it was not signalled.
std::uint64_t drain_eventfd(const Fd& eventfd);

}  // namespace stasis::base
