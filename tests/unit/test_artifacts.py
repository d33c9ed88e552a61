"""Does the ledger survive crashes, and does a recipe see the artifacts that count?"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwb.artifacts import Artifact, ArtifactView, Kind, Ledger, Verdict, complete_manifests, write_manifest
from hwb.errors import HwbError


def make(name: str, sha256: str = "", producer: str = "build", folder: str = "/dist") -> Artifact:
    return Artifact(f"{folder}/{name}", name, Kind.of_name(name), sha256 or name, 3, producer, f"{producer}-3.12")


PURE = make("demo-1.0-py3-none-any.whl")
SDIST = make("demo-1.0.tar.gz")


def test_of_file(tmp_path: Path) -> None:
    path = tmp_path / "demo-1.0.tar.gz"
    path.write_bytes(b"abc")
    artifact = Artifact.of_file(path, "build", "build", parent="p")
    assert artifact == Artifact(
        str(path),
        "demo-1.0.tar.gz",
        Kind.SDIST,
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
        3,
        "build",
        "build",
        "p",
    )


def test_of_file_names_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(HwbError, match=r"gone\.whl cannot be read: No such file"):
        Artifact.of_file(tmp_path / "gone.whl", "build", "build")


@pytest.mark.parametrize(
    ("name", "kind"), [("a-1-py3-none-any.whl", Kind.WHEEL), ("a-1.tar.gz", Kind.SDIST), ("a.sbom.json", Kind.OTHER)]
)
def test_kind(name: str, kind: Kind) -> None:
    assert Kind.of_name(name) is kind


def test_an_artifact_is_a_path() -> None:
    assert Path(PURE) == Path(PURE.path)


def test_json_round_trip_ignores_what_a_newer_hwb_adds() -> None:
    assert Artifact.from_json({**PURE.to_json(), "target": "any"}) == PURE
    verdict = Verdict("s", "n", "checked", True, "")
    assert Verdict.from_json({**verdict.to_json(), "more": 1}) == verdict


def fill(ledger: Ledger) -> None:
    ledger.add(SDIST)
    ledger.add(make("demo-1.0-cp312-cp312-linux_x86_64.whl", "raw"))
    ledger.add(make("demo-1.0-cp312-cp312-manylinux_2_28_x86_64.whl", "repaired", "repair"))
    ledger.replaces("raw", "repaired")
    ledger.replaces("same", "same")
    ledger.add_verdict(Verdict("repaired", "n", "checked", True, "fine"))


def test_what_is_written_is_read(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    ledger = Ledger(path)
    fill(ledger)
    for again in (Ledger.read(path), Ledger(path)):
        assert again.artifacts() == ledger.artifacts()
        assert again.leaves() == ledger.leaves()
        assert again.verdicts() == ledger.verdicts()
    assert [artifact.sha256 for artifact in ledger.leaves()] == [SDIST.sha256, "repaired"]
    assert [json.loads(line)["record"] for line in path.read_text().splitlines()] == [
        "artifact",
        "artifact",
        "artifact",
        "replaces",
        "verdict",
    ]


def test_unknown_records_are_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    path.write_text('{"record": "of the future"}\n')
    assert Ledger.read(path).artifacts() == ()


def test_memory_only_writes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    fill(Ledger(None))
    assert list(tmp_path.iterdir()) == []


@given(st.integers(min_value=0))
def test_a_torn_last_line_costs_that_line_only(cut: int) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "ledger.jsonl")
        fill(Ledger(path))
        data = path.read_bytes()
        whole = data[: cut % (len(data) + 1)]
        path.write_bytes(whole)
        expected = whole.count(b"\n")
        read = Ledger.read(path)
        assert path.read_bytes() == whole, "reading must not write"
        assert len(read.artifacts()) + len(read.verdicts()) == min(expected, 3) + max(0, expected - 4)
        resumed = Ledger(path)
        resumed.add(PURE)
        assert Ledger.read(path).artifacts() == (*read.artifacts(), PURE)


def test_a_broken_line_in_the_middle_is_an_error_with_its_place(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    path.write_text('{"record": "verdict"}\n')
    with pytest.raises(HwbError) as caught:
        Ledger.read(path)
    assert caught.value.where == f"{path}:1"


def test_threads_do_not_mix_lines(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    ledger = Ledger(path)
    threads = [
        threading.Thread(target=lambda n=n: [ledger.add(make(f"{n}-{i}.whl")) for i in range(20)]) for n in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    names = {artifact.name for artifact in Ledger.read(path).artifacts()}
    assert names == {f"{n}-{i}.whl" for n in range(4) for i in range(20)}


def test_a_later_build_at_the_same_path_is_the_one_that_counts() -> None:
    ledger = Ledger(None)
    ledger.add(make("demo-1.0.tar.gz", "first"))
    ledger.add(make("demo-1.0.tar.gz", "second"))
    assert [artifact.sha256 for artifact in ledger.leaves()] == ["second"]
    assert len(ledger.artifacts()) == 2


# --- the view --------------------------------------------------------------------------------------------------------


def view(*artifacts: Artifact, python: str = "3.12") -> ArtifactView:
    ledger = Ledger(None)
    for artifact in artifacts:
        ledger.add(artifact)
    return ArtifactView(ledger, python)


def test_view_of_a_usual_build() -> None:
    seen = view(SDIST, PURE)
    assert (seen.wheel, seen.sdist, seen.wheels, seen.sdists) == (PURE, SDIST, (PURE,), (SDIST,))
    assert (list(seen), len(seen)) == ([SDIST, PURE], 2)
    assert view(PURE, python="").wheel == PURE


def test_view_by_producer() -> None:
    other = make("other-1.0-py3-none-any.whl", producer="vendor")
    seen = view(PURE, other)
    assert seen["build"].wheel == PURE
    assert seen["vendor"].wheel == other
    assert list(seen["nobody"]) == []


def test_wheel_that_fits_the_interpreter() -> None:
    import sysconfig

    platform = sysconfig.get_platform().replace("-", "_").replace(".", "_")
    wheels = [make(f"demo-1.0-{tag}-{platform}.whl") for tag in ("cp311-cp311", "cp312-cp312", "cp313-cp313t")]
    assert view(*wheels, python="3.11").wheel == wheels[0]
    assert view(*wheels, python="3.12").wheel == wheels[1]
    assert view(*wheels, python="3.13t").wheel == wheels[2]
    with pytest.raises(HwbError, match=r"no artifact is a wheel for Python 3\.13") as caught:
        _ = view(*wheels, python="3.13").wheel
    assert "cp311-cp311" in caught.value.detail


def test_the_same_bytes_at_two_places_are_one_wheel() -> None:
    assert view(PURE, make(PURE.name, PURE.sha256, folder="/elsewhere")).wheel.sha256 == PURE.sha256


def test_two_wheels_are_listed() -> None:
    other = make("other-1.0-py3-none-any.whl")
    with pytest.raises(HwbError, match=r"2 artifacts are a wheel for Python 3\.12") as caught:
        _ = view(PURE, other).wheel
    assert caught.value.detail.splitlines() == [
        f"{PURE.name}  (made by build-3.12)",
        f"{other.name}  (made by build-3.12)",
    ]


def test_nothing_there_says_what_to_require() -> None:
    with pytest.raises(HwbError, match=r"^no artifact is a sdist made by 'build'$") as caught:
        _ = view(PURE)["build"].sdist
    assert 'requires=["build"]' in caught.value.remedy


def test_a_name_that_is_no_wheel_name_fits_nothing() -> None:
    with pytest.raises(HwbError, match="no artifact is a wheel"):
        _ = view(make("nonsense.whl")).wheel


# --- the manifest ----------------------------------------------------------------------------------------------------


def test_manifest_is_a_projection_of_the_ledger(tmp_path: Path) -> None:
    ledger = Ledger(None)
    for name in ("demo-1.0.tar.gz", "demo-1.0-py3-none-any.whl"):
        (tmp_path / name).write_bytes(name.encode())
        ledger.add(Artifact.of_file(tmp_path / name, "build", "build"))
    ledger.add(make("elsewhere-1.0.tar.gz"))
    wheel = ledger.artifacts()[1]
    ledger.add_verdict(Verdict(wheel.sha256, wheel.name, "checked", False, "first"))
    ledger.add_verdict(Verdict(wheel.sha256, wheel.name, "checked", True, "then"))
    write_manifest(tmp_path, ledger)
    manifest = json.loads((tmp_path / ".hwb" / "manifest.json").read_text())
    assert manifest["schema"] == "hwb.manifest/1"
    assert [row["name"] for row in manifest["artifacts"]] == ["demo-1.0-py3-none-any.whl", "demo-1.0.tar.gz"]
    assert manifest["artifacts"][0]["verdicts"] == {"checked": {"ok": True, "detail": "then"}}
    assert "path" not in manifest["artifacts"][0]
    sums = tmp_path / ".hwb" / "SHA256SUMS"
    assert sums.read_text().splitlines()[0] == f"{wheel.sha256}  {wheel.name}"
    if sys.platform == "linux":
        subprocess.run(["sha256sum", "-c", "--quiet", sums], cwd=tmp_path, check=True)


def test_no_manifest_without_artifacts(tmp_path: Path) -> None:
    write_manifest(tmp_path / "dist", Ledger(None))
    assert not (tmp_path / "dist").exists()


def on_disk(folder: Path, name: str, text: str) -> Artifact:
    (folder / name).write_text(text)
    return Artifact.of_file(folder / name, "build", "build")


def recorded(*artifacts: Artifact) -> Ledger:
    ledger = Ledger(None)
    for artifact in artifacts:
        ledger.add(artifact)
    return ledger


def rows(folder: Path) -> dict[str, dict[str, object]]:
    data = json.loads((folder / ".hwb" / "manifest.json").read_text())
    assert data["schema"] == "hwb.manifest/1"
    names = [line.partition("  ")[2] for line in (folder / ".hwb" / "SHA256SUMS").read_text().splitlines()]
    assert names == sorted(names) == [row["name"] for row in data["artifacts"]]
    return {row["name"]: row for row in data["artifacts"]}


def test_an_earlier_manifest_is_added_to(tmp_path: Path) -> None:
    first = on_disk(tmp_path, "a-1.tar.gz", "1")
    write_manifest(tmp_path, recorded(first), {"commit": "abc", "isolated": True})
    write_manifest(tmp_path, recorded(on_disk(tmp_path, "b-1.tar.gz", "2")), {"commit": "def"})
    found = rows(tmp_path)
    assert [(name, row["commit"], row.get("isolated")) for name, row in found.items()] == [
        ("a-1.tar.gz", "abc", True),
        ("b-1.tar.gz", "def", None),
    ]
    assert found["a-1.tar.gz"]["sha256"] == first.sha256


def test_a_manifest_says_nothing_of_files_that_changed_or_went(tmp_path: Path) -> None:
    names = ("a-1.tar.gz", "b-1.tar.gz", "c-1.tar.gz")
    write_manifest(tmp_path, recorded(*(on_disk(tmp_path, name, name) for name in names)))
    (tmp_path / names[0]).write_text("changed by hand")
    (tmp_path / names[1]).unlink()
    write_manifest(tmp_path, recorded(on_disk(tmp_path, "d-1.tar.gz", "4")))
    assert list(rows(tmp_path)) == ["c-1.tar.gz", "d-1.tar.gz"]


def test_a_rebuilt_file_has_one_row(tmp_path: Path) -> None:
    write_manifest(tmp_path, recorded(on_disk(tmp_path, "a-1.tar.gz", "1")), {"commit": "old", "extra": 1})
    again = on_disk(tmp_path, "a-1.tar.gz", "2")
    write_manifest(tmp_path, recorded(again), {"commit": "new"})
    (row,) = rows(tmp_path).values()
    assert (row["sha256"], row["commit"], "extra" in row) == (again.sha256, "new", False)


@pytest.mark.parametrize(
    "text",
    ["", "garbage", "[]", "{}", '{"artifacts": 1}', '{"artifacts": [1]}', '{"artifacts": [{}]}',
     '{"artifacts": [{"name": "../x", "sha256": ""}]}', '{"artifacts": [{"name": null}]}', "\udcff"],
)  # fmt: skip
def test_a_manifest_that_something_else_wrote_is_replaced(tmp_path: Path, text: str) -> None:
    (tmp_path / ".hwb").mkdir()
    (tmp_path / ".hwb" / "manifest.json").write_bytes(text.encode(errors="surrogateescape"))
    write_manifest(tmp_path, recorded(on_disk(tmp_path, "a-1.tar.gz", "1")))
    assert list(rows(tmp_path)) == ["a-1.tar.gz"]


def test_manifests_of_two_at_once_hold_both(tmp_path: Path) -> None:
    made = [on_disk(tmp_path, f"p{number}-1.tar.gz", str(number)) for number in range(8)]
    threads = [threading.Thread(target=write_manifest, args=(tmp_path, recorded(one))) for one in made]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert list(rows(tmp_path)) == [f"p{number}-1.tar.gz" for number in range(8)]


# --- what was not made -----------------------------------------------------------------------------------------------


def missing_of(folder: Path) -> list[dict[str, str]]:
    manifest = json.loads((folder / ".hwb" / "manifest.json").read_text())
    return manifest.get("missing", [])


def test_what_was_not_made_is_recorded_until_it_is(tmp_path: Path) -> None:
    wheel = tmp_path / "demo-1.0-cp312-cp312-win_amd64.whl"
    wheel.write_bytes(b"w")
    ledger = Ledger(tmp_path / "ledger.jsonl")
    assert ledger.missing() is None
    ledger.set_missing([("cp313-win_amd64", "use windows"), ("cp314-win_amd64", "use windows")])
    assert Ledger.read(tmp_path / "ledger.jsonl").missing() == ledger.missing()
    ledger.add(Artifact.of_file(wheel, "matrix", "matrix(cp312-win_amd64)"))
    write_manifest(tmp_path, ledger)
    assert [one["identifier"] for one in missing_of(tmp_path)] == ["cp313-win_amd64", "cp314-win_amd64"]
    assert missing_of(tmp_path)[0]["reason"] == "use windows"

    later, other = Ledger(None), tmp_path / "demo-1.0-cp313-cp313-win_amd64.whl"
    other.write_bytes(b"o")
    later.add(Artifact.of_file(other, "matrix", "matrix(cp313-win_amd64)"))
    write_manifest(tmp_path, later)
    assert [one["identifier"] for one in missing_of(tmp_path)] == ["cp314-win_amd64"], "that one run made one of them"

    whole = Ledger(None)
    whole.set_missing([])
    whole.add(Artifact.of_file(wheel, "matrix", "matrix(cp312-win_amd64)"))
    write_manifest(tmp_path, whole)
    assert missing_of(tmp_path) == []


def test_a_wheel_that_was_delivered_as_it_was_counts_once() -> None:
    ledger = Ledger(None)
    ledger.add(make("demo-1.0-py3-none-any.whl", "same", folder="/run/built"))
    ledger.add(make("demo-1.0-py3-none-any.whl", "same", "matrix"))
    ledger.add(make("other-1.0-py3-none-any.whl", "same"))
    assert [artifact.path for artifact in ledger.leaves()] == [
        "/dist/demo-1.0-py3-none-any.whl",
        "/dist/other-1.0-py3-none-any.whl",
    ]


def test_installable_wheels_are_ordered_as_an_installer_would() -> None:
    ledger = Ledger(None)
    for tag in ("py3-none-any", "cp313-none-any", "cp312-none-any", "py313-none-any", "cp313-cp313-elsewhere"):
        ledger.add(make(f"demo-1.0-{tag}.whl"))
    names = [wheel.name.split("-")[2] for wheel in ArtifactView(ledger, "3.13").installable]
    assert names == ["cp313", "py313", "py3"]
    assert ArtifactView(ledger, "2.7").installable == ()


@pytest.mark.parametrize(
    ("python", "expected"),
    [
        ("3.13", ["cp313", "none"]),
        ("3.13t", ["cp313t", "none"]),
        ("3.13d", ["cp313d", "cp313", "none"]),
        ("pypy3.11", ["pypy311_pp73", "none"]),
        ("graalpy3.12", ["graalpy312_250_native", "none"]),
        ("pypy3.10", ["none"]),
    ],
)
def test_a_wheel_is_for_one_kind_of_python(python: str, expected: list[str]) -> None:
    from packaging.tags import platform_tags

    ledger, platform = Ledger(None), next(iter(platform_tags()))
    for tag in ("cp313-cp313", "cp313-cp313t", "cp313-cp313d", "pp311-pypy311_pp73", "gp312-graalpy312_250_native"):
        ledger.add(make(f"demo-1.0-{tag}-{platform}.whl"))
    ledger.add(make("demo-1.0-py3-none-any.whl"))
    assert [wheel.name.split("-")[3] for wheel in ArtifactView(ledger, python).installable] == expected


def test_what_was_found_out_after_the_build_is_added(tmp_path: Path) -> None:
    wheel = tmp_path / "demo-1.0-py3-none-any.whl"
    wheel.write_bytes(b"w")
    built, run = Artifact.of_file(wheel, "build", "build"), Ledger(None)
    run.add(built)
    write_manifest(tmp_path, run, {"isolated": False})
    run.add(make("demo-1.0.tar.gz", folder=str(tmp_path / "elsewhere")))
    before = (tmp_path / ".hwb" / "manifest.json").read_bytes()
    complete_manifests(run)
    assert (tmp_path / ".hwb" / "manifest.json").read_bytes() == before
    run.add_verdict(Verdict(built.sha256, built.name, "tested", True, ""))
    complete_manifests(run)
    (row,) = json.loads((tmp_path / ".hwb" / "manifest.json").read_text())["artifacts"]
    assert (row["isolated"], row["verdicts"]) == (False, {"tested": {"ok": True, "detail": ""}})
    assert not (tmp_path / "elsewhere").exists()


# --- what is done ----------------------------------------------------------------------------------------------------

LINES = st.lists(st.tuples(st.text(min_size=1), st.text(), st.sampled_from(["success", "skipped"]), st.text()))


@given(LINES, st.binary(max_size=20))
def test_what_is_done_can_be_read_back_even_behind_a_torn_line(
    tmp_path_factory: pytest.TempPathFactory, done: list[tuple[str, str, str, str]], torn: bytes
) -> None:
    path = tmp_path_factory.mktemp("ledger") / "ledger.jsonl"
    ledger = Ledger(path)
    for one in done:
        ledger.add_done(*one)
    expected = {session: {"inputs": i, "status": s, "run": r} for session, i, s, r in done}
    assert ledger.done() == expected
    with path.open("ab") as file:
        file.write(torn.replace(b"\n", b""))
    assert Ledger.read(path).done() == expected
    assert Ledger.of(Ledger.records(path)).done() == expected


def test_what_a_session_made() -> None:
    ledger = Ledger(None)
    first, second = make("a-1.0.tar.gz", "first"), make("a-1.0.tar.gz", "second")
    ledger.add(first)
    ledger.add(second)
    assert ledger.made_by(first.session) == (first, second)
    assert ledger.made_by("nobody") == ()


def test_another_ledger_is_taken_over(tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    old = Ledger(one)
    old.add(SDIST)
    old.replaces("a", "b")
    old.add_done("build", "inputs", "success", "run")
    new = Ledger(other)
    new.take_over([])
    assert not other.exists()
    new.take_over(Ledger.records(one))
    assert other.read_bytes() == one.read_bytes()
    assert (new.artifacts(), new.done()) == ((SDIST,), old.done())
