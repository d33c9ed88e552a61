"""Is every way of writing a source understood as pip does, and everything else refused?"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwb.errors import SourceError
from hwb.fetch.forms import SourceSpec, SourceType, parse_source

if TYPE_CHECKING:
    from pathlib import Path

HTTPS, SSH = SourceType.GIT_HTTPS, SourceType.GIT_SSH
SHA = "ab" * 32

REMOTE = {
    "git+https://h/r.git": SourceSpec(HTTPS, "https://h/r.git"),
    "git+https://h/r.git@v1": SourceSpec(HTTPS, "https://h/r.git", "v1"),
    "git+https://h/r@feature/x": SourceSpec(HTTPS, "https://h/r", "feature/x"),
    "git+https://h/r.git@pkg@1.0": SourceSpec(HTTPS, "https://h/r.git", "pkg@1.0"),
    "git+https://u:p@h:8443/r.git/@v1": SourceSpec(HTTPS, "https://u:p@h:8443/r.git/", "v1"),
    "git+http://h/r": SourceSpec(HTTPS, "http://h/r"),
    "git+git://h/r": SourceSpec(HTTPS, "git://h/r"),
    "git://h/r": SourceSpec(HTTPS, "git://h/r"),
    "https://h/o/r.git": SourceSpec(HTTPS, "https://h/o/r.git"),
    "https://h/o/r.git@v1#subdirectory=a/b": SourceSpec(HTTPS, "https://h/o/r.git", "v1", "a/b"),
    "https://h/o/r": SourceSpec(HTTPS, "https://h/o/r", probe=True),
    "https://h/o/r@v1": SourceSpec(HTTPS, "https://h/o/r", "v1", probe=True),
    f"https://h/download#sha256={SHA.upper()}": SourceSpec(HTTPS, "https://h/download", sha256=SHA, probe=True),
    "https://github.com/o/r": SourceSpec(HTTPS, "https://github.com/o/r"),
    "https://www.github.com/o/r@v1": SourceSpec(HTTPS, "https://www.github.com/o/r", "v1"),
    "github.com/o/r": SourceSpec(HTTPS, "https://github.com/o/r"),
    "GitHub.com/o/r": SourceSpec(HTTPS, "https://GitHub.com/o/r"),
    "www.github.com/o/r": SourceSpec(HTTPS, "https://www.github.com/o/r"),
    "github.com/o/r@pkg@1.0#egg=pkg[extra]&subdirectory=p": SourceSpec(
        HTTPS, "https://github.com/o/r", "pkg@1.0", "p", name="pkg"
    ),
    "gitlab.com/group/sub/r@v1": SourceSpec(HTTPS, "https://gitlab.com/group/sub/r", "v1"),
    "bitbucket.org/o/r": SourceSpec(HTTPS, "https://bitbucket.org/o/r"),
    "codeberg.org/o/r": SourceSpec(HTTPS, "https://codeberg.org/o/r"),
    "git.sr.ht/~user/r@v1": SourceSpec(HTTPS, "https://git.sr.ht/~user/r", "v1"),
    "git@github.com:o/r": SourceSpec(SSH, "git@github.com:o/r"),
    "git@github.com:o/r.git@v1": SourceSpec(SSH, "git@github.com:o/r.git", "v1"),
    "git+git@h:o/r.git@v1#subdirectory=x": SourceSpec(SSH, "git@h:o/r.git", "v1", "x"),
    "me@host.example:/srv/r.git": SourceSpec(SSH, "me@host.example:/srv/r.git"),
    "git+ssh://git@h/o/r.git@v1": SourceSpec(SSH, "ssh://git@h/o/r.git", "v1"),
    "ssh://git@h:22/o/r": SourceSpec(SSH, "ssh://git@h:22/o/r"),
    "https://h/pkg-1.0.tar.gz": SourceSpec(SourceType.TARBALL, "https://h/pkg-1.0.tar.gz"),
    "https://h/pkg.ZIP?x=1": SourceSpec(SourceType.TARBALL, "https://h/pkg.ZIP?x=1"),
    f"https://h/p.tgz#sha256={SHA}": SourceSpec(SourceType.TARBALL, "https://h/p.tgz", sha256=SHA),
    "https://github.com/o/r/archive/refs/tags/v1.tar.gz": SourceSpec(
        SourceType.TARBALL, "https://github.com/o/r/archive/refs/tags/v1.tar.gz"
    ),
    "git+https://h/odd.zip": SourceSpec(HTTPS, "https://h/odd.zip"),
    "-e git+https://h/r": SourceSpec(HTTPS, "https://h/r", editable=True),
}


@pytest.mark.parametrize("text", REMOTE)
def test_remote_forms(text: str, tmp_path: Path) -> None:
    assert parse_source(f" {text}\n", tmp_path) == REMOTE[text]


@pytest.mark.parametrize("spec", REMOTE.values(), ids=REMOTE)
def test_what_is_shown_is_read_back(spec: SourceSpec, tmp_path: Path) -> None:
    if "u:p@" in spec.location:
        assert "u:p" not in f"{spec!r} {spec}"
    elif "?" not in spec.location:
        prefix = "" if spec.probe or spec.type not in (HTTPS, SSH) else "git+"
        again = parse_source(f"{prefix}{spec}", tmp_path)
        assert again == replace(spec, editable=False)


@pytest.fixture
def here(tmp_path: Path) -> Path:
    for name in ("project", "with@at", "with#hash", "github.com/o/r", "dir.tar.gz"):
        (tmp_path / name).mkdir(parents=True)
    for name in ("pkg-1.0.tar.gz", "p.tgz", "p.zip", "p.tar.bz2", "p.tar.xz", "p-1-py3-none-any.whl", "file.txt"):
        (tmp_path / name).write_bytes(b"")
    return tmp_path


def local(folder: Path, name: str, ref: str | None = None, **fields: str) -> SourceSpec:
    return SourceSpec(SourceType.LOCAL_PATH, str(folder.resolve() / name), ref, **fields)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "name", "ref"),
    [
        ("project", "project", None),
        ("./project/", "project", None),
        ("project@v1", "project", "v1"),
        ("project@HEAD~1", "project", "HEAD~1"),
        ("project@a@b", "project", "a@b"),
        ("with@at", "with@at", None),
        ("with@at@v1", "with@at", "v1"),
        ("with#hash", "with#hash", None),
        ("github.com/o/r", "github.com/o/r", None),
        ("dir.tar.gz", "dir.tar.gz", None),
    ],
)
def test_directories(text: str, name: str, ref: str | None, here: Path) -> None:
    assert parse_source(text, here) == local(here, name, ref)
    assert parse_source(str(here / text), "/") == local(here, name, ref)


def test_directories_with_more_words(here: Path) -> None:
    assert parse_source("project@v1#subdirectory=a", here) == local(here, "project", "v1", subdirectory="a")
    assert parse_source("--editable=project", here).editable
    assert parse_source("-e ./project", here) == replace(local(here, "project"), editable=True)
    assert parse_source(".", here) == local(here.parent, here.name)


def test_paths_are_relative_to_who_works(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(here)
    assert parse_source("project") == local(here, "project")


@pytest.mark.parametrize("name", ["pkg-1.0.tar.gz", "p.tgz", "p.zip", "p.tar.bz2", "p.tar.xz"])
def test_archives(name: str, here: Path) -> None:
    spec = SourceSpec(SourceType.TARBALL, str(here.resolve() / name))
    assert parse_source(name, here) == spec
    assert parse_source((here / name).as_uri(), here) == spec
    assert parse_source(f"{name}#sha256={SHA}&subdirectory=a", here) == replace(spec, sha256=SHA, subdirectory="a")


def test_file_urls(here: Path) -> None:
    url = (here / "project").as_uri()
    assert parse_source(url, "/") == local(here, "project")
    assert parse_source(f"{url}@v1", "/") == local(here, "project", "v1")
    assert parse_source(url.replace("file://", "file://localhost"), "/") == local(here, "project")
    real = (here.resolve() / "project").as_uri()
    assert parse_source(f"git+{url}@v1#subdirectory=a", "/") == SourceSpec(HTTPS, real, "v1", "a")


WRONG = {
    "": "Cannot determine source type for: ",
    "-e": "Cannot determine source type for: -e",
    "nothing": r"Cannot determine source type for: nothing \(there is no such file",
    "nothing@v1": "Cannot determine source type for: nothing@v1",
    "file.txt": "Cannot determine source type for: file.txt$",
    "p-1-py3-none-any.whl": "Cannot determine source type for: p-1-py3",
    "https://h/p-1-py3-none-any.whl": "Cannot determine",
    "a\nb": "Cannot determine",
    "host:path": "Cannot determine",
    "hg+https://h/r": r"hg\+https: is no way to fetch sources",
    "ftp://h/r.tar.gz": "ftp: is no way",
    "git+./project": "Cannot determine",
    "https://": "names no host",
    "https://h:port/r": "is no URL",
    "https://[/r": "is no URL",
    "https://github.com/o/r/tree/main/sub": "is a page about a repository",
    "https://gitlab.com/o/r/-/tree/main": "is a page about a repository",
    "file:///nowhere/at/all": "Cannot determine",
    "file://other/project": "names another machine",
    "git+https://h/r.git@": "the ref after @ is empty",
    "project@": "the ref after @ is empty",
    "pkg-1.0.tar.gz@v1": "an archive has no refs",
    "project#sha256=" + SHA: "only an archive has a sha256",
    "git+https://h/r#sha256=" + SHA: "only an archive has a sha256",
    "pkg-1.0.tar.gz#sha256=12": "64 hexadecimal digits",
    "pkg-1.0.tar.gz#md5=12": "#md5=12 is not understood",
    "pkg-1.0.tar.gz#subdirectory": "#subdirectory is not understood",
    "project#egg=a&egg=b": "#egg=b is not understood",
    "project#subdirectory=": "is not understood",
    "project#subdirectory=../x": "leads out of the source",
    "-e pkg-1.0.tar.gz": "cannot be editable",
}


@pytest.mark.parametrize("text", WRONG)
def test_everything_else_is_refused_with_a_remedy(text: str, here: Path) -> None:
    with pytest.raises(SourceError, match=WRONG[text]) as caught:
        parse_source(text, here)
    assert caught.value.remedy or "sha256 has" in str(caught.value)


def test_a_file_url_with_git_is_a_directory(here: Path) -> None:
    with pytest.raises(SourceError, match="is no repository"):
        parse_source("git+" + (here / "p.zip").as_uri(), here)


def test_the_remedy_names_the_forms_and_no_credentials(here: Path) -> None:
    with pytest.raises(SourceError) as caught:
        parse_source("svn+https://user:sekret@h/r", here)
    assert "sekret" not in caught.value.explain()
    assert "git+https://HOST/REPO.git@REF" in caught.value.remedy


def test_the_documented_types_and_fields() -> None:
    assert [kind.value for kind in SourceType] == ["local_path", "git_https", "git_ssh", "tarball", "sdist"]
    spec = SourceSpec(SourceType.LOCAL_PATH, "/x", "v1", "a", True)
    assert (spec.type, spec.location, spec.ref, spec.subdirectory, spec.editable) == (
        SourceType.LOCAL_PATH,
        "/x",
        "v1",
        "a",
        True,
    )


@given(st.text())
def test_any_text_is_a_source_or_an_error_of_ours(text: str) -> None:
    try:
        spec = parse_source(text, "/")
    except SourceError:
        return
    assert isinstance(spec.type, SourceType)


WORD = st.text("abcXYZ019_-", min_size=1, max_size=8)


@given(
    st.sampled_from(["https://h.example/", "ssh://git@h.example/", "https://github.com/o/", "git@h.example:o/"]),
    WORD,
    st.none() | st.lists(WORD, min_size=1, max_size=3).map("/".join),
    st.none() | st.lists(st.text("abc01_", min_size=1), min_size=1, max_size=3).map("/".join),
)
def test_parts_come_back_as_they_were_written(base: str, repo: str, ref: str | None, subdirectory: str | None) -> None:
    text = (
        f"git+{base}{repo}.git" + (f"@{ref}" if ref else "") + (f"#subdirectory={subdirectory}" if subdirectory else "")
    )
    spec = parse_source(text, "/")
    assert (spec.location, spec.ref, spec.subdirectory) == (f"{base}{repo}.git", ref, subdirectory)


@pytest.mark.parametrize("text", ["p-1-py3-none-any.whl", "https://h/p-1-py3-none-any.whl"])
def test_a_wheel_is_built_already(text: str, here: Path) -> None:
    with pytest.raises(SourceError) as caught:
        parse_source(text, here)
    assert "a wheel is built already" in caught.value.remedy
