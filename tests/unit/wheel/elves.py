"""ELF and Mach-O files that no compiler has to make: what a test is about, and nothing else."""

from __future__ import annotations

import struct


class _Strings:
    def __init__(self) -> None:
        self.data = b"\0"

    def add(self, text: str) -> int:
        self.data += text.encode() + b"\0"
        return len(self.data) - len(text.encode()) - 1


def elf(
    *,
    machine: int = 62,
    bits: int = 64,
    order: str = "<",
    needed: tuple[str, ...] = (),
    soname: str = "",
    rpath: str = "",
    runpath: str = "",
    symbols: tuple[tuple[str, str, str], ...] = (),
    weak: tuple[str, ...] = (),
    sections: dict[str, bytes] | None = None,
    flags: int = 0,
    table: str = "hash",
) -> bytes:
    """A shared object; `symbols` are wanted ones: name, library, version (empty: any). `table` tells their number."""
    wide = bits == 64
    names, shnames = _Strings(), _Strings()
    libraries = tuple(dict.fromkeys([*needed, *(library for _, library, version in symbols if version)]))
    versions = {
        library: list(dict.fromkeys(v for _, lib, v in symbols if lib == library and v)) for library in libraries
    }
    index = {version: n for n, version in enumerate((v for each in versions.values() for v in each), 2)}
    dynamic = [(1, names.add(library)) for library in libraries]
    dynamic += [(tag, names.add(text)) for tag, text in ((14, soname), (15, rpath), (29, runpath)) if text]
    sym = [(0, 0)] + [(names.add(name), index.get(version, 1)) for name, _, version in symbols]
    form = "IBBHQQ" if wide else "IIIBBH"
    dynsym = b"".join(
        struct.pack(order + form, *((at, 0x12, 0, 0, 0, 0) if wide else (at, 0, 0, 0x12, 0, 0))) for at, _ in sym
    )
    versym = b"".join(struct.pack(order + "H", number) for _, number in sym)
    verneed, wanted = b"", [(library, each) for library, each in versions.items() if each]
    for number, (library, each) in enumerate(wanted):
        following = 0 if number == len(wanted) - 1 else 16 + 16 * len(each)
        verneed += struct.pack(order + "2H3I", 1, len(each), names.add(library), 16, following)
        for n, version in enumerate(each):
            step = 0 if n == len(each) - 1 else 16
            verneed += struct.pack(order + "I2H2I", 0, 2 * (version in weak), index[version], names.add(version), step)
    header, entry = (64, 56) if wide else (52, 32)
    data = bytearray(header + 2 * entry)
    places: dict[str, int] = {}
    parts = {"dynsym": dynsym, "versym": versym, "verneed": verneed, "dynstr": names.data}
    parts["hash"] = struct.pack(order + "2I", 0, len(sym))
    for name, part in parts.items():
        places[name] = len(data)
        data += part + b"\0" * (-len(part) % 8)
    dynamic += [(5, places["dynstr"]), (6, places["dynsym"])]
    dynamic += [(4, places["hash"])] if table == "hash" else []
    dynamic += [(0x6FFFFEF5, places["hash"])] if table == "gnu" else []
    if wanted:
        dynamic += [(0x6FFFFFF0, places["versym"]), (0x6FFFFFFE, places["verneed"]), (0x6FFFFFFF, len(wanted))]
    places["dynamic"] = len(data)
    packed = b"".join(struct.pack(order + ("qQ" if wide else "iI"), *pair) for pair in [*dynamic, (0, 0)])
    data += packed
    rows = [(0, 0, 0, 0, 0)]
    extra = dict(sections or {})
    if table == "section":
        rows.append((shnames.add(".dynsym"), 11, 0, places["dynsym"], len(dynsym)))
    for name, content in extra.items():
        rows.append((shnames.add(name), 1, flags, len(data), len(content)))
        data += content
    rows.append((shnames.add(".shstrtab"), 3, 0, len(data), 0))
    rows[-1] = (*rows[-1][:4], len(shnames.data))
    data += shnames.data
    at = len(data)
    for name, kind, flag, offset, size in rows:
        values = (name, kind, flag, 0, offset, size, 0, 0, 0, 0)
        data += struct.pack(order + ("2I4Q2I2Q" if wide else "10I"), *values)
    whole = len(data)
    ident = b"\x7fELF" + bytes((2 if wide else 1, 1 if order == "<" else 2, 1)) + bytes(9)
    word = "Q" if wide else "I"
    size = 64 if wide else 40
    struct.pack_into(
        f"{order}16s2HI3{word}I6H",
        data,
        0,
        ident,
        3,
        machine,
        1,
        0,
        header,
        at,
        0,
        header,
        entry,
        2,
        size,
        len(rows),
        len(rows) - 1,
    )
    for number, (kind, offset, length) in enumerate(((1, 0, whole), (2, places["dynamic"], len(packed)))):
        values = (
            (kind, 5, offset, offset, offset, length, length, 8)
            if wide
            else (kind, offset, offset, offset, length, length, 5, 4)
        )
        struct.pack_into(order + ("2I6Q" if wide else "8I"), data, header + number * entry, *values)
    return bytes(data)


def macho(
    *,
    machine: int = 0x0100000C,
    least: tuple[int, int] | None = (11, 0),
    libraries: tuple[str, ...] = (),
    old: bool = False,
) -> bytes:
    """A thin 64-bit dylib; `old`: its least macOS in the command that was used before 10.14."""
    commands = []
    if least:
        packed = least[0] << 16 | least[1] << 8
        commands.append(
            struct.pack("<4I", 0x24, 16, packed, 0) if old else struct.pack("<6I", 0x32, 24, 1, packed, 0, 0)
        )
    for library in libraries:
        name = library.encode() + b"\0" * (8 - len(library) % 8)
        commands.append(struct.pack("<6I", 0xC, 24 + len(name), 24, 0, 0, 0) + name)
    body = b"".join(commands)
    return b"\xcf\xfa\xed\xfe" + struct.pack("<7I", machine, 0, 6, len(commands), len(body), 0, 0) + body


def universal(*slices: bytes) -> bytes:
    """A universal file of thin ones, in the order of their machines' numbers."""
    head = b"\xca\xfe\xba\xbe" + struct.pack(">I", len(slices))
    at = 8 + 20 * len(slices)
    rows = b""
    for each in slices:
        rows += struct.pack(">5I", int.from_bytes(each[4:8], "little"), 0, at, len(each), 0)
        at += len(each)
    return head + rows + b"".join(slices)


def pe(*imports: str, bits: int = 64, machine: int = 0x8664) -> bytes:
    """A DLL that loads others; its one section begins at byte 512 and at address 0x1000."""
    optional = 108 if bits == 64 else 92
    names, table = b"", b""
    at = 0x1000 + 20 * (len(imports) + 1)
    for each in imports:
        table += struct.pack("<5I", 0, 0, 0, at + len(names), 0)
        names += each.encode() + b"\0"
    section = table + bytes(20) + names
    head = b"MZ" + bytes(58) + struct.pack("<I", 64) + b"PE\0\0"
    coff = struct.pack("<2H3I2H", machine, 1, 0, 0, 0, optional + 4 + 16, 0x2000)
    directories = struct.pack("<5I", 2, 0, 0, 0x1000 if imports else 0, len(section))
    magic = struct.pack("<H", 0x20B if bits == 64 else 0x10B)
    row = b".idata\0\0" + struct.pack("<4I", len(section), 0x1000, len(section), 512) + bytes(16)
    data = head + coff + magic + bytes(optional - 2) + directories + row
    return data + bytes(512 - len(data)) + section
