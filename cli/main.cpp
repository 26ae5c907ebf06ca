#include <fmt/format.h>

#include <algorithm>
#include <exception>
#include <span>
#include <string_view>
#include <vector>

#include "cli/command_line.h"
#include "cli/help.h"
#include "cli/say.h"
#include "cli/spelling.h"

namespace stasis::cli {
namespace {

using Arguments = std::span<const char* const>;

bool is_help(std::string_view word) {
  return word == "--help" || word == "-h";
}

ExitCode print_text(std::string_view text) {
  return print(text) ? ExitCode::kSuccess : ExitCode::kFailed;
}

const Verb* find_verb(std::string_view name) {
  const auto verb = std::find_if(std::begin(kVerbs), std::end(kVerbs),
                                 [&](const Verb* one) { return one->name == name; });
  return verb == std::end(kVerbs) ? nullptr : *verb;
}

ExitCode unknown_verb(std::string_view word) {
  std::vector<std::string_view> names;
  for (const Verb* verb : kVerbs) names.push_back(verb->name);
  names.insert(names.end(), {"--help", "--version"});
  say(fmt::format("unknown verb \"{}\"{}", word, spelling_hint(word, names)));
  return ExitCode::kUsage;
}

ExitCode run_verb(const Verb& verb, Arguments arguments) {
  if (std::any_of(arguments.begin(), arguments.end(), is_help)) return print_text(verb_help(verb));
  const auto line = CommandLine::parse(verb.options, arguments);
  if (!line) {
    return say_usage_error(line.error().with_context(verb.name));
  }
  return verb.run(*line);
}

ExitCode run_program(Arguments arguments) {
  if (arguments.empty()) {
    say("no verb; try: stasis --help");
    return ExitCode::kUsage;
  }
  const std::string_view word = arguments.front();
  const Arguments rest = arguments.subspan(1);
  if (word == "help" && !rest.empty()) {
    const Verb* verb = find_verb(rest.front());
    return verb == nullptr ? unknown_verb(rest.front()) : print_text(verb_help(*verb));
  }
  if (is_help(word) || word == "help") return print_text(program_help());
  if (word == "--version" || word == "version") return print_text(version_text());
  const Verb* verb = find_verb(word);
  return verb == nullptr ? unknown_verb(word) : run_verb(*verb, rest);
}

}  // namespace
}  // namespace stasis::cli

int main(int count, char** arguments) {
  namespace cli = stasis::cli;
  try {
    const std::span<const char* const> all(arguments, static_cast<std::size_t>(count));
    return static_cast<int>(cli::run_program(all.subspan(count > 0 ? 1 : 0)));
  } catch (const std::exception& error) {  // none is ours: a library's, most likely out of memory
    cli::say(fmt::format("internal error: {}", error.what()));
    return static_cast<int>(cli::ExitCode::kFailed);
  }
}
