#include "cli/help.h"

#include <fmt/format.h>

#include "vmm/host_probe.h"

namespace stasis::cli {
namespace {

constexpr std::size_t kHelpColumn = 26;

/// "  --name VALUE            help", further lines of the help under the first.
std::string option_line(const std::string& name, std::string_view help) {
  std::string text = fmt::format("  {:<{}}", name, kHelpColumn - 2);
  if (name.size() + 2 >= kHelpColumn) text += fmt::format("\n{:{}}", "", kHelpColumn);
  for (const char c : help) {
    text += c;
    if (c == '\n') text.append(kHelpColumn, ' ');
  }
  return text + '\n';
}

std::string option_name(const OptionSpec& spec) {
  if (spec.is_value_optional) return fmt::format("--{}[={}]", spec.name, spec.value);
  const std::string letter = spec.letter == 0 ? "" : fmt::format(", -{}", spec.letter);
  return fmt::format("--{}{}{}{}", spec.name, letter, spec.value.empty() ? "" : " ", spec.value);
}

/// " VM [NAME]": the arguments of a verb.
std::string argument_names(const Verb& verb) {
  std::string text;
  for (const ArgumentSpec& spec : verb.arguments) {
    text += spec.is_optional ? fmt::format(" [{}]", spec.name) : fmt::format(" {}", spec.name);
  }
  return text;
}

}  // namespace

std::string program_help() {
  std::string text =
      "Usage: stasis VERB [OPTIONS]\n"
      "Runs Linux guests on KVM.\n\n"
      "Verbs:\n";
  for (const Verb* verb : kVerbs) {
    text += option_line(fmt::format("{}{}", verb->name, argument_names(*verb)), verb->summary);
  }
  text += "\nOptions:\n";
  text += option_line("--help", "Shows this, or after a verb its options.");
  text += option_line("--version", "Shows version, build and KVM API.");
  text += "\nExit codes:\n";
  for (const ExitCodeMeaning& line : kExitCodes) {
    text += fmt::format("  {:>3}  {}\n", static_cast<int>(line.code), line.meaning);
  }
  text +=
      "\nExamples:\n"
      "  stasis doctor\n"
      "  stasis run --kernel vmlinuz --initrd initrd.img --memory 512M\n"
      "  stasis run --name web1 --detach --kernel vmlinuz --disk root.img\n"
      "  stasis snapshot create web1 clean\n"
      "  stasis start web1 --from clean\n"
      "  stasis run --help\n"
      "\nMore: man stasis\n";
  return text;
}

std::string verb_help(const Verb& verb) {
  std::string text = fmt::format("Usage: stasis {}{} [OPTIONS]\n{}\n\nOptions:\n", verb.name,
                                 argument_names(verb), verb.summary);
  for (const OptionSpec& spec : verb.options) text += option_line(option_name(spec), spec.help);
  text += option_line("--help", "Shows this.");
  return text + fmt::format("\n{}", verb.notes);
}

std::string version_text() {
  const auto host = vmm::host_kvm_api_version();
  return fmt::format("stasis {}\nbuild: {}, {}\nKVM API: {} (this host: {})\n", STASIS_VERSION,
                     STASIS_BUILD_TYPE, STASIS_COMPILER, vmm::kKvmApiVersion,
                     host ? fmt::format("{}", *host) : "no usable /dev/kvm");
}

}  // namespace stasis::cli
