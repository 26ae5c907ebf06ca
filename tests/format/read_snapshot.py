#!/usr/bin/python3
"""Reads a snapshot by docs/snapshot-format.md alone, and checks every byte of it.

    read_snapshot.py FOLDER [--memory FILE]

Prints what the snapshot is as JSON; `--memory` writes the guest's RAM, positions as offsets. Ends with 1 and a
sentence when anything is not as the document says. Needs Debian's python3-zstandard and python3-xxhash.
"""

import argparse
import json
import os
import re
import struct
import sys

import xxhash
import zstandard

PAGE, BLOCK, FRAME = 4096, 1 << 20, 1 << 16
START = b'{"digest":"xxh3-128:'
MEMBERS = {"digest", "format", "schema", "id", "parent", "vm_id", "name", "notes", "created_unix_us", "kind", "has_memory",
           "capture", "config", "disks", "files"}
UUID = re.compile(r"[0-9A-F]{8}-[0-9A-F]{4}-4[0-9A-F]{3}-[89AB][0-9A-F]{3}-[0-9A-F]{12}")


class Damaged(Exception):
    pass


def check(condition, text):
    if not condition:
        raise Damaged(text)


def read(folder, name):
    with open(os.path.join(folder, name), "rb") as file:
        return file.read()


def read_manifest(folder):
    data = read(folder, "manifest.json")
    check(len(data) <= 4 << 20, "manifest.json: too large")
    try:
        manifest = json.loads(data.decode("utf-8"))
    except ValueError as error:
        raise Damaged(f"manifest.json: {error}") from None
    check(manifest.get("format") == "stasis-snapshot", "manifest.json: another format")
    check(manifest.get("schema") == 1, "manifest.json: unknown schema")
    check(data.startswith(START), "manifest.json: does not begin with its checksum")
    digits, rest = data[len(START):len(START) + 32], data[len(START) + 32:]
    check(xxhash.xxh3_128_hexdigest(rest).encode() == digits, "manifest.json: checksum")
    check(set(manifest) == MEMBERS, "manifest.json: members missing or unknown")
    check(manifest["id"] == os.path.basename(os.path.abspath(folder)), "manifest.json: of another snapshot")
    check(UUID.fullmatch(manifest["id"]) and UUID.fullmatch(manifest["vm_id"]), "manifest.json: identifiers")
    check(manifest["parent"] == "" or UUID.fullmatch(manifest["parent"]), "manifest.json: parent")
    check(manifest["kind"] in ("full", "disk"), "manifest.json: kind")
    return manifest


def read_files(folder, manifest):
    """Contents of all files but the pages, their checksums checked."""
    contents = {}
    for record in manifest["files"]:
        name = record["name"]
        check(re.fullmatch(r"[a-z0-9][a-z0-9.]{0,63}", name), f"manifest.json: file name {name!r}")
        data = read(folder, name)
        check(len(data) == record["size_bytes"], f"{name}: size")
        if name != "ram.raw":
            check(xxhash.xxh3_128_hexdigest(data) == record["digest"], f"{name}: checksum")
        contents[name] = data
    extra = set(os.listdir(folder)) - set(contents) - {"manifest.json"}
    check(not extra, f"files that the manifest does not name: {sorted(extra)}")
    return contents


class Cbor:
    """As much of RFC 8949 as the document allows: numbers, bytes, text, lists, maps, true, false."""

    def __init__(self, data, what):
        self.data, self.place, self.what = data, 0, what

    def take(self, count):
        check(self.place + count <= len(self.data), f"{self.what}: cut off")
        self.place += count
        return self.data[self.place - count:self.place]

    def length(self, low):
        if low < 24:
            return low
        check(low <= 27, f"{self.what}: indefinite length")
        return int.from_bytes(self.take(1 << (low - 24)), "big")

    def item(self):
        head = self.take(1)[0]
        major, low = head >> 5, head & 31
        if major == 7:
            check(low in (20, 21), f"{self.what}: simple value {low}")
            return low == 21
        size = self.length(low)
        if major == 0:
            return size
        if major == 1:
            return -1 - size
        if major == 2:
            return self.take(size)
        if major == 3:
            return self.take(size).decode("utf-8")
        if major == 4:
            return [self.item() for _ in range(size)]
        check(major == 5, f"{self.what}: major type {major}")
        return {self.item(): self.item() for _ in range(size)}

    def whole(self):
        item = self.item()
        check(self.place == len(self.data), f"{self.what}: more than one item")
        return item


def read_state(data):
    state = Cbor(data, "state.cbor").whole()
    check((state["name"], state["version"]) == ("sections", 1), "state.cbor: name or version")
    return [(section["name"], section["cbor"]) for section in state["fields"]["sections"]]


def read_index(data):
    """(layout, size of RAM, runs, checksums of blocks)"""
    check(data[:8] == b"STRAMIDX", "ram.index: magic")
    version, layout, ram, page, block, run_count, block_count, stored, zero = struct.unpack("<IIQIIQQQQ", data[8:64])
    check(version == 1 and layout in (1, 2), "ram.index: version or layout")
    check((page, block, zero) == (PAGE, BLOCK, 0), "ram.index: sizes")
    check(ram > 0 and ram % PAGE == 0 and block_count == -(-ram // BLOCK), "ram.index: size of RAM")
    check(len(data) == 64 + 16 * run_count + 8 * block_count, "ram.index: length")
    runs = list(struct.iter_unpack("<QQ", data[64:64 + 16 * run_count]))
    digests = [word for word, in struct.iter_unpack("<Q", data[64 + 16 * run_count:])]
    end = 0
    for first, count in runs:
        check(first >= end and count > 0 and first + count <= ram // PAGE, f"ram.index: run at page {first}")
        end = first + count
    check(sum(count for _, count in runs) == stored, "ram.index: number of pages")
    return layout, ram, runs, digests


def unpack(data, size):
    """The stored pages out of `ram.zst`."""
    frames, flags, magic = struct.unpack("<IBI", data[-9:])
    check((flags, magic) == (0x80, 0x8F92EAB1), "ram.zst: end of the seek table")
    table = data[len(data) - 17 - 12 * frames:]
    check(struct.unpack("<II", table[:8]) == (0x184D2A5E, len(table) - 8), "ram.zst: begin of the seek table")
    pages, place = [], 0
    for number, (packed, length, checksum) in enumerate(struct.iter_unpack("<III", table[8:-9])):
        frame = data[place:place + packed]
        header = zstandard.get_frame_parameters(frame)
        check(header.has_checksum and header.content_size == length, f"ram.zst: frame {number}: header")
        content = zstandard.ZstdDecompressor().decompress(frame)
        check(len(content) == length, f"ram.zst: frame {number}: size")
        check(length == FRAME or number == frames - 1, f"ram.zst: frame {number} is short")
        check(xxhash.xxh64_intdigest(content) & 0xFFFFFFFF == checksum, f"ram.zst: frame {number}: checksum")
        check(frame[-4:] == struct.pack("<I", checksum), f"ram.zst: frame {number}: its own checksum")
        pages.append(content)
        place += packed
    check(place + len(table) == len(data), "ram.zst: length")
    pages = b"".join(pages)
    check(len(pages) == size, "ram.zst: number of pages")
    return pages


def read_memory(contents):
    layout, size, runs, digests = read_index(contents["ram.index"])
    if layout == 1:
        memory = contents["ram.raw"]
        check(len(memory) == size, "ram.raw: size")
    else:
        pages = unpack(contents["ram.zst"], sum(count for _, count in runs) * PAGE)
        memory, place = bytearray(size), 0
        for first, count in runs:
            memory[first * PAGE:(first + count) * PAGE] = pages[place:place + count * PAGE]
            place += count * PAGE
    for number, digest in enumerate(digests):
        block = bytes(memory[number * BLOCK:(number + 1) * BLOCK])
        check(xxhash.xxh3_64_intdigest(block) == digest, f"memory: checksum of block {number}")
    return memory


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("folder")
    parser.add_argument("--memory", metavar="FILE")
    arguments = parser.parse_args()
    manifest = read_manifest(arguments.folder)
    contents = read_files(arguments.folder, manifest)
    answer = {key: manifest[key] for key in ("id", "name", "parent", "kind", "has_memory")}
    if manifest["has_memory"]:
        answer["sections"] = [{"name": name, "bytes": len(data), "xxh3-128": xxhash.xxh3_128_hexdigest(data)}
                              for name, data in read_state(contents["state.cbor"])]
        memory = read_memory(contents)
        answer["memory_bytes"] = len(memory)
        if arguments.memory:
            with open(arguments.memory, "wb") as file:
                file.write(memory)
    print(json.dumps(answer))
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (Damaged, OSError, ValueError, KeyError, struct.error, zstandard.ZstdError) as error:
        print(f"read_snapshot: {error}", file=sys.stderr)
        sys.exit(1)
