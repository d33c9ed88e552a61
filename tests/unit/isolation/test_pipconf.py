"""Does uv get told what the user told pip, and nothing that the user told uv otherwise?"""

from __future__ import annotations

import configparser
import os
import sys
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwb.isolation import pipconf
from hwb.isolation.pipconf import PipSettings, config_files, read_pip_settings, uv_arguments, uv_variables

if TYPE_CHECKING:
    from pathlib import Path

posix = pytest.mark.skipif(sys.platform == "win32", reason="the files of Linux")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(pipconf, "_GLOBAL_DIR", str(tmp_path / "etc"))
    monkeypatch.setattr(pipconf, "_UV_SYSTEM", (str(tmp_path / "etc/uv/uv.toml"),))
    monkeypatch.setattr(sys, "platform", "linux")
    return tmp_path


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def environ(home: Path, **variables: str) -> dict[str, str]:
    return {"HOME": str(home), **variables}


def test_without_any_configuration_uv_is_told_nothing(home: Path) -> None:
    assert read_pip_settings(environ(home)) == PipSettings()
    assert uv_variables(PipSettings(), environ(home)) == {}
    assert uv_arguments(PipSettings()) == []


@posix
def test_later_files_win_and_the_command_section_wins_over_all(home: Path) -> None:
    write(home / "etc/xdg/pip/pip.conf", "[global]\nindex-url = xdg\ncert = xdg\nproxy = xdg\n")
    write(home / "etc/pip.conf", "[global]\nindex-url = etc\ncert = etc\n[install]\ntrusted-host = a\n  b\n")
    write(home / ".pip/pip.conf", "[global]\nindex-url = legacy\nclient-cert = legacy\n")
    write(home / ".config/pip/pip.conf", "[global]\nINDEX_URL = user\ntrusted-host = c\n")
    write(home / "venv/pip.conf", "[global]\nindex-url = site\n")
    env = environ(home, VIRTUAL_ENV=str(home / "venv"))
    expected = PipSettings("site", cert="etc", client_cert="legacy", proxy="xdg", trusted_hosts=("a", "b"))
    assert read_pip_settings(env) == expected
    chosen = write(home / "chosen.ini", "[global]\nindex-url = chosen\n")
    env["PIP_CONFIG_FILE"] = str(chosen)
    assert read_pip_settings(env).index_url == "chosen"
    assert read_pip_settings(env).client_cert == "", "the user's own files are not read then"
    env["PIP_INDEX_URL"] = "variable"
    assert read_pip_settings(env).index_url == "variable"
    env["PIP_INDEX_URL"] = ""
    assert read_pip_settings(env).index_url == "chosen", "an empty variable counts as none"
    env["PIP_CONFIG_FILE"] = os.devnull
    assert config_files(env) == []


@posix
def test_the_users_directory_can_be_moved(home: Path) -> None:
    env = environ(home, XDG_CONFIG_HOME=str(home / "x"), XDG_CONFIG_DIRS=f"{home}/d1:{home}/d2")
    assert [path.removeprefix(str(home)) for path in config_files(env)] == [
        "/d1/pip/pip.conf",
        "/d2/pip/pip.conf",
        "/etc/pip.conf",
        "/.pip/pip.conf",
        "/x/pip/pip.conf",
    ]


def test_a_chosen_file_that_is_missing_hides_nothing(home: Path) -> None:
    write(home / ".config/pip/pip.conf", "[global]\nindex-url = user\n")
    assert read_pip_settings(environ(home, PIP_CONFIG_FILE=str(home / "missing"))).index_url == "user"


def test_the_files_of_windows_and_macos(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "win32")
    names = config_files(environ(home, PROGRAMDATA="data", APPDATA="roaming"))
    assert [os.path.basename(name) for name in names] == ["pip.ini"] * 3
    assert names[-1] == os.path.join("roaming", "pip", "pip.ini")
    write(home / "roaming/uv/uv.toml", 'index-url = "https://uv.example/simple"\n')
    assert pipconf._uv_has_indexes(environ(home, APPDATA=str(home / "roaming")))
    monkeypatch.setattr(sys, "platform", "darwin")
    assert config_files(environ(home))[-1] == str(home / ".config/pip/pip.conf")
    (home / "Library/Application Support/pip").mkdir(parents=True)
    assert config_files(environ(home))[-1] == str(home / "Library/Application Support/pip/pip.conf")


@pytest.mark.parametrize("content", [b"no section = 1\n", b"[global\n", b"\xff\xfe[global]", b"[global]\na=1\na=2\n"])
def test_a_broken_file_counts_as_empty(home: Path, content: bytes) -> None:
    write(home / ".config/pip/pip.conf", "").write_bytes(content)
    assert read_pip_settings(environ(home)) == PipSettings()


@pytest.mark.parametrize(("text", "off"), [("1", True), ("true", True), ("Yes", True), ("0", False), ("off", False)])
def test_no_index(home: Path, text: str, off: bool) -> None:
    settings = read_pip_settings(environ(home, PIP_NO_INDEX=text, PIP_INDEX_URL="https://a.example"))
    assert settings.no_index is off
    assert uv_arguments(settings) == (["--no-index"] if off else [])
    assert ("UV_DEFAULT_INDEX" in uv_variables(settings, environ(home))) is not off


def test_everything_is_translated(home: Path) -> None:
    wheels = home / "wheels"
    wheels.mkdir()
    settings = PipSettings(
        index_url="https://user:secret@main.example/simple",
        extra_index_urls=("file:///a/simple", "https://b.example/simple"),
        find_links=(
            str(wheels),
            wheels.as_uri(),
            "https://c.example/x,y",
            str(home / "missing"),
            "file:///missing/here",
        ),
        cert="/certs.pem",
        client_cert="/me.pem",
        proxy="http://proxy.example:8080",
        trusted_hosts=("a.example", "b.example"),
    )
    assert uv_variables(settings, environ(home)) == {
        "UV_DEFAULT_INDEX": "https://user:secret@main.example/simple",
        "UV_INDEX": "file:///a/simple https://b.example/simple",
        "UV_INDEX_STRATEGY": "unsafe-best-match",
        "UV_FIND_LINKS": f"{wheels},{wheels.as_uri()},https://c.example/x%2Cy",
        "SSL_CERT_FILE": "/certs.pem",
        "SSL_CLIENT_CERT": "/me.pem",
        "ALL_PROXY": "http://proxy.example:8080",
        "UV_INSECURE_HOST": "a.example b.example",
    }


@pytest.mark.parametrize(
    ("own", "kept_back"),
    [
        ("UV_DEFAULT_INDEX", {"UV_DEFAULT_INDEX"}),
        ("UV_INDEX_URL", {"UV_DEFAULT_INDEX"}),
        ("UV_INDEX", {"UV_INDEX", "UV_INDEX_STRATEGY"}),
        ("UV_EXTRA_INDEX_URL", {"UV_INDEX", "UV_INDEX_STRATEGY"}),
        ("UV_INDEX_STRATEGY", {"UV_INDEX_STRATEGY"}),
        ("UV_FIND_LINKS", {"UV_FIND_LINKS"}),
        ("SSL_CERT_FILE", {"SSL_CERT_FILE"}),
        ("SSL_CERT_DIR", {"SSL_CERT_FILE"}),
        ("SSL_CLIENT_CERT", {"SSL_CLIENT_CERT"}),
        ("https_proxy", {"ALL_PROXY"}),
        ("UV_INSECURE_HOST", {"UV_INSECURE_HOST"}),
    ],
)
def test_what_the_user_told_uv_stays(home: Path, own: str, kept_back: set[str]) -> None:
    settings = PipSettings("i", ("e",), ("https://l.example",), False, "c", "cc", "p", ("t",))
    everything = uv_variables(settings, environ(home))
    assert everything.keys() - uv_variables(settings, environ(home, **{own: "mine"})).keys() == kept_back


def test_certificates_of_requests_reach_uv(home: Path) -> None:
    env = environ(home, REQUESTS_CA_BUNDLE="/bundle.pem")
    assert uv_variables(PipSettings(), env) == {"SSL_CERT_FILE": "/bundle.pem"}
    assert uv_variables(PipSettings(cert="/own.pem"), env) == {"SSL_CERT_FILE": "/own.pem"}


def test_a_home_relative_directory_of_wheels(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("USERPROFILE", str(home))
    (home / "wheels").mkdir()
    found = uv_variables(PipSettings(find_links=("~/wheels",)), environ(home))
    assert found == {"UV_FIND_LINKS": str(home / "wheels")}


@pytest.mark.parametrize(
    ("text", "indexes"),
    [
        ('index-url = "x"\n', True),
        ("[[index]]\nurl = 1\n", True),
        ("[pip]\nextra-index-url = []\n", True),
        ("offline = true\n", False),
    ],
)
def test_indexes_in_a_uv_toml_win(home: Path, text: str, indexes: bool) -> None:
    settings = PipSettings("https://main.example/simple", cert="/c")
    for place in (home / ".config/uv/uv.toml", home / "etc/uv/uv.toml"):
        write(place, text)
        assert ("UV_DEFAULT_INDEX" in uv_variables(settings, environ(home))) is not indexes
        assert "SSL_CERT_FILE" in uv_variables(settings, environ(home))
        place.unlink()
    chosen = write(home / "chosen.toml", text)
    assert pipconf._uv_has_indexes(environ(home, UV_CONFIG_FILE=str(chosen))) is indexes
    chosen.write_bytes(b"\xff")
    assert not pipconf._uv_has_indexes(environ(home, UV_CONFIG_FILE=str(chosen)))


URLS = st.lists(
    st.from_regex(r"\A(https://([a-z]+:[a-z0-9]+@)?[a-z]+\.example/[a-z]+|file:///[a-z]+)\Z"), max_size=4, unique=True
)


@given(URLS, st.booleans(), st.sampled_from([" ", "\n  "]))
def test_any_list_of_extra_indexes_arrives_complete_and_in_order(
    tmp_path_factory: pytest.TempPathFactory, urls: list[str], by_variable: bool, separator: str
) -> None:
    home = tmp_path_factory.mktemp("home")
    env = {"HOME": str(home), "XDG_CONFIG_HOME": str(home / "c"), "XDG_CONFIG_DIRS": str(home / "d")}
    if by_variable:
        env["PIP_EXTRA_INDEX_URL"] = separator.join(urls)
    else:
        parser = configparser.RawConfigParser()
        parser["global"] = {"extra-index-url": separator.join(urls)}
        env["PIP_CONFIG_FILE"] = str(home / "pip.conf")
        with (home / "pip.conf").open("w") as handle:
            parser.write(handle)
    settings = read_pip_settings(env)
    assert settings.extra_index_urls == tuple(urls)
    told = uv_variables(settings, env)
    assert told.get("UV_INDEX", "").split() == urls
    assert ("UV_INDEX_STRATEGY" in told) == bool(urls), "pip's rule comes only with pip's extra indexes"
    assert not any(url in argument for url in urls for argument in uv_arguments(settings))
