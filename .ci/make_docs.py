"""Which Pythons, images and systems does the data name? Writes docs/reference/images.md (`nox -s data`).

Nothing is fetched: the same data files give the same bytes.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "reference" / "images.md"
TEMPLATE = ROOT / ".ci" / "images.md.in"
SYSTEMS = {
    "linux": "Linux",
    "macos": "macOS",
    "windows": "Windows",
    "pyodide": "Pyodide",
    "android": "Android",
    "ios": "iOS",
}
GLIBC = {"manylinux1": (2, 5), "manylinux2010": (2, 12), "manylinux2014": (2, 17)}
"""Policies that are older than PEP 600."""


def main() -> None:
    PAGE.write_text(page(), encoding="utf-8", newline="\n")
    print(f"{PAGE.relative_to(ROOT)}: written")


def page() -> str:
    pythons, images = load("hwb/matrix/pythons.toml"), load("hwb/isolation/images.toml")
    releases = load(".ci/distributions.toml")
    origin = origin_of(ROOT / "hwb" / "matrix" / "pythons.toml")
    parts = {
        "{origin}": [origin],
        "{pythons}": python_tables(pythons),
        "{images}": image_table(images),
        "{glibc}": glibc_table(images, releases),
    }
    text = TEMPLATE.read_text(encoding="utf-8")
    for name, lines in parts.items():
        assert text.count(name) == 1, name
        text = text.replace(name, "\n".join(lines))
    return text


def load(path: str) -> dict[str, Any]:
    with (ROOT / path).open("rb") as file:
        return tomllib.load(file)


def origin_of(path: Path) -> str:
    """The cibuildwheel that a data file was written from, as its first line says."""
    found = re.match(r"# .* from (cibuildwheel [\d.]+)", path.read_text(encoding="utf-8"))
    assert found, path
    return found[1]


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    for cells in (head, ["---"] * len(head), *rows):
        yield f"| {' | '.join(cells)} |".replace("|  |", "| |").replace("|  |", "| |")


# ---------------------------------------------------------------------------------------------------------- pythons


def python_tables(pythons: dict[str, Any]) -> Iterator[str]:
    for number, (system, title) in enumerate(SYSTEMS.items()):
        rows = pythons[system]
        platforms = list(dict.fromkeys(family(row["identifier"]) for row in rows))
        yield from [""] * bool(number)
        yield f"### {title}\n"
        head = ["identifier", "Python", *(f"`{one}`" for one in platforms), "only with `enable`"]
        yield from table(head, python_rows(rows, platforms))


def python_rows(rows: Sequence[dict[str, str]], platforms: Sequence[str]) -> Iterator[list[str]]:
    for name in dict.fromkeys(row["python"] for row in rows):
        own = [row for row in rows if row["python"] == name]
        groups = dict.fromkeys(f"`{row['group']}`" for row in own if "group" in row)
        cells = [", ".join(row["arch"] for row in own if family(row["identifier"]) == one) for one in platforms]
        yield [f"`{name}-*`", own[0]["version"], *cells, ", ".join(groups)]


def family(identifier: str) -> str:
    """`manylinux` of `cp312-manylinux_x86_64`: what stands between the Python and the architecture."""
    return identifier.partition("-")[2].partition("_")[0].replace("win32", "win")


# ----------------------------------------------------------------------------------------------------------- images


def image_table(images: dict[str, Any]) -> Iterator[str]:
    head = ["policy and architecture", "image", "content", ""]
    yield from table(head, (image_row(key, images) for key in sorted(images["images"], key=order)))


def image_row(key: str, images: dict[str, Any]) -> list[str]:
    name, _, digest = images["images"][key].partition("@")
    policy, arch = split(key)
    defaults = {images[table].get(arch) for table in ("defaults", "defaults-musllinux")}
    note = "gets no updates any more" if key in images["eol"] else "the usual one" if policy in defaults else ""
    return [f"`{key}`", f"`{name}`", f"`{digest[:19]}`" if digest else "not pinned", note]


def split(key: str) -> tuple[str, str]:
    """Policy and architecture of an image's key."""
    found = re.fullmatch(r"(manylinux2014|(?:many|musl)linux_\d+_\d+)_(\w+)", key)
    assert found, key
    return found[1], found[2]


def order(key: str) -> tuple[str, tuple[int, ...], str]:
    """manylinux before musllinux, older before newer."""
    policy, arch = split(key)
    return policy[:4], libc(policy), arch


def libc(policy: str) -> tuple[int, ...]:
    return GLIBC.get(policy) or tuple(map(int, re.findall(r"\d+", policy)))


# ------------------------------------------------------------------------------------------------------------ glibc


def glibc_table(images: dict[str, Any], releases: dict[str, dict[str, str]]) -> Iterator[str]:
    policies = {split(key)[0] for key in images["images"]}
    rows = (glibc_row(one, releases) for one in sorted(policies, key=libc) if one.startswith("manylinux"))
    yield from table(["policy", "glibc", *releases], rows)


def glibc_row(policy: str, releases: dict[str, dict[str, str]]) -> list[str]:
    least = libc(policy)
    return [f"`{policy}`", ".".join(map(str, least)), *(oldest(own, least) for own in releases.values())]


def oldest(releases: dict[str, str], least: tuple[int, ...]) -> str:
    """The first release whose glibc is new enough; a dash when there is none."""
    fitting = (name for name, glibc in releases.items() if tuple(map(int, glibc.split("."))) >= least)
    return next(fitting, "–")


if __name__ == "__main__":
    main()
