// Replays a corpus through one fuzz function, then a fixed set of pseudo-random inputs: mutations
// of the corpus and pure noise. The same in every run, so that a failure in `meson test` comes
// back. Usage: program FOLDER [COUNT]
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <vector>

#include FUZZ_HEADER

namespace {

using Input = std::vector<std::uint8_t>;
constexpr unsigned kDefaultCount = 3000;
constexpr std::size_t kMaxNoise = 600;

std::vector<Input> read_corpus(const std::filesystem::path& folder) {
  std::vector<std::filesystem::path> paths;
  if (std::filesystem::is_directory(folder)) {
    for (const auto& entry : std::filesystem::directory_iterator(folder)) {
      paths.push_back(entry.path());
    }
  }
  std::sort(paths.begin(), paths.end());
  std::vector<Input> inputs;
  for (const auto& path : paths) {
    std::ifstream file(path, std::ios::binary);
    inputs.emplace_back(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
  }
  return inputs;
}

class InputMaker {
 public:
  explicit InputMaker(const std::vector<Input>& seeds) : seeds_(seeds) {}

  Input next() {
    Input input = seeds_.empty() || below(3) == 0 ? noise() : seeds_[below(seeds_.size())];
    for (std::size_t i = below(8); i > 0; --i) mutate(input);
    return input;
  }

 private:
  std::size_t below(std::size_t limit) { return random_() % limit; }
  std::uint8_t byte() { return static_cast<std::uint8_t>(random_()); }

  Input noise() {
    Input input(below(kMaxNoise));
    for (auto& value : input) value = byte();
    return input;
  }

  void mutate(Input& input) {
    if (input.empty()) return input.push_back(byte());
    const auto place = input.begin() + static_cast<std::ptrdiff_t>(below(input.size()));
    switch (below(5)) {
      case 0:
        *place = byte();
        return;
      case 1:
        *place = static_cast<std::uint8_t>(*place ^ (1U << below(8)));
        return;
      case 2:
        input.insert(place, byte());
        return;
      case 3:
        input.erase(place, input.end());
        return;
      default:
        std::fill(place, std::min(place + 4, input.end()), below(2) == 0 ? 0x00 : 0xFF);
        return;
    }
  }

  const std::vector<Input>& seeds_;
  std::mt19937 random_{20240229};  // fixed: every run is the same
};

}  // namespace

int main(int argc, char** argv) {
  const auto corpus = read_corpus(argc > 1 ? argv[1] : "");
  const unsigned long count = argc > 2 ? std::strtoul(argv[2], nullptr, 10) : kDefaultCount;
  for (const Input& input : corpus) stasis::fuzz::FUZZ_FUNCTION(input);
  InputMaker maker(corpus);
  for (unsigned long i = 0; i < count; ++i) stasis::fuzz::FUZZ_FUNCTION(maker.next());
  std::printf("%zu inputs of the corpus and %lu made ones passed\n", corpus.size(), count);
  return 0;
}
