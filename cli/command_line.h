#pragma once

#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "cli/verb.h"

namespace stasis::cli {

/// The options that were given to a verb, as text.
class CommandLine {
 public:
  /// Reads `words` (those after the verb) by `options` and `arguments`. "--x V" and "--x=V" are the
  /// same; options may stand before and after arguments. Errors name the word: unknown option,
  /// missing value, given twice, missing argument, stray word.
  static base::Result<CommandLine> parse(std::span<const OptionSpec> options,
                                         std::span<const char* const> words,
                                         std::span<const ArgumentSpec> arguments = {});

  bool has(std::string_view option) const { return values_.contains(option); }

  /// The one value of `option`; null when it was not given.
  const std::string* value(std::string_view option) const;

  /// The argument called `name`; null when it was not given.
  const std::string* argument(std::string_view name) const;

  /// All values of a repeatable option, in order.
  std::span<const std::string> values(std::string_view option) const;

 private:
  std::map<std::string, std::vector<std::string>, std::less<>> values_;
  std::map<std::string, std::string, std::less<>> arguments_;
};

}  // namespace stasis::cli
