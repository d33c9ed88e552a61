"""Which Pythons and images does the pinned cibuildwheel know? Writes both data files of hwb (`nox -s data`).

Needs cibuildwheel installed. Nothing is fetched: the same cibuildwheel gives the same bytes.
"""

from __future__ import annotations

import re
from importlib.metadata import version
from pathlib import Path

import tomllib
from cibuildwheel.selector import BuildSelector, EnableGroup
from cibuildwheel.util import resources

ROOT = Path(__file__).parents[1]
SYSTEMS = ("linux", "macos", "windows", "pyodide", "android", "ios")
WINDOWS = {"win32": "x86", "win_amd64": "AMD64", "win_arm64": "ARM64"}
EOL = ("musllinux_1_1_x86_64", "musllinux_1_1_aarch64")
"""Images that are documented, and that nobody updates any more: by name, because no cibuildwheel pins them."""


def main() -> None:
    write(ROOT / "hwb" / "matrix" / "pythons.toml", pythons())
    write(ROOT / "hwb" / "isolation" / "images.toml", images())


def write(path: Path, lines: list[str]) -> None:
    origin = f"# Written by `nox -s data` from cibuildwheel {version('cibuildwheel')}; do not edit."
    text = "\n".join([origin, *lines, ""])
    tomllib.loads(text)
    path.write_text(text, encoding="utf-8", newline="\n")
    print(f"{path.relative_to(ROOT)}: {len(lines)} lines")


def pythons() -> list[str]:
    lines = ["# group: what `enable` must name for it to be built.", f"groups = {array(list(EnableGroup))}"]
    for system in SYSTEMS:
        rows = [row(config["identifier"]) for config in resources.read_python_configs(system)]
        lines += ["", f"{system} = [", *(f"  {line}," for line in rows), "]"]
    return lines


def row(identifier: str) -> str:
    python, platform = identifier.split("-", 1)
    digits = re.fullmatch(r"[a-z]{2}3(\d+)t?(?:_\d+)?", python)
    assert digits, identifier
    fields = {
        "identifier": identifier,
        "python": python,
        "version": f"3.{digits[1]}",
        "arch": WINDOWS.get(platform) or platform.split("_", 1)[1],
        "group": group(identifier),
    }
    return "{ " + ", ".join(f'{name} = "{value}"' for name, value in fields.items() if value) + " }"


def group(identifier: str) -> str:
    """The one group that lets an identifier through which nothing does without it."""
    if chosen(identifier):
        return ""
    found = [str(one) for one in EnableGroup if chosen(identifier, one)]
    assert len(found) == 1, (identifier, found)
    return found[0]


def chosen(identifier: str, *groups: EnableGroup) -> bool:
    return BuildSelector(build_config="*", skip_config="", enable=frozenset(groups))(identifier)


def images() -> list[str]:
    pinned = {f"{policy}_{arch}": reference for arch, policy, reference in pinned_images()}
    for key in EOL:
        assert key not in pinned
    defaults = tomllib.loads(resources.DEFAULTS.read_text(encoding="utf-8"))["tool"]["cibuildwheel"]
    lines = ["# eol: keys of images that get no updates any more.", f"eol = {array(list(EOL))}"]
    for family, title in (("manylinux", "defaults"), ("musllinux", "defaults-musllinux")):
        chosen = {
            name[len(family) + 1 : -6]: value for name, value in defaults.items() if name.startswith(f"{family}-")
        }
        lines += ["", f"# The {family} policy of an architecture where nobody asks for one.", f"[{title}]"]
        lines += [f'{arch} = "{policy}"' for arch, policy in sorted(chosen.items()) if not arch.startswith("pypy_")]
    return [*lines, "", "[images]", *(f'{key} = "{pinned[key]}"' for key in sorted(pinned)), *eol()]


def eol() -> list[str]:
    return [f'{key} = "quay.io/pypa/{key}"' for key in EOL]


def pinned_images() -> list[tuple[str, str, str]]:
    """(arch, policy, reference) of each line `policy = name@digest  # tag`; the tag is kept for those who read it."""
    found, arch = [], ""
    for line in resources.PINNED_DOCKER_IMAGES.read_text(encoding="utf-8").splitlines():
        if section := re.fullmatch(r"\[(\w+)\]", line.strip()):
            arch = section[1]
        elif line.strip():
            parts = re.fullmatch(r"(\w+) = ([\w./-]+)@(sha256:[0-9a-f]{64})\s+# (\S+)", line.strip())
            assert parts, line
            if not arch.startswith("pypy_"):
                found.append((arch, parts[1], f"{parts[2]}:{parts[4]}@{parts[3]}"))
    return found


def array(values: list[str]) -> str:
    return "[" + ", ".join(f'"{value}"' for value in values) + "]"


if __name__ == "__main__":
    main()
