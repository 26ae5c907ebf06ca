#include "cimapi/snapshot_settings.h"

#include <fmt/format.h>

#include <catch2/catch.hpp>

#include "cimapi/xml_writer.h"

namespace stasis::cimapi {
namespace {

std::string instance(const char* class_name, const std::string& properties) {
  return fmt::format("<INSTANCE CLASSNAME=\"{}\">{}</INSTANCE>", class_name, properties);
}
std::string property(const char* name, const char* type, const std::string& value) {
  return fmt::format("<PROPERTY NAME=\"{}\" TYPE=\"{}\"><VALUE>{}</VALUE></PROPERTY>", name, type,
                     value);
}
std::string hyper_v(const std::string& properties) {
  return instance("Msvm_VirtualSystemSnapshotSettingData", properties);
}
std::string named(const std::string& name) {
  return hyper_v(property("ElementName", "string", escaped(name)));
}

/// 0: fine; else the code of the V2 family.
std::uint32_t code(const std::string& text) {
  const auto settings = decode_snapshot_settings(text);
  return settings ? 0 : code_of(Family::kV2, settings.error().verdict);
}

}  // namespace

TEST_CASE("settings: nothing is asked for by an empty text") {
  CHECK(code("") == 0);
  CHECK(code(" \r\n\t ") == 0);
  CHECK(decode_snapshot_settings("")->name.empty());
}

TEST_CASE("settings: go there and back") {
  const SnapshotSettings settings{"a <b> & \"c\"", "one\ntwo", snapshot::Engine::kFork, 7};
  const auto back = decode_snapshot_settings(encode_snapshot_settings(settings));
  REQUIRE(back);
  CHECK(back->name == settings.name);
  CHECK(back->notes == settings.notes);
  CHECK(back->engine == settings.engine);
  CHECK(back->compression_level == settings.compression_level);
}

TEST_CASE("settings: envelopes of the CIM DTD are opened") {
  const auto settings = decode_snapshot_settings(
      "<?xml version=\"1.0\"?><CIM CIMVERSION=\"2.0\" DTDVERSION=\"2.0\"><DECLARATION><DECLGROUP>"
      "<VALUE.OBJECT>" +
      named("monday") + "</VALUE.OBJECT></DECLGROUP></DECLARATION></CIM>");
  REQUIRE(settings);
  CHECK(settings->name == "monday");
}

TEST_CASE("settings: the name has its limits") {
  CHECK(code(named(std::string(100, 'n'))) == 0);
  CHECK(code(named(std::string(101, 'n'))) == 4);
  CHECK(code(named("  ")) == 4);
  CHECK(code(hyper_v(property("ElementName", "string", "a&#7;b"))) == 4);
}

TEST_CASE("settings: values out of range and unknown properties") {
  for (const char* value : {"3", "256", "x", "-1", ""}) {
    CHECK(code(hyper_v(property("ConsistencyLevel", "uint8", value))) == 4);
  }
  CHECK(code(hyper_v(property("ConsistencyLevel", "uint8", "2"))) == 0);
  CHECK(code(hyper_v(property("ConsistencyLevel", "uint8", "1"))) == 1);
  CHECK(code(hyper_v(property("GuestBackupType", "uint8", "3"))) == 4);
  CHECK(code(hyper_v(property("IgnoreNonSnapshottableDisks", "boolean", "TRUE"))) == 0);
  CHECK(code(hyper_v(property("IgnoreNonSnapshottableDisks", "boolean", "2"))) == 4);
  CHECK(code(hyper_v(property("Colour", "string", "red"))) == 4);
  CHECK(code(hyper_v(property("Engine", "uint16", "2"))) == 4);  // ours, not Microsoft's
  const auto own = [](const std::string& text) {
    return instance("Stasis_VirtualSystemSnapshotSettingData", text);
  };
  CHECK(code(own(property("Engine", "uint16", "2"))) == 0);
  CHECK(code(own(property("Engine", "uint16", "3"))) == 4);
  CHECK(code(own(property("CompressionLevel", "uint16", "0"))) == 4);
  CHECK(code(own(property("CompressionLevel", "uint16", "20"))) == 4);
  CHECK(code(own(property("Notes", "string", std::string(5000, 'n')))) == 4);
}

TEST_CASE("settings: what is no instance of settings") {
  CHECK(code("monday") == 4);
  CHECK(code("<SETTINGS></SETTINGS>") == 4);
  CHECK(code("<INSTANCE CLASSNAME=\"CIM_SettingData\">") == 4);
  CHECK(code("<INSTANCE></INSTANCE>") == 4);
  CHECK(code(instance("CIM_ConcreteJob", "")) == 4);
  CHECK(code(instance("CIM_SettingData", "<OTHER></OTHER>")) == 4);
  CHECK(code(instance("CIM_SettingData", "")) == 0);
  CHECK(code("\xFF\xFE") == 4);
}

TEST_CASE("settings: attacks end in bounded time") {
  std::string bomb = "<!DOCTYPE a [<!ENTITY b \"";
  for (int i = 0; i < 100; ++i) bomb += "&a;";
  CHECK(code(bomb + "\">]>" + named("&b;")) == 4);
  CHECK(code("<!DOCTYPE INSTANCE SYSTEM \"file:///etc/passwd\">" + named("x")) == 4);
  CHECK(code(hyper_v(property("Description", "string", std::string(1 << 20, 'x')))) == 4);
  std::string many;
  for (int i = 0; i < 10'000; ++i) many += "<P/>";
  CHECK(code(hyper_v(many)) == 4);
  std::string deep;
  for (int i = 0; i < 1000; ++i) deep += "<a>";
  for (int i = 0; i < 1000; ++i) deep += "</a>";
  CHECK(code(deep) == 4);
}

}  // namespace stasis::cimapi
