"""Is what ELF, Mach-O and PE files say read as it is written, and is nothing else than a refusal the answer to nonsense?"""

from __future__ import annotations

import struct
import sys
import zlib
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwb.errors import ValidationError
from hwb.wheel.elf import Elf, Needed, read_elf, undefined_symbols
from hwb.wheel.macho import Slice, read_macho
from hwb.wheel.pe import read_imports

from .elves import elf, macho, pe, universal

if TYPE_CHECKING:
    from collections.abc import Callable

SYMBOLS = (("memcpy", "libc.so.6", "GLIBC_2.14"), ("dlsym", "libc.so.6", "GLIBC_2.34"), ("PyLong_Type", "", ""))
FORMS = [(bits, order) for bits in (32, 64) for order in "<>"]


@pytest.mark.parametrize(("bits", "order"), FORMS)
@pytest.mark.parametrize("table", ["hash", "section", "gnu"])
def test_what_is_written_is_read_in_either_size_and_order(bits: int, order: str, table: str) -> None:
    data = elf(
        machine=183, bits=bits, order=order, table=table, soname="libx.so.1", needed=("libz.so.1",), symbols=SYMBOLS,
        rpath="$ORIGIN/../x.libs:/opt/lib", runpath="/usr/lib::", sections={".text": b"12", ".debug_info": b"345"},
    )  # fmt: skip
    found = read_elf(data)
    assert (found.bits, found.order, found.machine) == (bits, "little" if order == "<" else "big", 183)
    assert (found.needed, found.soname) == (("libz.so.1", "libc.so.6"), "libx.so.1")
    assert (found.rpath, found.runpath) == (("$ORIGIN/../x.libs", "/opt/lib"), ("/usr/lib",))
    assert found.versions == (Needed("libc.so.6", "GLIBC_2.14", False), Needed("libc.so.6", "GLIBC_2.34", False))
    assert (found.size, found.sections[".text"], found.debug) == (len(data), 2, 3)
    assert undefined_symbols(data) == (("memcpy", "GLIBC_2.14"), ("dlsym", "GLIBC_2.34"), ("PyLong_Type", ""))


def test_several_libraries_and_weak_versions() -> None:
    symbols = (("a", "libc.so.6", "GLIBC_2.4"), ("b", "libm.so.6", "GLIBC_2.29"), ("c", "libc.so.6", "GLIBC_2.38"))
    found = read_elf(elf(symbols=symbols, weak=("GLIBC_2.38",)))
    assert found.versions == (
        Needed("libc.so.6", "GLIBC_2.4", False),
        Needed("libc.so.6", "GLIBC_2.38", True),
        Needed("libm.so.6", "GLIBC_2.29", False),
    )


def test_a_header_alone_is_an_elf_file_that_says_nothing() -> None:
    head = b"\x7fELF\2\1\1" + b"\0" * 9 + b"\3\0" + (62).to_bytes(2, "little") + b"\0" * 100
    found = read_elf(head)
    assert found[3:] == (120, (), "", (), (), (), {}, ())
    assert undefined_symbols(head) == ()
    assert undefined_symbols(elf(symbols=SYMBOLS, table="none")) == ()


def test_a_file_without_versions_has_symbols_without_versions() -> None:
    assert undefined_symbols(elf(symbols=(("Py_None", "", ""),))) == (("Py_None", ""),)


@pytest.mark.parametrize(
    ("producer", "optimised"),
    [
        (b"GNU C17 12.2.0 -mtune=generic -march=x86-64 -g -O2 -fPIC", True),
        (b"GNU C17 12.2.0 -mtune=generic -march=x86-64 -g -fPIC", False),
        (b"GNU C++14 9.4.0 -g -O0", False),
        (b"GNU C17 12.2.0 -O3 -g -O0", False),
        (b"GNU C17 12.2.0 -O0 -g -O", True),
        (b"GNU GIMPLE 12.2.0 -Os", True),
        (b"GNU Fortran2008 9.4.0 -Ofast", True),
        (b"GNU AS 2.40", None),
        (b"clang version 15.0.7", None),
        (b"clang LLVM (rustc version 1.70.0)", None),
    ],
)
def test_optimisation_is_known_where_gcc_wrote_it_down(producer: bytes, optimised: bool | None) -> None:
    strings = b"\0int\0" + producer + b"\0main.c\0"
    assert read_elf(elf(sections={".debug_str": strings})).optimised is optimised
    for bits in (32, 64):
        packed = struct.pack(
            "<3I" if bits == 32 else "<2I2Q", *([1, len(strings), 1] if bits == 32 else [1, 0, len(strings), 1])
        )
        data = elf(bits=bits, sections={".debug_str": packed + zlib.compress(strings)}, flags=0x800)
        assert read_elf(data).optimised is optimised


def test_one_optimised_unit_is_enough_and_switches_count_too() -> None:
    assert read_elf(elf(sections={".debug_str": b"GNU C17 12 -g\0GNU C17 12 -O3\0"})).optimised is True
    assert read_elf(elf(sections={".GCC.command.line": b"GNU C17 12.2.0 -O2 -g\0"})).optimised is True
    assert read_elf(elf(sections={".GCC.command.line": b"-g\0-fPIC\0x.c\0"})).optimised is False
    assert read_elf(elf(sections={".GCC.command.line": b""})).optimised is None


def test_what_another_compressor_packed_tells_nothing() -> None:
    data = elf(sections={".debug_str": struct.pack("<2I2Q", 2, 0, 5, 1) + b"zstd!"}, flags=0x800)
    assert read_elf(data).options == ()
    with pytest.raises(ValidationError, match="is damaged"):
        read_elf(elf(sections={".debug_str": struct.pack("<2I2Q", 1, 0, 5, 1) + b"no zlib"}, flags=0x800))


def broken(data: bytes, at: int, form: str, value: int) -> bytes:
    changed = bytearray(data)
    struct.pack_into(form, changed, at, value)
    return bytes(changed)


WHOLE = elf(symbols=SYMBOLS, sections={".debug_str": b"GNU C17 -O2\0"})
TWO = elf(symbols=(*SYMBOLS, ("exp", "libm.so.6", "GLIBC_2.29")))
SHOFF = struct.unpack_from("<Q", WHOLE, 40)[0]


def tag(number: int, data: bytes = WHOLE) -> int:
    """Where the value of an entry of the dynamic section stands."""
    at = struct.unpack_from("<Q", data, 64 + 56 + 8)[0]
    while struct.unpack_from("<q", data, at)[0] != number:
        at += 16
    return at + 8


TWO_VERNEED = struct.unpack_from("<Q", TWO, tag(0x6FFFFFFE, TWO))[0]


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"", "no ELF header"),
        (b"MZ" + b"\0" * 100, "no ELF header"),
        (b"\x7fELF\3\1" + b"\0" * 100, "no ELF header"),
        (WHOLE[:60], "it ends before"),
        (broken(WHOLE, 54, "<H", 8), "program headers are too small"),
        (broken(WHOLE, 56, "<H", 0xFFFF), "it ends before"),
        (broken(WHOLE, 40, "<Q", len(WHOLE)), "it ends before"),
        (broken(WHOLE, 40, "<Q", 1 << 63), "begins at byte"),
        (broken(WHOLE, 58, "<H", 8), "section headers make no sense"),
        (broken(WHOLE, 62, "<H", 99), "section headers make no sense"),
        (broken(broken(WHOLE, 60, "<H", 0), SHOFF + 32, "<Q", 1 << 40), "section headers make no sense"),
        (broken(WHOLE, SHOFF + 64 + 32, "<Q", 1 << 40), "a section lies outside"),
        (broken(WHOLE, SHOFF + 64, "<I", 1 << 30), "a name in it does not end"),
        (broken(WHOLE, tag(5), "<Q", 1 << 40), "is in no segment"),
        (broken(WHOLE, tag(1), "<Q", 1 << 40), "a name in it does not end"),
        (broken(TWO, TWO_VERNEED + 12, "<I", 1 << 31), "it ends before"),
    ],
)  # fmt: skip
def test_a_table_that_is_not_there_is_a_refusal(data: bytes, what: str) -> None:
    with pytest.raises(ValidationError, match=what) as caught:
        read_elf(data, "demo/x.so")
    assert caught.value.where == "demo/x.so"


def test_tables_that_never_end_are_a_refusal() -> None:
    again = broken(broken(TWO, TWO_VERNEED + 2, "<H", 0xFFFF), TWO_VERNEED + 16 + 12, "<I", 0)
    again = broken(broken(again, TWO_VERNEED + 4, "<I", 0), TWO_VERNEED + 16 + 8, "<I", 0)  # nameless
    with pytest.raises(ValidationError, match="more versions"):
        read_elf(again)
    names = b"x" * 4000
    long = elf(symbols=(("a", "libc.so.6", names.decode()), ("b", "libm.so.6", "GLIBC_2.29")))
    at = struct.unpack_from("<Q", long, tag(0x6FFFFFFE, long))[0]
    with pytest.raises(ValidationError, match="longer together than it is"):
        read_elf(broken(broken(long, at + 2, "<H", 0xFFFF), at + 16 + 12, "<I", 0))


def test_more_symbols_than_there_can_be_are_a_refusal() -> None:
    count = struct.unpack_from("<Q", WHOLE, tag(4))[0] + 4
    with pytest.raises(ValidationError, match="more symbols"):
        undefined_symbols(broken(WHOLE, count, "<I", 1 << 22))
    with pytest.raises(ValidationError, match="lies outside"):
        undefined_symbols(broken(WHOLE, count, "<I", 1 << 20))


def test_a_dynamic_section_ends_with_its_segment_and_versions_with_their_chain() -> None:
    short = broken(WHOLE, 64 + 56 + 32, "<Q", 16)  # the first entry only
    assert read_elf(short, "x").versions == ()
    more = broken(WHOLE, tag(0x6FFFFFFF), "<Q", 7)  # says seven libraries, but the first is the last
    assert read_elf(more).versions == read_elf(WHOLE).versions
    fewer = broken(TWO, tag(0x6FFFFFFF, TWO), "<Q", 1)
    assert read_elf(fewer).versions == read_elf(WHOLE).versions


def test_more_sections_than_the_header_can_count() -> None:
    counted = broken(broken(WHOLE, 60, "<H", 0), SHOFF + 32, "<Q", 3)
    assert read_elf(counted).sections[".debug_str"] == 12


def real_files() -> list[bytes]:
    """Extension modules of this Python, if it has some that are files, and one made here."""
    folder = next((Path(p) for p in sys.path if p.endswith("lib-dynload") and Path(p).is_dir()), None)
    found = [path.read_bytes() for path in sorted(folder.glob("*.so"))[:3]] if folder else []
    return [
        *(data for data in found if data[:4] == b"\x7fELF" and len(data) < 1 << 20),
        WHOLE,
        elf(bits=32, order=">", symbols=SYMBOLS),
    ]


REAL = real_files()
MACHO_REFUSALS = [
    f"cannot be read as a Mach-O file: {why}"
    for why in ("a header or load command lies outside of it", "a load command has no size")
]


def refusal(read: Callable[[bytes], object], data: bytes) -> str:
    """Why a file is not read; an empty string when it is. Any other exception is a failure of the test."""
    try:
        read(data)
    except ValidationError as error:
        return error.what
    return ""


@settings(max_examples=300)
@given(data=st.data())
def test_a_mutated_real_file_is_read_or_refused(data: st.DataObject) -> None:
    whole = bytearray(data.draw(st.sampled_from(REAL)))
    for _ in range(data.draw(st.integers(1, 8))):
        # headers and tables are where a change matters most
        near = data.draw(st.sampled_from([64, 1024, len(whole)]))
        at = data.draw(st.integers(0, min(near, len(whole)) - 1))
        whole[at] = data.draw(st.sampled_from([0, 1, 0x7F, 0x80, 0xFF]))
    cut = data.draw(st.one_of(st.none(), st.integers(0, len(whole))))
    for read in (read_elf, undefined_symbols):
        why = refusal(read, bytes(whole[:cut]))
        assert not why or why.startswith("cannot be read as an ELF file: ")


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="Python is no ELF file here")
def test_this_python_is_read() -> None:
    found = read_elf(Path(sys.executable).read_bytes())
    assert isinstance(found, Elf)
    assert any(name.startswith("libc.") for name in found.needed)
    assert ".text" in found.sections


def test_macho_slices() -> None:
    libraries = ("/usr/lib/libSystem.B.dylib", "@loader_path/.dylibs/libx.dylib")
    arm, intel = macho(libraries=libraries), macho(machine=0x01000007, least=(10, 9), old=True)
    assert read_macho(arm) == (Slice("arm64", (11, 0), libraries),)
    assert read_macho(universal(intel, arm)) == (Slice("x86_64", (10, 9), ()), Slice("arm64", (11, 0), libraries))
    assert read_macho(macho(least=None)) == (Slice("arm64", None, ()),)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xcf\xfa\xed\xfe",
        macho()[:40],
        broken(macho(), 36, "<I", 0),
        universal(macho())[:20],
    ],
)
def test_macho_nonsense_is_a_refusal(data: bytes) -> None:
    with pytest.raises(ValidationError, match="cannot be read as a Mach-O file"):
        read_macho(data)


def test_what_a_macho_file_is_built_for_counts_for_macos_only() -> None:
    data = bytearray(macho(least=(17, 0)))
    struct.pack_into("<I", data, 40, 2)  # iOS
    assert read_macho(bytes(data)) == (Slice("arm64", None, ()),)


@settings(max_examples=200)
@given(data=st.data())
def test_a_mutated_macho_file_is_read_or_refused(data: st.DataObject) -> None:
    whole = bytearray(universal(macho(libraries=("/usr/lib/a",)), macho(machine=0x01000007, old=True)))
    for _ in range(data.draw(st.integers(1, 6))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.sampled_from([0, 1, 0x7F, 0x80, 0xFF]))
    cut = data.draw(st.integers(0, len(whole)))
    assert refusal(read_macho, bytes(whole[:cut])) in ("", *MACHO_REFUSALS)


@pytest.mark.parametrize("bits", [32, 64])
def test_what_a_dll_loads(bits: int) -> None:
    assert read_imports(pe("KERNEL32.dll", "python3.dll", "kernel32.DLL", bits=bits)) == ("kernel32.dll", "python3.dll")
    assert read_imports(pe(bits=bits)) == ()


def test_a_pe_file_without_directories_loads_nothing() -> None:
    assert read_imports(broken(pe("a.dll"), 64 + 20, "<H", 0)) == ()
    assert read_imports(broken(pe("a.dll"), 64 + 24 + 108, "<I", 1)) == ()


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"MZ", "a header lies outside"),
        (broken(pe("a.dll"), 60, "<I", 70), "no PE header"),
        (broken(pe("a.dll"), 64 + 24, "<H", 7), "a header lies outside"),
        (broken(pe("a.dll"), 64 + 6, "<H", 96), "a header lies outside"),
        (broken(pe("a.dll"), 64 + 6, "<H", 97), "more sections than Windows loads"),
        (broken(pe("a.dll"), 64 + 24 + 108 + 12, "<I", 0x9999), "address 0x9999 is in no section"),
        (pe("a.dll")[:520], "a header lies outside"),
    ],
)
def test_pe_nonsense_is_a_refusal(data: bytes, what: str) -> None:
    with pytest.raises(ValidationError, match=f"cannot be read as a PE file: .*{what}"):
        read_imports(data)


@settings(max_examples=200)
@given(data=st.data())
def test_a_mutated_pe_file_is_read_or_refused(data: st.DataObject) -> None:
    whole = bytearray(pe("kernel32.dll", "python312.dll"))
    for _ in range(data.draw(st.integers(1, 6))):
        at = data.draw(st.sampled_from([*range(60, 260), *range(512, len(whole))]))
        whole[at] = data.draw(st.sampled_from([0, 1, 0x7F, 0x80, 0xFF]))
    cut = data.draw(st.integers(0, len(whole)))
    why = refusal(read_imports, bytes(whole[:cut]))
    assert not why or why.startswith("cannot be read as a PE file: ")
