#include "tests/unit/devices/device_contract.h"

#include <memory>

namespace stasis::devices {
namespace {

struct CounterState {
  static constexpr std::string_view kName = "counter";
  static constexpr std::uint32_t kVersion = 1;
  std::uint32_t count = 0;
  bool operator==(const CounterState&) const = default;
  template <typename Self, typename Fields>
  static void describe(Self& self, Fields& fields) {
    auto& [c] = self;
    fields("count", c);
  }
};

class Counter {
 public:
  using State = CounterState;
  struct Wiring {};
  explicit Counter(Wiring, State state = {}) : state_(state) {}
  void count() { ++state_.count; }
  State save() const { return state_; }

 private:
  State state_;
};

TEST_CASE("a device that keeps all in its state fulfils the contract") {
  check_device_contract<Counter>(
      [](const CounterState& state) { return std::make_unique<Counter>(Counter::Wiring{}, state); },
      [](Counter& counter) { counter.count(); });
}

}  // namespace
}  // namespace stasis::devices
