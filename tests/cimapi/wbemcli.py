#!/usr/bin/env python3
"""A stock WBEM client, sblim's wbemcli, against the server on its UNIX socket. It speaks TCP only, so a
bridge stands in between.  Usage: wbemcli.py SERVER  (exit 77: no wbemcli)"""

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading

SKIPPED = 77
VM = "11111111-2222-4333-8444-555555555555"
SNAPSHOT = "Microsoft:AAAAAAAA-0000-4000-8000-000000000001"
V2 = "root/virtualization/v2"
V1 = "root/virtualization"


def service(name_space, class_name, name):
    """A service as the object of `cm`, which wants all keys of it."""
    return (f'{name_space}:{class_name}.SystemCreationClassName="Msvm_ComputerSystem",'
            f'SystemName="{socket.gethostname()}",CreationClassName="{class_name}",Name="{name}"')


SNAPSHOT_SERVICE = service(V2, "Msvm_VirtualSystemSnapshotService", "vssnapsvc")
MANAGEMENT_SERVICE = service(V1, "Msvm_VirtualSystemManagementService", "vmms")
MACHINE = f'{V2}:Msvm_ComputerSystem.Name="{VM}"'


def pump(source, sink):
    try:
        while data := source.recv(65536):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)
    except OSError:
        pass


def bridge(path):
    """Listens on a TCP port of the loopback and connects each caller with the UNIX socket."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve():
        while True:
            near, _ = listener.accept()
            far = socket.socket(socket.AF_UNIX)
            far.connect(path)
            threading.Thread(target=pump, args=(near, far), daemon=True).start()
            threading.Thread(target=pump, args=(far, near), daemon=True).start()

    threading.Thread(target=serve, daemon=True).start()
    return listener.getsockname()[1]


class Client:
    def __init__(self, port):
        self.port = port

    def run(self, *arguments):
        """wbemcli VERB OBJECT...: exit code and output."""
        *options, target = [argument for argument in arguments[:2]]
        result = subprocess.run(
            ["wbemcli", "-nl", *options, f"http://127.0.0.1:{self.port}/{target}", *arguments[2:]],
            capture_output=True, text=True, timeout=30)
        return result.returncode, result.stdout + result.stderr

    def expect(self, *arguments, has=(), lacks=("Exception", "***")):
        code, output = self.run(*arguments)
        missing = [text for text in has if text not in output]
        extra = [text for text in lacks if text in output]
        if code != 0 or missing or extra:
            raise AssertionError(f"wbemcli {' '.join(arguments)}: exit {code}, missing {missing}, "
                                 f"unwanted {extra}:\n{output}")
        print("ok  ", *arguments)
        return output

    def expect_failure(self, *arguments, has):
        code, output = self.run(*arguments)
        if code == 0 or has not in output:
            raise AssertionError(f"wbemcli {' '.join(arguments)}: exit {code}, expected {has}:\n{output}")
        print("ok  ", *arguments, "fails")


def read(client):
    client.expect("ecn", V2, has=["CIM_ManagedElement"])
    client.expect("gc", f"{V2}:Msvm_VirtualSystemSnapshotService", has=["SystemCreationClassName"])
    client.expect("ein", f"{V2}:CIM_ComputerSystem", has=[VM])
    client.expect("ei", f"{V2}:CIM_ComputerSystem", has=['EnabledState=2', 'ElementName="web1"'])
    client.expect("ei", f"{V2}:CIM_VirtualSystemSettingData", has=[SNAPSHOT, '"first"', 'Engine'])
    client.expect("gi", MACHINE, has=['ElementName="web1"'])
    client.expect("gi", f'{V2}:CIM_VirtualSystemSettingData.InstanceID="{SNAPSHOT}"', has=['"first"'])
    client.expect("ain", MACHINE, has=[SNAPSHOT])
    client.expect("ai", MACHINE, has=['ElementName="first"'])
    client.expect("rin", MACHINE, has=["Msvm_SnapshotOfVirtualSystem", "Msvm_MostCurrentSnapshotInBranch"])
    client.expect("ri", MACHINE, has=["Msvm_SettingsDefineState"])
    client.expect("ei", f"{V1}:CIM_ComputerSystem", has=[VM])
    client.expect("ei", "interop:CIM_Namespace", has=[V2, V1])
    client.expect("ei", "root/interop:CIM_ObjectManager", has=["Stasis"])


def call(client):
    # wbemcli takes what follows a REF with several keys for further keys: the REFs here have one
    host = f"127.0.0.1:{client.port}"
    machine = f'AffectedSystem={host}/{MACHINE}'
    source = f'SourceSystem={host}/{V1}:Msvm_ComputerSystem.Name="{VM}"'
    gone = f'SnapshotSettingData={host}/{V2}:CIM_VirtualSystemSettingData.InstanceID="Microsoft:none"'
    client.expect("cm", SNAPSHOT_SERVICE, f"CreateSnapshot.SnapshotType=3,{machine}",
                  has=["CreateSnapshot: 0", "ResultingSnapshot"])
    client.expect("cm", SNAPSHOT_SERVICE, f"CreateSnapshot.SnapshotType=2,{machine}",
                  has=["CreateSnapshot: 4096", "Job"])
    client.expect("ei", f"{V2}:CIM_ConcreteJob", has=["PercentComplete"])
    client.expect("cm", SNAPSHOT_SERVICE, f"CreateSnapshot.SnapshotType=1,{machine}", has=["CreateSnapshot: 6"])
    client.expect("cm", SNAPSHOT_SERVICE, f"DestroySnapshotTree.{gone}", has=["DestroySnapshotTree: 32773"])
    client.expect("cm", SNAPSHOT_SERVICE, "StartService", has=["StartService: 1"])
    client.expect("cm", MANAGEMENT_SERVICE, f"CreateVirtualSystemSnapshot.{source}",
                  has=["CreateVirtualSystemSnapshot: 4096"])
    client.expect("mi", f'{V2}:CIM_VirtualSystemSettingData.InstanceID="{SNAPSHOT}"', "ElementName=renamed")
    client.expect("gi", f'{V2}:CIM_VirtualSystemSettingData.InstanceID="{SNAPSHOT}"', has=['"renamed"'])


def refuse(client):
    client.expect_failure("ei", "root/none:CIM_ComputerSystem", has="CIM_ERR_INVALID_NAMESPACE")
    client.expect_failure("ei", f"{V2}:CIM_None", has="CIM_ERR_INVALID_CLASS")
    client.expect_failure("gi", f'{V2}:CIM_ComputerSystem.Name="none"', has="CIM_ERR_NOT_FOUND")
    client.expect_failure("di", f'{V2}:CIM_VirtualSystemSettingData.InstanceID="{SNAPSHOT}"',
                          has="CIM_ERR_NOT_SUPPORTED")


def main():
    if not shutil.which("wbemcli"):
        print("skipped: wbemcli is not installed; scripts/setup installs it")
        return SKIPPED
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "control.sock")
        with subprocess.Popen([sys.argv[1], path], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as server:
            try:
                server.stdout.readline()
                client = Client(bridge(path))
                read(client)
                call(client)
                refuse(client)
            finally:
                server.stdin.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
