#include "cli/command_line.h"

#include <fmt/format.h>

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <algorithm>
#include <utility>

#include "cli/spelling.h"

namespace stasis::cli {
namespace {

using base::ErrorKind;
using base::fail;
using base::Result;
using base::Status;

tl::unexpected<base::Error> usage_error(std::string message) {
  return fail(ErrorKind::kInvalidArgument, std::move(message));
}

CLI::Option* add_option(CLI::App& app, const OptionSpec& spec) {
  std::string name = fmt::format("--{}", spec.name);
  if (spec.letter != 0) name = fmt::format("-{},{}", spec.letter, name);
  if (spec.value.empty() || spec.is_value_optional) return app.add_flag(name);
  // All values are taken as text here; what is one too many is said by check_count.
  return app.add_option(name)->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
}

/// "--json=yes", which the parser would take for a truth value.
Status check_flags(std::span<const OptionSpec> options, std::span<const char* const> arguments) {
  for (const OptionSpec& spec : options) {
    const std::string start = fmt::format("--{}=", spec.name);
    const bool has_value = spec.value.empty() &&
                           std::any_of(arguments.begin(), arguments.end(), [&](const char* word) {
                             return std::string_view(word).starts_with(start);
                           });
    if (has_value) {
      return usage_error(fmt::format("--{0}: takes no value; write --{0} alone", spec.name));
    }
  }
  return {};
}

Status check_count(const OptionSpec& spec, std::size_t count) {
  if (count <= 1 || spec.is_repeatable) return {};
  return usage_error(fmt::format("--{}: given {} times; give it once", spec.name, count));
}

/// "--kernel --initrd x" gives --kernel the value "--initrd"; nobody means that.
Status check_value(const OptionSpec& spec, std::span<const OptionSpec> options,
                   std::string_view value) {
  const bool is_option = std::any_of(options.begin(), options.end(), [&](const OptionSpec& other) {
    return value.starts_with("--") && value.substr(2) == other.name;
  });
  if (!is_option && !value.empty()) return {};
  return usage_error(fmt::format("--{0}: no value; write --{0} {1}", spec.name, spec.value));
}

Status stray_argument(std::span<const OptionSpec> options, const std::string& argument) {
  if (!argument.starts_with("--") || argument.size() == 2) {
    return usage_error(fmt::format("unexpected argument \"{}\"; options begin with --", argument));
  }
  const std::string word = argument.substr(2, argument.find('=') - 2);
  std::vector<std::string_view> names;
  for (const OptionSpec& spec : options) names.push_back(spec.name);
  return usage_error(
      fmt::format("unknown option \"--{}\"{}", word, spelling_hint(word, names, "--")));
}

/// The words that are no options, in their places.
Status place_arguments(std::span<const ArgumentSpec> specs, std::span<const OptionSpec> options,
                       const std::vector<std::string>& words,
                       std::map<std::string, std::string, std::less<>>& arguments) {
  for (std::size_t i = 0; i < words.size(); ++i) {
    if (words[i].starts_with('-') || i >= specs.size()) return stray_argument(options, words[i]);
    if (words[i].empty()) return usage_error(fmt::format("{}: empty", specs[i].name));
    arguments[std::string(specs[i].name)] = words[i];
  }
  for (const ArgumentSpec& spec : specs.subspan(std::min(words.size(), specs.size()))) {
    if (!spec.is_optional) return usage_error(fmt::format("no {0}; write {0}", spec.name));
  }
  return {};
}

/// The parser met an option without its value: the last argument ("--kernel"; any other takes the
/// next word), or one that ends in "=", or a flag that has a value.
Status missing_value(std::span<const OptionSpec> options, std::span<const char* const> arguments) {
  for (const std::string_view argument : arguments) {
    const auto spec = std::find_if(options.begin(), options.end(), [&](const OptionSpec& one) {
      return argument == fmt::format("--{}=", one.name) ||
             (argument.data() == arguments.back() && argument == fmt::format("--{}", one.name));
    });
    if (spec != options.end()) return check_value(*spec, options, "");
  }
  return usage_error("an option has the wrong number of values; see --help");
}

Status run_parser(CLI::App& app, std::span<const OptionSpec> options,
                  std::span<const char* const> arguments) {
  try {
    app.parse(std::vector<std::string>(arguments.rbegin(), arguments.rend()));
  } catch (const CLI::ArgumentMismatch&) {
    return missing_value(options, arguments);
  } catch (const CLI::Error& error) {
    return usage_error(fmt::format("{}; see --help", error.what()));
  }
  return {};
}

}  // namespace

Result<CommandLine> CommandLine::parse(std::span<const OptionSpec> options,
                                       std::span<const char* const> words,
                                       std::span<const ArgumentSpec> arguments) {
  CLI::App app;
  app.set_help_flag();
  app.allow_extras();
  std::vector<CLI::Option*> parsed;
  for (const OptionSpec& spec : options) parsed.push_back(add_option(app, spec));
  TRY(check_flags(options, words));
  TRY(run_parser(app, options, words));
  CommandLine line;
  for (std::size_t i = 0; i < options.size(); ++i) {
    if (parsed[i]->count() == 0) continue;
    TRY(check_count(options[i], parsed[i]->count()));
    auto& values = line.values_[std::string(options[i].name)];
    if (options[i].value.empty()) continue;
    values = parsed[i]->results();
    if (options[i].is_value_optional && values.front() == "true") values.clear();
    for (const std::string& value : values) TRY(check_value(options[i], options, value));
  }
  TRY(place_arguments(arguments, options, app.remaining(), line.arguments_));
  return line;
}

const std::string* CommandLine::value(std::string_view option) const {
  const auto found = values_.find(option);
  return found == values_.end() || found->second.empty() ? nullptr : &found->second.front();
}

const std::string* CommandLine::argument(std::string_view name) const {
  const auto found = arguments_.find(name);
  return found == arguments_.end() ? nullptr : &found->second;
}

std::span<const std::string> CommandLine::values(std::string_view option) const {
  const auto found = values_.find(option);
  if (found == values_.end()) return {};
  return found->second;
}

}  // namespace stasis::cli
