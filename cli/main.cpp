#include <fmt/format.h>
#include <malloc.h>

#include <algorithm>
#include <exception>
#include <span>
#include <string_view>
#include <vector>

#include "cli/command_line.h"
#include "cli/help.h"
#include "cli/say.h"
#include "cli/spelling.h"
#include "cli/standard_files.h"

namespace stasis::cli {
namespace {

using Arguments = std::span<const char* const>;

bool is_help(std::string_view word) {
  return word == "--help" || word == "-h";
}

ExitCode print_text(std::string_view text) {
  return print(text) ? ExitCode::kSuccess : ExitCode::kFailed;
}

/// "snapshot", when `word` begins names of two words.
bool is_group(std::string_view word) {
  return std::any_of(std::begin(kVerbs), std::end(kVerbs), [&](const Verb* verb) {
    return verb->name.size() > word.size() && verb->name.starts_with(word) &&
           verb->name[word.size()] == ' ';
  });
}

const Verb* find_verb(std::string_view name) {
  const auto verb = std::find_if(std::begin(kVerbs), std::end(kVerbs),
                                 [&](const Verb* one) { return one->name == name; });
  return verb == std::end(kVerbs) ? nullptr : *verb;
}

ExitCode unknown_verb(std::string_view word) {
  std::vector<std::string_view> names;
  for (const Verb* verb : kVerbs) {
    const std::string_view first = verb->name.substr(0, verb->name.find(' '));
    if (names.empty() || names.back() != first) names.push_back(first);
  }
  names.insert(names.end(), {"--help", "--version"});
  say(fmt::format("unknown verb \"{}\"{}", word, spelling_hint(word, names)));
  return ExitCode::kUsage;
}

ExitCode unknown_in_group(std::string_view group, std::string_view word) {
  std::vector<std::string_view> names;
  for (const Verb* verb : kVerbs) {
    if (!verb->name.starts_with(group)) continue;
    if (verb->name.size() > group.size()) names.push_back(verb->name.substr(group.size() + 1));
  }
  if (word.empty()) {
    say(fmt::format("{}: no verb{}", group, spelling_hint(word, names)));
  } else {
    say(fmt::format("{}: unknown verb \"{}\"{}", group, word, spelling_hint(word, names)));
  }
  return ExitCode::kUsage;
}

ExitCode run_verb(const Verb& verb, Arguments arguments) {
  if (std::any_of(arguments.begin(), arguments.end(), is_help)) return print_text(verb_help(verb));
  const auto line = CommandLine::parse(verb.options, arguments, verb.arguments);
  if (!line) {
    return say_usage_error(line.error().with_context(verb.name));
  }
  return verb.run(*line);
}

ExitCode run_named(std::string_view word, Arguments rest) {
  const Verb* verb = find_verb(word);
  return verb == nullptr ? unknown_verb(word) : run_verb(*verb, rest);
}

/// "snapshot list web1": the verb's name is two words.
ExitCode run_of_group(std::string_view group, Arguments rest) {
  if (rest.empty()) return unknown_in_group(group, "");
  if (is_help(rest.front())) return print_text(program_help());
  const Verb* verb = find_verb(fmt::format("{} {}", group, rest.front()));
  return verb == nullptr ? unknown_in_group(group, rest.front()) : run_verb(*verb, rest.subspan(1));
}

ExitCode help_of(Arguments words) {
  const std::string_view word = words.front();
  if (is_group(word) && words.size() == 1) return print_text(program_help());
  const Verb* verb =
      find_verb(is_group(word) ? fmt::format("{} {}", word, words[1]) : std::string(word));
  return verb == nullptr ? unknown_verb(word) : print_text(verb_help(*verb));
}

ExitCode run_program(Arguments arguments) {
  if (arguments.empty()) {
    say("no verb; try: stasis --help");
    return ExitCode::kUsage;
  }
  const std::string_view word = arguments.front();
  const Arguments rest = arguments.subspan(1);
  if (word == "help" && !rest.empty()) return help_of(rest);
  if (is_help(word) || word == "help") return print_text(program_help());
  if (word == "--version" || word == "version") return print_text(version_text());
  return is_group(word) ? run_of_group(word, rest) : run_named(word, rest);
}

}  // namespace
}  // namespace stasis::cli

int main(int count, char** arguments) {
  namespace cli = stasis::cli;
  cli::hold_standard_files();
  ::mallopt(M_ARENA_MAX, 1);  // a live snapshot's fork copies each one's mappings
  try {
    const std::span<const char* const> all(arguments, static_cast<std::size_t>(count));
    return static_cast<int>(cli::run_program(all.subspan(count > 0 ? 1 : 0)));
  } catch (const std::exception& error) {  // none is ours: a library's, most likely out of memory
    cli::say(fmt::format("internal error: {}", error.what()));
    return static_cast<int>(cli::ExitCode::kFailed);
  }
}
