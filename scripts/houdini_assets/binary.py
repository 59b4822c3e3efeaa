"""Packed digital assets: the one-file form, byte for byte a function of the expanded form.

All integers are big-endian but the length in front of the network's archive. The archive is a CPIO
of the old portable kind, gzipped with the header that Houdini writes.
"""

import gzip
import io
import json
import struct
import zlib
from calendar import timegm
from collections.abc import Sequence
from time import strptime

from houdini_assets import network, tree

GZIP_HEADER = bytes.fromhex("1f8b080000000000 00ff")
INDEX_VERSION = 4  # 5 carries a number of outputs
_BOOL, _STRING, _INTEGERS = 1, 3, 13
OPTION_FILES = ("ExtraFileOptions", "InternalFileOptions")


def pack(files: dict[str, bytes], modified: int = tree.MODIFIED) -> bytes:
    """The one file of an expanded asset. Raises ValueError for folders that disagree with their lists."""
    sections = []
    for on_disk, name in _listed(files["Sections.list"]):
        if name == "INDEX_SECTION":
            sections.append((name, _pack_index(files[on_disk].decode())))
        elif on_disk in files:
            sections.append((name, files[on_disk]))
        else:
            inner = {
                path[len(on_disk) + 1 :]: data
                for path, data in files.items()
                if path.startswith(f"{on_disk}/")
            }
            sections.append((name, _pack_definition(inner, modified)))
    return _container(sections, modified)


def unpack(content: bytes) -> dict[str, bytes]:
    """The expanded asset of one file; `pack` gives the file again."""
    files: dict[str, bytes] = {}
    lines = []
    for name, data, _ in read_container(content):
        on_disk = tree.encode(name)
        lines.append((on_disk, name))
        if name == "INDEX_SECTION":
            files[on_disk] = _unpack_index(data)
        elif data.startswith(b"INDX"):
            files |= {f"{on_disk}/{path}": inner for path, inner in _unpack_definition(data).items()}
        else:
            files[on_disk] = data
    files["Sections.list"] = tree.sections_list(lines).encode()
    return dict(sorted(files.items()))


def _listed(content: bytes) -> list[tuple[str, str]]:
    lines = content.decode().splitlines()
    if not lines or lines[0] != '""':
        raise ValueError("a list of sections starts with two double quotes")
    pairs = [line.split("\t") for line in lines[1:]]
    return [(on_disk, name) for on_disk, name in pairs]


def _pack_definition(files: dict[str, bytes], modified: int) -> bytes:
    sections = []
    for on_disk, name in _listed(files["Sections.list"]):
        if name == "Contents.gz":
            data = pack_contents(files["Contents.dir/Contents.mime"].decode(), modified)
        elif name in OPTION_FILES:
            data = pack_options(files[on_disk].decode())
        else:
            data = files[on_disk]
        sections.append((name, data))
    return _container(sections, modified)


def _unpack_definition(content: bytes) -> dict[str, bytes]:
    files: dict[str, bytes] = {}
    lines = []
    for name, data, _ in read_container(content):
        on_disk = tree.encode(name)
        lines.append((on_disk, name))
        if name == "Contents.gz":
            files["Contents.dir/Contents.mime"] = unpack_contents(data).encode()
            files["Contents.dir/Sections.list"] = tree.sections_list(
                [("Contents.mime", "Contents.mime")]
            ).encode()
        else:
            files[on_disk] = unpack_options(data).encode() if name in OPTION_FILES else data
    files["Sections.list"] = tree.sections_list(lines).encode()
    return files


def _text(value: str) -> bytes:
    data = value.encode()
    return struct.pack(">I", len(data)) + data


def _container(sections: Sequence[tuple[str, bytes]], modified: int) -> bytes:
    """Names, offsets from the end of the table, sizes and times, then the data without padding."""
    table, offset = b"", 0
    for name, data in sections:
        table += _text(name) + struct.pack(">III", offset, len(data), modified)
        offset += len(data)
    head = b"INDX" + _text("") + _text("") + struct.pack(">I", len(sections))
    return head + table + b"".join(data for _, data in sections)


def read_container(content: bytes) -> list[tuple[str, bytes, int]]:
    """Names, data and times of a container. Raises ValueError for other bytes."""
    reader = _Reader(content)
    if reader.take(4) != b"INDX" or reader.text() or reader.text():
        raise ValueError("no INDX container")
    entries: list[tuple[str, int, int, int]] = []
    for _ in range(reader.numbers(">I")[0]):
        name = reader.text()
        offset, size, time = reader.numbers(">III")
        entries.append((name, offset, size, time))
    start = reader.place
    if start + sum(size for _, _, size, _ in entries) != len(content):
        raise ValueError("the sections of the container do not fill it")
    return [
        (name, content[start + offset : start + offset + size], time) for name, offset, size, time in entries
    ]


class _Reader:
    def __init__(self, content: bytes) -> None:
        self._content = content
        self.place = 0

    def take(self, count: int) -> bytes:
        data = self._content[self.place : self.place + count]
        if len(data) != count:
            raise ValueError("the data ends too early")
        self.place += count
        return data

    def numbers(self, form: str) -> tuple[int, ...]:
        return struct.unpack(form, self.take(struct.calcsize(form)))

    def text(self) -> str:
        return self.take(self.numbers(">I")[0]).decode()


_INDEX_TEXTS = ("Operator", "Label", "Path", "Icon", None, None, "Table", None, None, None, "Extra")


def _pack_index(text: str) -> bytes:
    values = {line[:14].rstrip().removesuffix(":"): line[14:] for line in text.splitlines() if line}
    low, high = values["Inputs"].split(" to ")
    flags = [values[name] == "true" for name in ("Subnet", "Empty", "Python")]
    texts = b"".join(_text(values[name] if name else "") for name in _INDEX_TEXTS)
    moment = timegm(strptime(values["Modified"], "%a %b %d %H:%M:%S %Y"))
    numbers = struct.pack(">III", int(low), int(high), moment)
    return struct.pack(">II", 1, INDEX_VERSION) + texts + numbers + bytes(flags)


def _unpack_index(content: bytes) -> bytes:
    reader = _Reader(content)
    if reader.numbers(">II") != (1, INDEX_VERSION):
        raise ValueError("one definition with one output is expected")
    texts = {name or "": reader.text() for name in _INDEX_TEXTS}
    low, high, modified = reader.numbers(">III")
    subnet, empty, python = (str(bool(flag)).lower() for flag in reader.take(3))
    values = {name: texts[name] for name in ("Operator", "Label", "Path", "Icon", "Table")}
    values |= {"License": "", "Extra": texts["Extra"], "User": "", "Inputs": f"{low} to {high}"}
    values |= {"Subnet": subnet, "Python": python, "Empty": empty, "Modified": tree.ctime(modified)}
    return ("".join(f"{name + ':':14}{value}\n" for name, value in values.items()) + "\n").encode()


def pack_options(text: str) -> bytes:
    """Options from their JSON."""
    options = json.loads(text)
    data = struct.pack(">I", len(options))
    for name, option in options.items():
        raw = name.encode()
        data += struct.pack(">H", len(raw)) + raw + _pack_value(option["type"], option["value"])
    return data


def _pack_value(kind: str, value: object) -> bytes:
    if kind == "bool":
        return struct.pack(">II", _BOOL, int(bool(value)))
    if kind == "string":
        raw = str(value).encode()
        return struct.pack(">IH", _STRING, len(raw)) + raw
    if kind == "intarray" and isinstance(value, list):
        return struct.pack(f">Iq{len(value)}q", _INTEGERS, len(value), *value)
    raise ValueError(f"options of the type {kind!r} are not known")


def unpack_options(content: bytes) -> str:
    """The JSON of options."""
    reader = _Reader(content)
    values: dict[str, object] = {}
    for _ in range(reader.numbers(">I")[0]):
        name = reader.take(reader.numbers(">H")[0]).decode()
        kind = reader.numbers(">I")[0]
        if kind == _BOOL:
            values[name] = bool(reader.numbers(">I")[0])
        elif kind == _STRING:
            values[name] = reader.take(reader.numbers(">H")[0]).decode()
        elif kind == _INTEGERS:
            values[name] = list(reader.numbers(f">{reader.numbers('>q')[0]}q"))
        else:
            raise ValueError(f"options of the type {kind} are not known")
    return tree.options_text(values)


def archive(text: str, modified: int = tree.MODIFIED) -> bytes:
    """The archive of a network, with its length in front."""
    out = io.BytesIO()
    for name, body in network.parse(text):
        _entry(out, name, pack_options(body) if name.endswith(".userdata") else body.encode(), modified)
    _entry(out, "TRAILER!!!", b"", modified)
    return struct.pack("<I", out.tell()) + out.getvalue()


def _entry(out: io.BytesIO, name: str, data: bytes, modified: int) -> None:
    raw = name.encode() + b"\0"
    numbers = (1, 0, 0o666, 0, 0, 1, 0)  # device, inode, mode, user, group, links, raw device
    head = "070707" + "".join(f"{number:06o}" for number in numbers)
    head += f"{modified:011o}{len(raw):06o}{len(data):011o}"
    out.write(head.encode() + raw + data)


def pack_contents(text: str, modified: int = tree.MODIFIED) -> bytes:
    """The gzipped archive of a network."""
    data = archive(text, modified)
    squeeze = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    return (
        GZIP_HEADER
        + squeeze.compress(data)
        + squeeze.flush()
        + struct.pack("<II", zlib.crc32(data), len(data))
    )


def unpack_contents(content: bytes) -> str:
    """The text of a network."""
    data = gzip.decompress(content)
    if struct.unpack("<I", data[:4])[0] != len(data) - 4:
        raise ValueError("the archive has another length than it says")
    place, text = 4, network.HEADER
    while True:
        head = data[place : place + 76].decode()
        if len(head) < 76 or not head.startswith("070707"):
            raise ValueError("no entry of an archive")
        name_size, size = int(head[59:65], 8), int(head[65:76], 8)
        name = data[place + 76 : place + 76 + name_size - 1].decode()
        body = data[place + 76 + name_size : place + 76 + name_size + size]
        place += 76 + name_size + size
        if name == "TRAILER!!!":
            return text + f"--{network.BOUNDARY}--\n"
        shown = unpack_options(body) if name.endswith(".userdata") else body.decode()
        text += network.part(name, shown)
