"""Which names, and which links, are refused before anything is written?"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

import hwb.archive
from hwb.archive import Limits
from hwb.archive.members import FILE, HARDLINK, SYMLINK, Member, check_links
from hwb.archive.names import check_names, name_problem, plain_errors, verdict
from hwb.errors import ValidationError

INVISIBLE = "contains a control or invisible character"


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("../a", "leads out of the archive"),
        ("a/../../b", "leads out of the archive"),
        ("/etc/passwd", "is absolute"),
        ("//server/share", "is absolute"),
        ("C:/x", "starts with a drive"),
        ("c:x", "starts with a drive"),
        ("pkg/a:stream", "contains a colon"),
        ("a\\b", "contains a backslash"),
        ("a\nb", INVISIBLE),
        ("a\0b", INVISIBLE),
        ("a\u202eb", INVISIBLE),
        ("a\u200bb", INVISIBLE),
        ("a\ud800", INVISIBLE),
        ("a\u0378", INVISIBLE),
        ("a//b", "is not a plain relative path"),
        ("./a", "is not a plain relative path"),
        ("a/./b", "is not a plain relative path"),
        ("", "is not a plain relative path"),
        ("/", "is absolute"),
        ("a/" + "x" * 256, "has a part of more than 255 bytes"),
        ("ä" * 128, "has a part of more than 255 bytes"),
    ],
)
def test_p01_an_unsafe_name_is_refused(name: str, problem: str) -> None:
    assert name_problem(name) == problem
    with pytest.raises(ValidationError) as caught:
        check_names("x.whl", [name])
    assert verdict(caught.value) == ("archive-name", name)
    assert problem in caught.value.what


@pytest.mark.parametrize("name", ["a/b.py", "a/", "foo..bar/...", "..hidden/x", "é/ß.py", "a b", "x" * 255, "a/" * 500])
def test_p01_an_odd_name_is_fine(name: str) -> None:
    assert name_problem(name) == ""
    check_names("x.whl", [name])


@given(st.text(alphabet="ab./\\:\0é", max_size=12))
def test_p01_a_name_that_passes_stays_below_any_directory(name: str) -> None:
    import ntpath
    import posixpath

    if not name_problem(name):
        for flavour, base in ((posixpath, "/target"), (ntpath, "C:\\target")):
            joined = flavour.normpath(flavour.join(base, name))
            assert joined.startswith(flavour.normpath(base) + flavour.sep)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["a", "a"], "x.whl has two members of the same name: 'a'"),
        (["a", "a/"], "x.whl has two members of the same name: 'a/'"),
        (["pkg/A", "pkg/a"], "x.whl has two members of names that differ by case only ('pkg/A'): 'pkg/a'"),
        (["é", "e\u0301"], "x.whl has two members of names that differ by case only ('é'): 'e\u0301'"),
        (["straße", "STRASSE"], "x.whl has two members of names that differ by case only ('straße'): 'STRASSE'"),
        (["a", "a/b"], "x.whl has a member that is a file and a directory: 'a'"),
        (["A", "a/b"], "x.whl has a member that is a file and a directory: 'A'"),
    ],
)
def test_p01_two_members_for_one_file_are_refused(names: list[str], message: str) -> None:
    with pytest.raises(ValidationError) as caught:
        check_names("x.whl", names)
    assert caught.value.what == message
    assert caught.value.where == "x.whl"


def test_p01_case_is_kept_apart_where_it_may_be() -> None:
    check_names("x.tar", ["a/", "a/b", "a/B", "A/c"], fold=False)
    with pytest.raises(ValidationError, match="same name"):
        check_names("x.tar", ["a/b", "a/b"], fold=False)


def test_p10_a_name_has_a_length() -> None:
    name = "a/" * 60
    check_names("x.whl", [name], limits=Limits(name=120))
    with pytest.raises(ValidationError, match="more than 119 bytes"):
        check_names("x.whl", [name], limits=Limits(name=119))
    with pytest.raises(ValidationError) as caught:
        check_names("x.whl", ["a/" * 3000])
    assert len(caught.value.what) < 400


def link(name: str, target: str, kind: str = SYMLINK) -> Member:
    return Member(name, kind, 0, 0o777, 0, target)


def file(name: str) -> Member:
    return Member(name, FILE, 0, 0o644, 0)


@pytest.mark.parametrize(
    "members",
    [
        [link("d/l", "/etc/passwd")],
        [link("d/l", "../x")],
        [link("d/l", "..")],
        [link("d/l", "../../d/x")],
        [link("d/l", "C:x")],
        [link("d/l", "..\\x")],
        [link("d/l", "a\nb")],
        [link("d/l", "")],
        [link("d/a", "b/.."), link("d/b", ".")],
        [link("d/a", "b"), link("d/b", "a")],
        [link("d/a", "a/x")],
        [link("d/h", "d/none", HARDLINK)],
        [link("d/h", "d/f", HARDLINK), file("d/f")],
        [link("d/h", "d/s", HARDLINK), link("d/s", "f"), file("d/f")],
    ],
)
def test_p03_a_link_that_leaves_or_leads_nowhere_is_refused(members: list[Member]) -> None:
    with pytest.raises(ValidationError, match=r"has a (hard )?link ") as caught:
        check_links("x.tar", members, "d")
    assert verdict(caught.value) == ("archive-type", members[0].name)


def test_p03_a_link_that_stays_is_fine() -> None:
    inside = [
        file("d/f"),
        link("d/h", "d/f", HARDLINK),
        link("d/s/l", "../f"),
        link("d/t", "s/l"),
        link("d/gone", "no"),
    ]
    check_links("x.tar", [*inside, link("d/self", "."), link("d/round", "../d/f"), link("d/u", "self/self/f")], "d")
    check_links("x.tar", [link("l", "d/f"), file("d/f")], "")


def test_p08_library_errors_are_told_plainly() -> None:
    with pytest.raises(ValidationError, match=r"x\.whl is damaged: no more"), plain_errors("x.whl"):
        raise EOFError("no more")
    with pytest.raises(ValidationError, match=r"x\.whl cannot be read: odd"), plain_errors("x.whl"):
        raise OSError("odd")


def test_nothing_is_imported_before_it_is_used() -> None:
    assert hwb.archive.name_problem is name_problem
    assert all(getattr(hwb.archive, name) for name in hwb.archive.__all__)
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = hwb.archive.nothing
