"""Which system and machine is a native file for, by its first bytes?"""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["Binary", "fits", "identify"]

_ELF = {
    3: "i686", 62: "x86_64", 183: "aarch64", 40: "armv7l", 243: "riscv64", 22: "s390x", 258: "loongarch64",
    21: "ppc64", 8: "mips",
}  # fmt: skip
_PE = {0x14C: "win32", 0x8664: "win_amd64", 0xAA64: "win_arm64", 0x1C4: "win_arm32"}
_MACH = {0x01000007: "x86_64", 0x0100000C: "arm64", 7: "i386", 12: "arm", 18: "ppc", 0x01000012: "ppc64"}
_MAC_TAGS = {
    "universal2": {"x86_64", "arm64"}, "universal": {"i386", "x86_64", "ppc", "ppc64"}, "intel": {"i386", "x86_64"},
    "fat": {"i386", "ppc"}, "fat3": {"i386", "x86_64", "ppc"}, "fat32": {"i386", "ppc"}, "fat64": {"x86_64", "ppc64"},
}  # fmt: skip
_LINUX = ("linux_", "manylinux", "musllinux", "android_")
_SPELLINGS = {
    "armv7l": ("armv7l", "armv6l", "armeabi_v7a"),
    "aarch64": ("aarch64", "arm64_v8a"),
    "ppc64": ("ppc64", "ppc64le"),
}


class Binary(NamedTuple):
    """A native file: its format (ELF, PE, Mach-O) and the machines that it runs on."""

    format: str
    machines: frozenset[str]


def identify(head: bytes) -> Binary | None:
    """What a file with these first 64 bytes or more is; None for what is not native.

    ELF: gABI chapter 4. PE: the COFF header, whose offset is in the last four of the 64 bytes. Mach-O: loader.h, fat.h.
    """
    if head[:4] == b"\x7fELF" and len(head) >= 20:
        order = "little" if head[5] == 1 else "big"
        machine = int.from_bytes(head[18:20], "little" if order == "little" else "big")
        return Binary("ELF", frozenset({_ELF.get(machine, f"machine {machine}")}))
    if head[:2] == b"MZ":
        return _portable_executable(head)
    if head[:4] in (b"\xcf\xfa\xed\xfe", b"\xce\xfa\xed\xfe"):
        kind = int.from_bytes(head[4:8], "little")
        return Binary("Mach-O", frozenset({_MACH.get(kind, f"machine {kind}")}))
    if head[:4] in (b"\xca\xfe\xba\xbe", b"\xca\xfe\xba\xbf"):
        return _universal(head)
    return None


def _portable_executable(head: bytes) -> Binary | None:
    at = int.from_bytes(head[60:64], "little")
    if at < 64 or head[at : at + 4] != b"PE\0\0":
        return None
    machine = int.from_bytes(head[at + 4 : at + 6], "little")
    return Binary("PE", frozenset({_PE.get(machine, f"machine {machine:#x}")}))


def _universal(head: bytes) -> Binary | None:
    """A Java class file begins with the same four bytes; its version stands where this has a small count."""
    size = 20 if head[3:4] == b"\xbe" else 32
    count = int.from_bytes(head[4:8], "big")
    if not 0 < count < 20:
        return None
    kinds = [int.from_bytes(head[8 + size * i : 12 + size * i], "big") for i in range(count)]
    return Binary("Mach-O", frozenset(_MACH.get(kind, f"machine {kind}") for kind in kinds))


def fits(binary: Binary, platform: str) -> bool:
    """Whether a native file runs on what a platform tag promises; a tag of an unknown family fits everything."""
    if platform.startswith(_LINUX):
        machine = next(iter(binary.machines))
        return binary.format == "ELF" and platform.endswith(tuple(f"_{m}" for m in _spellings(machine)))
    if platform.startswith("win"):
        return binary.format == "PE" and platform in binary.machines
    if platform.startswith("macosx_"):
        machine = platform.split("_", 3)[3]
        return binary.format == "Mach-O" and _MAC_TAGS.get(machine, {machine}) <= binary.machines
    return True


def _spellings(machine: str) -> tuple[str, ...]:
    return (*_SPELLINGS.get(machine, (machine,)), *(("x86",) if machine == "i686" else ()))
