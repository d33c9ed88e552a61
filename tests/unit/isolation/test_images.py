"""Is an image chosen the same way every time, fetched only when it must be, and asked for its Pythons once?"""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

import pytest

from hwb.context import use
from hwb.errors import ConfigError, ContainerError, IsolationError, OfflineError
from hwb.isolation import images
from hwb.isolation.images import (
    available_images,
    build_image,
    ensure_image,
    oci_platform,
    official_images,
    python_paths,
    pythons_of,
    select_image,
)

from .engines import FakeEngine, inspected
from .test_foreign import answer

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the fake engine is a script")

KEYS = {
    *(f"{policy}_{arch}" for policy in ("manylinux2014", "manylinux_2_28", "manylinux_2_34", "musllinux_1_2")
      for arch in ("x86_64", "aarch64", "i686", "ppc64le", "s390x")),
    *("musllinux_1_1_x86_64", "musllinux_1_1_aarch64", "musllinux_1_2_armv7l", "musllinux_1_2_riscv64"),
    *("manylinux_2_31_armv7l", "manylinux_2_35_armv7l", "manylinux_2_39_riscv64"),
}  # fmt: skip


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeEngine:
    monkeypatch.setenv("HWB_CACHE_DIR", str(tmp_path / "cache"))
    engine = FakeEngine(tmp_path / "bin")
    engine.answer("^image inspect", inspected())
    return engine


def test_no_image_disappears_by_accident() -> None:
    assert set(official_images()) >= KEYS
    for key, reference in official_images().items():
        assert reference.startswith(f"quay.io/pypa/{key}")
        assert "@sha256:" in reference or key.startswith("musllinux_1_1")


def test_no_python_disappears_by_accident() -> None:
    paths = python_paths()
    wanted = {f"3.{minor}": f"/opt/python/cp3{minor}-cp3{minor}/bin/python" for minor in range(9, 16)}
    assert wanted.items() <= paths.items()
    assert paths["3.14t"] == "/opt/python/cp314-cp314t/bin/python"
    assert not any("pypy" in path for path in paths.values())


def test_images_are_chosen_by_policy_and_architecture() -> None:
    table = official_images()
    assert select_image("auto", "", "x86_64") == table["manylinux_2_28_x86_64"]
    assert select_image("manylinux", "2014", "amd64") == table["manylinux2014_x86_64"]
    assert select_image("manylinux", "manylinux_2_34", "arm64") == table["manylinux_2_34_aarch64"]
    assert select_image("musllinux", "1_2", "x86_64") == table["musllinux_1_2_x86_64"]
    assert select_image("musllinux", "", "aarch64") == table["musllinux_1_2_aarch64"]
    assert select_image("manylinux", "2_35", "x86_64") == table["manylinux_2_34_x86_64"], "the newest that is not newer"
    assert select_image("manylinux", "2_35", "armv7l") == table["manylinux_2_35_armv7l"]


@pytest.mark.parametrize(
    ("family", "policy", "arch"),
    [
        ("auto", "", "sparc"),
        ("manylinux", "2_99", "x86_64"),
        ("musllinux", "9_9", "x86_64"),
        ("manylinux", "no", "x86_64"),
    ],
)
def test_without_an_image_those_that_exist_are_listed(family: str, policy: str, arch: str) -> None:
    with pytest.raises(IsolationError, match=f"_{arch}") as caught:
        select_image(family, policy, arch)
    assert "manylinux2014_aarch64" in caught.value.remedy


def test_old_ones_warn(listener: Any) -> None:
    assert select_image("musllinux", "1_1", "x86_64") == "quay.io/pypa/musllinux_1_1_x86_64"
    [message] = listener.of("message")
    assert "no updates" in message["text"]


def test_platform_names() -> None:
    assert oci_platform("aarch64") == "linux/arm64"
    assert oci_platform("armv7l") == "linux/arm/v7"
    assert oci_platform("s390x") == "linux/s390x"


def test_an_image_that_is_here_is_not_fetched(fake: FakeEngine) -> None:
    image = ensure_image(fake.engine, "mine:latest")
    assert (image.reference, image.id, image.arch) == ("mine:latest", "sha256:" + "1" * 64, "x86_64")
    assert image.policy == "manylinux_2_28_x86_64"
    assert image.environ["PATH"] == "/usr/local/bin:/usr/bin:/bin"
    assert image.launcher == ()
    assert fake.calls == [["image", "inspect", "--format", "{{json .}}", "mine:latest"]]


def test_ids_and_architectures_of_all_engines(fake: FakeEngine) -> None:
    fake.answer("^image inspect", inspected(Id="22", Architecture="386", Config={"Env": None}))
    image = ensure_image(fake.engine, "x")
    assert (image.id, image.arch, image.policy, image.launcher) == ("sha256:22", "i686", "", ("linux32",))
    fake.answer("^image inspect", f"[{inspected(Id='33')}]")
    assert ensure_image(fake.engine, "x").id == "sha256:33", "podman's spelling"
    for told, arch in (
        (("arm", "v7"), "armv7l"),
        (("arm64", "v8"), "aarch64"),
        (("arm", ""), "armv7l"),
        (("s390x", ""), "s390x"),
    ):
        fake.answer("^image inspect", inspected(Architecture=told[0], Variant=told[1], Config=None))
        assert ensure_image(fake.engine, "x").arch == arch


def test_one_with_a_digest_is_that_content(fake: FakeEngine) -> None:
    ensure_image(fake.engine, "host:5000/pypa/x:2026.10@sha256:abc")
    assert fake.calls[0][-1] == "host:5000/pypa/x@sha256:abc"


def absent(fake: FakeEngine) -> None:
    fake.answer("^image inspect", code=1, err="Error: No such image: x")


def test_one_that_is_not_here_is_fetched(fake: FakeEngine, listener: Any) -> None:
    absent(fake)
    with pytest.raises(ContainerError, match="was fetched and is not there"):
        ensure_image(fake.engine, "x:1", platform="linux/arm64")
    assert fake.of("pull") == [["pull", "--quiet", "--platform=linux/arm64", "x:1"]]
    assert "fetching the image x:1" in listener.of("message")[0]["text"]
    fake.answer("^pull", code=1, err="manifest unknown")
    with pytest.raises(ContainerError, match="there is no such image"):
        ensure_image(fake.engine, "x:1")


def test_what_was_fetched_is_what_was_asked_for(fake: FakeEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    here = ensure_image(fake.engine, "x:1@sha256:2")
    answers = iter([None, here])
    monkeypatch.setattr(images, "_inspected", lambda *_: next(answers))
    assert ensure_image(fake.engine, "x:1@sha256:2") is here
    assert fake.of("pull") == [["pull", "--quiet", "x@sha256:2"]]


def test_an_image_for_another_processor(fake: FakeEngine, listener: Any) -> None:
    fake.answer("^image inspect", inspected(Architecture="arm64", Variant="v8"))
    for platform in ("", "linux/arm64", "linux/arm64/v8"):
        assert ensure_image(fake.engine, "x", platform=platform).arch == "aarch64"
    assert fake.of("pull") == []
    with pytest.raises(ContainerError, match="x is for aarch64, and its registry has none for linux/arm/v7"):
        ensure_image(fake.engine, "x", platform="linux/arm/v7")
    assert fake.of("pull") == [["pull", "--quiet", "--platform=linux/arm/v7", "x"]]
    listener.context.offline = True
    with pytest.raises(OfflineError, match="the image x for linux/s390x is not on this machine"):
        ensure_image(fake.engine, "x", platform="linux/s390x")
    fake.answer("^image inspect", inspected(Architecture="arm", Variant="v7"))
    assert ensure_image(fake.engine, "x", platform="linux/arm/v7").arch == "armv7l"


@pytest.mark.parametrize(("told", "platform"), [("amd64", "linux/386"), ("386", "linux/amd64"), ("", "linux/s390x")])
def test_what_an_image_calls_itself_may_be_vague(fake: FakeEngine, told: str, platform: str) -> None:
    fake.answer("^image inspect", inspected(Architecture=told))
    assert ensure_image(fake.engine, "x", platform=platform)
    assert fake.of("pull") == []


def test_offline_nothing_is_fetched(fake: FakeEngine, listener: Any) -> None:
    listener.context.offline = True
    assert ensure_image(fake.engine, "x").reference == "x"
    absent(fake)
    with pytest.raises(OfflineError, match="the image x is not on this machine"):
        ensure_image(fake.engine, "x")
    assert fake.of("pull") == []


def test_an_image_for_another_system(fake: FakeEngine) -> None:
    fake.answer("^image inspect", inspected(Os="windows"))
    with pytest.raises(ContainerError, match="for windows"):
        ensure_image(fake.engine, "x")


def test_a_dockerfile_is_built_under_the_name_of_its_content(fake: FakeEngine, tmp_path: Path) -> None:
    dockerfile = tmp_path / "a b" / "Dockerfile.build"
    dockerfile.parent.mkdir()
    dockerfile.write_text("FROM one")
    image = build_image(fake.engine, dockerfile, platform="linux/arm64")
    [build] = fake.of("build")
    assert build[:4] == ["build", "--quiet", "--file", str(dockerfile)]
    assert "--platform=linux/arm64" in build
    assert build[-1] == str(dockerfile.parent)
    assert image.reference.startswith("hwb-dockerfile:")
    dockerfile.write_text("FROM two")
    assert build_image(fake.engine, dockerfile).reference != image.reference
    fake.answer("^build", code=1, err="unknown instruction")
    with pytest.raises(ContainerError, match="building the image") as caught:
        build_image(fake.engine, dockerfile)
    assert "unknown instruction" in caught.value.detail


def test_dockerfiles_offline_and_missing(fake: FakeEngine, tmp_path: Path, listener: Any) -> None:
    with pytest.raises(ConfigError, match="no Dockerfile"):
        build_image(fake.engine, tmp_path / "gone")
    (tmp_path / "Dockerfile").write_text("FROM one")
    listener.context.offline = True
    assert build_image(fake.engine, tmp_path / "Dockerfile").id
    assert fake.of("build") == []


def test_images_on_this_machine(fake: FakeEngine) -> None:
    fake.answer("^images", "a:1\nb:<none>\n<none>:<none>\nc:2\n")
    assert list(available_images(fake.engine)) == ["a:1", "c:2"]


def test_pythons_are_asked_once(fake: FakeEngine) -> None:
    fake.answer("^run", answer() + answer(version="3.13.0", asked="/opt/python/cp313-cp313/bin/python"))
    image = ensure_image(fake.engine, "x")
    first = pythons_of(fake.engine, image)
    assert [python.spoken for python in first] == ["3.12", "3.13"]
    assert pythons_of(fake.engine, image) == first
    [run] = fake.of("run")
    assert {"--network=none", "--read-only", "--cap-drop=ALL", "--rm"} <= set(run)
    assert run[run.index("--entrypoint=/bin/sh") + 1] == image.id


def test_a_record_of_another_shape_counts_as_none(fake: FakeEngine, tmp_path: Path) -> None:
    fake.answer("^run", answer())
    image = ensure_image(fake.engine, "x")
    pythons_of(fake.engine, image)
    [record] = (tmp_path / "cache" / "images").iterdir()
    for value in ({}, [{"path": 1}], "text"):
        record.write_text(json.dumps(value))
        assert pythons_of(fake.engine, image)
    assert len(fake.of("run")) == 4


def test_a_32_bit_image_is_asked_as_one(fake: FakeEngine) -> None:
    fake.answer("^image inspect", inspected(Architecture="386"))
    fake.answer("^run", answer(platform="linux-i686"))
    pythons_of(fake.engine, ensure_image(fake.engine, "x"))
    [run] = fake.of("run")
    assert run[run.index("--entrypoint=linux32") + 2 :][:2] == ["/bin/sh", "-c"]


def test_an_image_without_python(fake: FakeEngine, listener: Any) -> None:
    fake.answer("^run", "\n")
    with use(listener.context), pytest.raises(ContainerError, match="has no Python"):
        pythons_of(fake.engine, ensure_image(fake.engine, "x"))
