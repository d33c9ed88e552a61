"""Does every wheel get its tool, does a failure leave the others alone, and is what a tool makes looked at?"""

from __future__ import annotations

import json
import os
import sys
from hashlib import sha256
from pathlib import Path

import pytest

from hwb.context import Context, use
from hwb.errors import HwbError, RepairError, UsageError, ValidationError
from hwb.repair import Bundled, RepairOptions, claimed_against_real, repair_each, repair_wheels
from hwb.repair.linux import arch_of

from ..wheel.elves import elf, macho  # noqa: TID252 - one maker of native files for both rooms
from .tools import HOME, FakeTool, make_wheel

EXTENSION = "demo/x.cpython-312-x86_64-linux-gnu.so"
NEW = elf(symbols=(("dlsym", "libc.so.6", "GLIBC_2.34"), ("puts", "libc.so.6", "GLIBC_2.2.5")))
POSIX = pytest.mark.skipif(sys.platform == "win32", reason="auditwheel's driver forks")
MAC, WINDOWS = "cp312-cp312-macosx_11_0_arm64", "cp312-cp312-win_amd64"


@pytest.fixture
def tool(tmp_path: Path) -> FakeTool:
    return FakeTool(tmp_path / "tool")


def linux(folder: Path, name: str, data: bytes | None = None) -> Path:
    return make_wheel(folder / "in", {EXTENSION: data or elf()}, name=name)


def failed(tmp_path: Path, tool: FakeTool, path: Path, **options: object) -> HwbError:
    found = repair_each([path], tmp_path / "out", RepairOptions(**options), tool)[0]  # type: ignore[arg-type]
    assert isinstance(found, HwbError), found
    assert os.listdir(tmp_path / "out") == []
    return found


@POSIX
def test_a_wheel_of_linux_gets_the_tag_that_auditwheel_proved(tmp_path: Path, tool: FakeTool) -> None:
    given = linux(tmp_path, "good")
    (found,) = repair_wheels([given], tmp_path / "out", tool=tool)
    assert found.path == str(tmp_path / "out" / "good-1.0-cp312-cp312-manylinux_2_28_x86_64.whl")
    assert (found.source, found.platforms) == (str(given), ("manylinux_2_28_x86_64",))
    assert (found.bundled, found.sboms, found.removed_paths, found.changed) == ((), (), (), False)
    assert os.listdir(tmp_path / "out") == [os.path.basename(found.path)]
    assert tool.asked == ["auditwheel"]


@POSIX
def test_what_was_bundled_is_told(tmp_path: Path, tool: FakeTool) -> None:
    (found,) = repair_wheels([linux(tmp_path, "grafted")], tmp_path / "out", tool=tool)
    assert found.bundled == (Bundled("grafted.libs/libz-1.so", sha256(b"library").hexdigest(), 7),)
    assert found.sboms == ("grafted-1.0.dist-info/sboms/auditwheel.cdx.json",)
    assert found.changed


@POSIX
def test_options_become_arguments_and_time_is_the_newest_members(
    tmp_path: Path, tool: FakeTool, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[dict[str, object]] = []
    original = tool.run

    def run(argv, env):  # type: ignore[no-untyped-def]
        seen.append(json.loads(Path(argv[2]).read_text(encoding="utf-8")))
        return original(argv, env)

    monkeypatch.setattr(tool, "run", run)
    options = RepairOptions("manylinux_2_31", exclude=("libcuda*", "libx.so"), strip=True, only_plat=True, jobs=3)
    (found,) = repair_wheels([linux(tmp_path, "good")], tmp_path / "out", options, tool)
    assert found.platforms == ("manylinux_2_31_x86_64",)
    repair_wheels([linux(tmp_path, "good")], tmp_path / "out", RepairOptions("manylinux_2_31_x86_64", epoch=5), tool)
    first, second = (job["wheels"][0] for job in seen)  # type: ignore[index]
    assert first["arguments"] == [
        "--plat", "manylinux_2_31_x86_64", "--exclude", "libcuda*", "--exclude", "libx.so", "--strip", "--only-plat",
    ]  # fmt: skip
    assert (first["epoch"], second["epoch"], first["clean"], seen[0]["jobs"]) == (1704153600, 5, False, 3)
    assert second["arguments"] == ["--plat", "manylinux_2_31_x86_64"]


@POSIX
def test_many_wheels_are_one_process_and_a_failure_leaves_the_others(tmp_path: Path, tool: FakeTool) -> None:
    names = ["good", "toonew", "nothing", "grafted", "killed", "nolibc"]
    options = RepairOptions(jobs=2)
    found = repair_each([linux(tmp_path, name) for name in names], tmp_path / "out", options, tool)
    assert [isinstance(one, HwbError) for one in found] == [False, True, True, False, True, False]
    assert len(tool.printed) == 1
    assert sorted(name.partition("-")[0] for name in os.listdir(tmp_path / "out")) == ["good", "grafted", "nolibc"]
    with pytest.raises(RepairError, match="3 of 6 wheels cannot be repaired") as caught:
        repair_wheels([linux(tmp_path, name) for name in names], tmp_path / "out", options, tool)
    assert "toonew-1.0" in caught.value.detail
    assert "signal 9" in caught.value.detail


@POSIX
@pytest.mark.parametrize(
    ("name", "what", "detail"),
    [
        ("lost", "libfoo.so.1 is not found", "could not be located"),
        ("odd", "auditwheel ended with exit code 1", "argv"),
        ("killed", "auditwheel was ended by signal 9", ""),
        ("nothing", "ended well but made no file", ""),
        ("two", "ended well but made b.whl, two-1.0", ""),
        ("other", "not what it says", "it is called other-2.0"),
        ("python", "not what it says", "it is for cp311-cp311"),
        ("still", "not what it says", "it is for linux_x86_64 still"),
    ],
)
def test_what_a_tool_does_wrong_is_an_error(tmp_path: Path, tool: FakeTool, name: str, what: str, detail: str) -> None:
    error = failed(tmp_path, tool, linux(tmp_path, name))
    assert (error.code, error.exit_code) == ("REPAIR_FAILED", 1)
    assert what in error.what
    assert detail in error.detail
    assert error.remedy


@POSIX
def test_a_tag_that_the_symbols_contradict_is_a_lie(tmp_path: Path, tool: FakeTool) -> None:
    error = failed(tmp_path, tool, linux(tmp_path, "good", NEW))
    assert "not what it says" in error.what
    assert "needs glibc 2.34 (dlsym@GLIBC_2.34), but the wheel claims manylinux_2_28_x86_64" in error.detail
    (found,) = repair_wheels([linux(tmp_path, "good", NEW)], tmp_path / "out", RepairOptions("manylinux_2_34"), tool)
    assert found.platforms == ("manylinux_2_34_x86_64",)


@POSIX
def test_another_policy_than_the_wanted_one_is_a_lie(
    tmp_path: Path, tool: FakeTool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hwb.repair.linux._policy_of", lambda *_: "manylinux_2_39_x86_64")
    assert "not for manylinux_2_31" in failed(tmp_path, tool, linux(tmp_path, "good"), policy="manylinux_2_31").detail


@POSIX
def test_symbols_that_are_too_new_are_named(tmp_path: Path, tool: FakeTool) -> None:
    error = failed(tmp_path, tool, linux(tmp_path, "toonew", NEW), policy="manylinux_2_17")
    assert "for manylinux_2_17: its code needs symbols that are too new" in error.what
    assert error.detail == f"{EXTENSION}: glibc 2.34: dlsym@GLIBC_2.34"
    cxx = elf(symbols=(("_Zx", "libstdc++.so.6", "GLIBCXX_3.4.30"), ("_Zy", "libstdc++.so.6", "GLIBCXX_3.4.9")))
    for policy in ("manylinux_2_17", ""):
        error = failed(tmp_path, tool, linux(tmp_path, "toonew", cxx), policy=policy)
        assert error.detail == f"{EXTENSION}: GLIBCXX_3.4.30: _Zx"
    assert "too-recent" in failed(tmp_path, tool, linux(tmp_path, "toonew")).detail


@POSIX
@pytest.mark.parametrize("rpath", [HOME, f"$ORIGIN:{HOME}"])
def test_absolute_paths_are_removed_and_told(tmp_path: Path, tool: FakeTool, rpath: str) -> None:
    files = {EXTENSION: elf(rpath=rpath), "demo/other.so": elf(), "demo/a.py": ""}
    (found,) = repair_wheels([make_wheel(tmp_path / "in", files)], tmp_path / "out", tool=tool)
    assert found.removed_paths == (HOME,)
    assert found.changed


@POSIX
def test_an_absolute_path_that_stays_is_a_lie(tmp_path: Path, tool: FakeTool) -> None:
    path = make_wheel(tmp_path / "in", {EXTENSION: elf(rpath="/opt/elsewhere")})
    assert f"{EXTENSION} looks for libraries in /opt/elsewhere" in failed(tmp_path, tool, path).detail


@POSIX
def test_an_environment_without_auditwheel_is_told(tmp_path: Path) -> None:
    lacking = FakeTool(tmp_path / "tool", without="auditwheel")
    error = failed(tmp_path, lacking, linux(tmp_path, "good"))
    assert error.what == "auditwheel does not run"
    assert "No module named 'auditwheel'" in error.detail


def test_a_tool_that_does_not_answer_is_told(tmp_path: Path, tool: FakeTool, monkeypatch: pytest.MonkeyPatch) -> None:
    from hwb.proc import Completed

    monkeypatch.setattr(tool, "run", lambda argv, env: Completed(tuple(argv), 125, 0.0, b"no such container"))
    error = failed(tmp_path, tool, linux(tmp_path, "good"))
    assert (error.what, error.detail) == ("auditwheel does not run", "no such container")


def test_a_wheel_for_any_platform_is_nothing_to_repair_unless_it_may_be(tmp_path: Path, tool: FakeTool) -> None:
    pure = make_wheel(tmp_path / "in", {"demo.py": ""}, tags="py3-none-any")
    with pytest.raises(RepairError, match="there is nothing to repair"):
        repair_wheels([pure], tmp_path / "out", tool=tool)
    (found,) = repair_wheels([pure], tmp_path / "out", RepairOptions(pure=True), tool)
    assert Path(found.path).read_bytes() == pure.read_bytes()
    assert (found.platforms, found.changed) == (("any",), False)
    (same,) = repair_wheels([found.path], tmp_path / "out", RepairOptions(pure=True), tool)
    assert same.path == found.path
    assert tool.asked == []


@pytest.mark.parametrize(
    ("file", "error"),
    [
        ("demo-1.0-cp312-cp312-emscripten_3_1_wasm32.whl", "whose wheels nothing repairs"),
        ("demo.whl", "is not the name of a wheel"),
    ],
)
def test_other_files_are_refused(tmp_path: Path, tool: FakeTool, file: str, error: str) -> None:
    path = make_wheel(tmp_path / "in", {"demo.py": ""}).rename(tmp_path / file)
    assert error in failed(tmp_path, tool, path).what


def test_a_damaged_file_is_refused(tmp_path: Path, tool: FakeTool) -> None:
    path = tmp_path / "demo-1.0-cp312-cp312-linux_x86_64.whl"
    path.write_bytes(b"no zip")
    assert isinstance(failed(tmp_path, tool, path), ValidationError)
    with pytest.raises(ValidationError):
        repair_wheels([path, path], tmp_path / "out", tool=tool)


@pytest.mark.parametrize(
    ("tags", "options", "asked", "printed"),
    [
        (MAC, {}, "delocate", ["'--require-archs', 'arm64', '--wheel-dir'", "1704153600 None"]),
        (MAC, {"exclude": ("libx", "liby"), "policy": "11.0", "epoch": 7}, "delocate", ["'--exclude', 'libx', '--exclude', 'liby'", "7 11.0"]),
        ("cp312-cp312-macosx_10_13_universal2", {}, "delocate", ["'--require-archs', 'universal2'"]),
        (WINDOWS, {"exclude": ("a.dll", "b.dll")}, "delvewheel", [f"['repair', '--exclude', 'a.dll{os.pathsep}b.dll', '--wheel-dir'"]),
        (WINDOWS, {}, "delvewheel", ["['repair', '--wheel-dir'"]),
    ],
)  # fmt: skip
def test_macos_and_windows_have_tools_of_their_own(
    tmp_path: Path, tool: FakeTool, tags: str, options: dict[str, object], asked: str, printed: list[str]
) -> None:
    path = make_wheel(tmp_path / "in", {"demo/x.so": macho()}, tags=tags)
    (found,) = repair_wheels([path], tmp_path / "out", RepairOptions(**options), tool)  # type: ignore[arg-type]
    assert (found.path, found.changed) == (str(tmp_path / "out" / path.name), False)
    assert tool.asked == [asked]
    assert [text for text in printed if text not in tool.printed[0]] == []


def test_a_failing_delocate_is_an_error(tmp_path: Path, tool: FakeTool) -> None:
    path = make_wheel(tmp_path / "in", {"demo/x.so": macho()}, name="bad", tags=MAC)
    error = failed(tmp_path, tool, path)
    assert error.what.endswith("delocate ended with exit code 3")
    assert error.detail.endswith("cannot")


@pytest.mark.parametrize(
    ("tags", "options"),
    [
        (MAC, {"strip": True}),
        (MAC, {"only_plat": True}),
        (MAC, {"policy": "manylinux_2_28"}),
        (WINDOWS, {"policy": "manylinux_2_28"}),
        (WINDOWS, {"strip": True}),
        ("cp312-cp312-linux_x86_64", {"policy": "11.0"}),
    ],
)
def test_an_option_that_would_be_ignored_is_refused(
    tmp_path: Path, tool: FakeTool, tags: str, options: dict[str, object]
) -> None:
    error = failed(tmp_path, tool, make_wheel(tmp_path / "in", {}, tags=tags), **options)
    assert isinstance(error, UsageError)
    assert f"has no {next(iter(options))}" in error.what
    assert tool.asked == []


@pytest.mark.parametrize(
    ("name", "detail"),
    [
        ("bad", "x.so: not in the stable ABI: _PyX; not in that of Python 3.9: PyY (since 3.10)"),
        ("silent", "it broke"),
        ("good", ""),
    ],
)
def test_wheels_for_the_stable_abi_are_audited(tmp_path: Path, tool: FakeTool, name: str, detail: str) -> None:
    tags = "cp39-abi3-macosx_11_0_arm64" if name != "bad" else "cp39-abi3-win_amd64"
    path = make_wheel(tmp_path / "in", {"demo/x.so": macho()}, name=name if name != "bad" else "isbad", tags=tags)
    if detail:
        error = failed(tmp_path, tool, path, audit=True)
        assert error.what.endswith("uses more than the stable ABI that it claims")
        assert error.detail == detail
    else:
        assert repair_wheels([path], tmp_path / "out", RepairOptions(audit=True), tool)
    assert tool.asked[-1] == "abi3audit"


def test_other_wheels_are_not_audited(tmp_path: Path, tool: FakeTool) -> None:
    path = make_wheel(tmp_path / "in", {"demo/x.so": macho()}, tags=MAC)
    repair_wheels([path], tmp_path / "out", RepairOptions(audit=True), tool)
    assert tool.asked == ["delocate"]


def test_architectures_of_tags() -> None:
    tags = (
        "linux_x86_64",
        "manylinux1_i686",
        "manylinux2014_ppc64le",
        "manylinux_2_28_aarch64",
        "musllinux_1_2_armv7l",
    )
    assert [arch_of(tag) for tag in tags] == ["x86_64", "i686", "ppc64le", "aarch64", "armv7l"]


def test_the_comparison_is_public() -> None:
    import hwb.repair

    assert claimed_against_real is hwb.repair.claimed_against_real
    assert set(hwb.repair.__all__) == set(hwb.repair._HOME)
    with pytest.raises(AttributeError):
        hwb.repair.nothing  # noqa: B018


class _Log:
    def __init__(self) -> None:
        self.text = ""

    def fileno(self) -> int:
        raise OSError

    def write(self, text: str) -> None:
        self.text += text


@POSIX
@pytest.mark.parametrize("name", ["good", "toonew"])
def test_what_the_tool_printed_is_in_the_log(tmp_path: Path, tool: FakeTool, name: str) -> None:
    log = _Log()
    with use(Context(log=log)):
        repair_each([linux(tmp_path, name)], tmp_path / "out", tool=tool)
    assert "argv" in log.text
