"""Is git run so that it neither asks, nor runs what a repository brings, nor shows a password?"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from hwb.fetch.git import find_git
from hwb.fetch.settings import environment

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.git, pytest.mark.usefixtures("plain_git")]


def settings(env: dict[str, str]) -> dict[str, str]:
    count = int(env["GIT_CONFIG_COUNT"])
    return {env[f"GIT_CONFIG_KEY_{number}"]: env[f"GIT_CONFIG_VALUE_{number}"] for number in range(count)}


def test_nothing_asks_and_nothing_of_the_repository_runs() -> None:
    env = environment(find_git(), "https://h/r")
    assert (env["GIT_TERMINAL_PROMPT"], env["GIT_TEMPLATE_DIR"]) == ("0", "")
    assert "BatchMode=yes" in env["GIT_SSH_COMMAND"]
    found = settings(env)
    assert found["protocol.ext.allow"] == "never"
    assert found["core.hooksPath"] == os.devnull


def test_the_place_of_a_hook_is_forgotten_and_the_rest_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("GIT_DIR", "GIT_INDEX_FILE", "GIT_WORK_TREE", "SSH_ASKPASS", "HTTPS_PROXY", "GIT_ASKPASS"):
        monkeypatch.setenv(name, "x")
    env = environment(find_git(), "https://h/r")
    assert not {"GIT_DIR", "GIT_INDEX_FILE", "GIT_WORK_TREE", "SSH_ASKPASS"} & env.keys()
    assert env["HTTPS_PROXY"] == env["GIT_ASKPASS"] == "x"


def test_settings_of_the_user_come_first_and_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CONFIG_COUNT", "1")
    monkeypatch.setenv("GIT_CONFIG_KEY_0", "url.https://mirror/.insteadOf")
    monkeypatch.setenv("GIT_CONFIG_VALUE_0", "https://h/")
    assert settings(environment(find_git(), "https://h/r"))["url.https://mirror/.insteadOf"] == "https://h/"


@pytest.mark.parametrize(
    ("url", "setting", "value"),
    [
        ("https://u:p%40@h:8/r", "http.https://h:8/.extraHeader", "Authorization: Basic dTpwQA=="),
        ("https://me@h/r", "credential.https://h.username", "me"),
        ("file:///r", "protocol.file.allow", "always"),
        ("/r", "protocol.file.allow", "always"),
        ("C:/r", "protocol.file.allow", "always"),
        ("https://h/r", "protocol.file.allow", "user"),
        ("git@h:r", "protocol.file.allow", "user"),
        ("ssh://git@h/r", "protocol.file.allow", "user"),
    ],
)
def test_what_the_address_asks_for(url: str, setting: str, value: str) -> None:
    assert settings(environment(find_git(), url))[setting] == value


def test_no_header_without_credentials() -> None:
    for url in ("https://h/r", "ssh://git:pw@h/r"):
        assert not [
            name for name in settings(environment(find_git(), url)) if name.startswith(("http.http", "credential.http"))
        ]


@pytest.mark.parametrize("name", ["GIT_SSH_COMMAND", "GIT_SSH"])
def test_who_says_how_ssh_is_called_is_heard(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "my-ssh")
    env = environment(find_git(), "git@h:r")
    assert env[name] == "my-ssh"
    assert "BatchMode" not in env.get("GIT_SSH_COMMAND", "")


def test_a_setting_of_git_for_ssh_is_heard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "config").write_text("[core]\n\tsshCommand = my-ssh\n")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "config"))
    assert "GIT_SSH_COMMAND" not in environment(find_git(), "git@h:r")
