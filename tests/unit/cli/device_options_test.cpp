#include "cli/device_options.h"

#include <catch2/catch.hpp>

namespace stasis::cli {
namespace {

using Strings = std::vector<std::string>;

std::string disk_refusal(const Strings& values) {
  const auto disks = parse_disks(values);
  return disks ? "" : disks.error().message();
}
std::string net_refusal(const std::string& value) {
  const auto net = parse_net(value);
  return net ? "" : net.error().message();
}
std::string console_refusal(const std::string& value) {
  const auto console = parse_console(value);
  return console ? "" : console.error().message();
}

TEST_CASE("disks have a file, an access mode and an id") {
  const auto disks = parse_disks(Strings{"a.img", "b,,c=1.img,ro,id=root,format=raw"});
  REQUIRE(disks);
  REQUIRE(disks->size() == 2);
  CHECK((*disks)[0].path == "a.img");
  CHECK((*disks)[0].id == "disk0");
  CHECK_FALSE((*disks)[0].read_only);
  CHECK((*disks)[1].path == "b,c=1.img");
  CHECK((*disks)[1].id == "root");
  CHECK((*disks)[1].read_only);
}

TEST_CASE("a disk without an id is named by its place") {
  CHECK((*parse_disks(Strings{"a,id=x", "b"}))[1].id == "disk1");
}

TEST_CASE("a disk has a format, and layers below it, base first") {
  using devices::ImageFormat;
  const auto disks = parse_disks(Strings{"t,format=qcow2,backing=b,backing=m"});
  REQUIRE(disks);
  CHECK((*disks)[0].format == ImageFormat::kQcow2);
  CHECK((*disks)[0].backing ==
        std::vector<devices::ImageLayer>{{"b", ImageFormat::kRaw}, {"m", ImageFormat::kQcow2}});
  const auto other = parse_disks(Strings{"t,format=qcow2,backing=qcow2:b,backing=qcow2:raw:m"});
  REQUIRE(other);
  CHECK((*other)[0].backing == std::vector<devices::ImageLayer>{{"b", ImageFormat::kQcow2},
                                                                {"raw:m", ImageFormat::kQcow2}});
  CHECK(disk_refusal({"t,format=qcow2,backing=b,backing=raw:m"}) ==
        "--disk: \"raw:m\": a raw image cannot lie over another; name the base first");
  CHECK(disk_refusal({"t,backing=b"}) ==
        "--disk: \"t\": a raw image has no backing file; add format=qcow2, or leave out backing=");
  CHECK(disk_refusal({"t,format=qcow2,backing=raw:"}) ==
        "--disk: \"raw:\": no file; write backing=FILE");
  CHECK(disk_refusal({"t,format=qcow2,backing="}) ==
        "--disk: key \"backing\" has no value; write backing=VALUE");
}

TEST_CASE("disks that cannot be are refused") {
  CHECK(disk_refusal({"a,rw"}) ==
        "--disk: unknown key \"rw\"; did you mean ro? (valid: format, backing, ro, id)");
  CHECK(disk_refusal({",ro"}) == "--disk: \",ro\": no file; write --disk FILE");
  CHECK(
      disk_refusal({"a,format=vmdk"}) ==
      "--disk: \"vmdk\": unknown format; convert the disk with: qemu-img convert -O qcow2 OLD NEW");
  CHECK(disk_refusal({"a,id=12345678901234567890"}) == "");
  CHECK(disk_refusal({"a,id=123456789012345678901"}) ==
        "--disk: \"123456789012345678901\": id longer than 20 bytes; shorten it");
  CHECK(disk_refusal({"a", "b", "a,ro"}) ==
        "--disk: \"a\": given twice; a guest would corrupt it; give it once");
  CHECK(disk_refusal({"/etc/passwd", "/etc/../etc/passwd"}) ==
        "--disk: \"/etc/../etc/passwd\": given twice; a guest would corrupt it; give it once");
  CHECK(disk_refusal({"a", "b,id=disk0"}) ==
        "--disk: \"b\": id \"disk0\" is taken by \"a\"; give another by id=ID");
}

TEST_CASE("user networking has forwards") {
  const auto net = parse_net("user,forward=tcp:8080:80,forward=udp:8080:53");
  REQUIRE(net);
  REQUIRE(net->has_value());
  REQUIRE((*net)->forwards.size() == 2);
  CHECK_FALSE((*net)->forwards[0].udp);
  CHECK((*net)->forwards[0].host_port == 8080);
  CHECK((*net)->forwards[0].guest_port == 80);
  CHECK((*net)->forwards[1].udp);
  CHECK(parse_net("user")->value().forwards.empty());
  CHECK_FALSE(parse_net("none")->has_value());
}

TEST_CASE("networks that cannot be are refused") {
  CHECK(net_refusal("usr") == "\"usr\": unknown network; did you mean user? (valid: user, none)");
  CHECK(net_refusal("tap0") == "\"tap0\": unknown network; valid: user, none");
  CHECK(net_refusal("user=1").starts_with("\"user=1\": unknown network"));
  CHECK(net_refusal("none,forward=tcp:1:2") ==
        "\"none,forward=tcp:1:2\": \"none\" takes no keys; write --net none");
  CHECK(net_refusal("user,foward=tcp:1:2") ==
        "unknown key \"foward\"; did you mean forward? (valid: forward)");
  CHECK(net_refusal("user,forward=tcp:80") ==
        "forward: \"tcp:80\": not a forward; write tcp:HOSTPORT:GUESTPORT, such as tcp:8080:80");
  CHECK(net_refusal("user,forward=sctp:1:2") ==
        "forward: \"sctp:1:2\": unknown protocol \"sctp\"; valid: tcp, udp");
  CHECK(net_refusal("user,forward=tcp:0:80") ==
        "forward: \"0\": out of range; give a number from 1 to 65535");
  CHECK(net_refusal("user,forward=tcp:80:65536") ==
        "forward: \"65536\": out of range; give a number from 1 to 65535");
  CHECK(net_refusal("user,forward=tcp:80:1,forward=tcp:80:2") ==
        "\"tcp:80:2\": host port is forwarded twice; choose another");
}

TEST_CASE("a console goes somewhere and is a device") {
  using Kind = vmm::ConsoleConfig::Kind;
  using Port = vmm::ConsoleConfig::Port;
  CHECK(parse_console("stdio")->kind == Kind::kStdio);
  CHECK(parse_console("none")->kind == Kind::kNone);
  CHECK(parse_console("stdio")->port == Port::kSerial);
  CHECK(parse_console("stdio,device=virtio")->port == Port::kVirtio);
  const auto file = parse_console("file=/tmp/a,,b=c,device=serial");
  REQUIRE(file);
  CHECK(file->kind == Kind::kFile);
  CHECK(file->file == "/tmp/a,b=c");
}

TEST_CASE("consoles that cannot be are refused") {
  CHECK(console_refusal("stdoi") ==
        "\"stdoi\": unknown console; did you mean stdio? (valid: stdio, file=FILE, none)");
  CHECK(console_refusal("pty") == "\"pty\": unknown console; valid: stdio, file=FILE, none");
  CHECK(console_refusal("stdio=1").starts_with("\"stdio=1\": unknown console"));
  CHECK(console_refusal("file") == "\"file\": no file named; write file=FILE");
  CHECK(console_refusal("file=") == "\"file\": no file named; write file=FILE");
  CHECK(console_refusal("stdio,port=1") == "unknown key \"port\"; valid: device");
  CHECK(console_refusal("stdio,device=usb") ==
        "\"usb\": unknown console device; valid: serial, virtio");
}

TEST_CASE("a command line without a console gets the one there is") {
  vmm::ConsoleConfig console;
  CHECK(with_console("", console) == "console=ttyS0");
  CHECK(with_console("quiet", console) == "console=ttyS0 quiet");
  CHECK(with_console("quiet netconsole=x", console) == "console=ttyS0 quiet netconsole=x");
  CHECK(with_console("quiet console=tty0", console) == "quiet console=tty0");
  CHECK(with_console("console=tty0", console) == "console=tty0");
  console.port = vmm::ConsoleConfig::Port::kVirtio;
  CHECK(with_console("quiet", console) == "console=hvc0 quiet");
  console.kind = vmm::ConsoleConfig::Kind::kNone;
  CHECK(with_console("quiet", console) == "quiet");
}

}  // namespace
}  // namespace stasis::cli
