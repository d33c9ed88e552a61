"""With which environment is git run for somebody else's repository: no prompt, no hook, no surprise?"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from hwb.context import current
from hwb.fetch.urls import split_credentials

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["environment"]

_PLACE = re.compile(
    r"GIT_(DIR|WORK_TREE|INDEX_FILE|OBJECT_DIRECTORY|ALTERNATE_OBJECT_DIRECTORIES|COMMON_DIR|PREFIX|NAMESPACE|GRAFT_FILE"
    r"|SHALLOW_FILE|CONFIG|QUARANTINE_PATH|TEMPLATE_DIR|ALLOW_PROTOCOL|PROTOCOL_FROM_USER"
    r"|TERMINAL_PROMPT|LITERAL_PATHSPECS|GLOB_PATHSPECS|NOGLOB_PATHSPECS|ICASE_PATHSPECS)|SSH_ASKPASS"
)
"""What a hook's git, or a desktop, has set: it is about another repository, or opens a window."""
_SSH = "ssh -o BatchMode=yes -o ConnectTimeout=30 -o ServerAliveInterval=15"
_SETTINGS = {
    "protocol.ext.allow": "never",  # runs any command
    "core.hooksPath": os.devnull,
    "core.fsmonitor": "false",
    "core.autocrlf": "false",
    "submodule.recurse": "false",
    "fetch.recurseSubmodules": "false",
    "advice.detachedHead": "false",
    "advice.defaultBranchName": "false",
    "init.defaultBranch": "main",
    "gc.auto": "0",
    "maintenance.auto": "false",
    "credential.interactive": "never",
    "http.lowSpeedLimit": "100",
    "http.lowSpeedTime": "60",
}


def environment(git: str, url: str) -> dict[str, str]:
    """The user's environment (proxies, ssh-agent, certificates, their own settings of git) with what must hold here.

    Credentials in `url` become settings in the environment: command lines are seen by everybody on the machine.
    """
    keep = {name: value for name, value in current().outer_env.items() if not _PLACE.fullmatch(name)}
    fixed = {
        "LC_ALL": "C",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_TEMPLATE_DIR": "",
        "GCM_INTERACTIVE": "never",
    }
    settings = dict(_SETTINGS)
    # a repository of this machine may have submodules here; one from elsewhere must not reach for the user's files
    settings["protocol.file.allow"] = "always" if _is_local(url) else "user"
    settings.update(_credentials(url))
    return _with_settings({**keep, **fixed, **_ssh(git, keep)}, settings)


def _is_local(url: str) -> bool:
    return url.startswith("file://") or ("://" not in url and not re.match(r"[^/\\]{2,}:", url))


def _credentials(url: str) -> dict[str, str]:
    if not url.startswith(("http://", "https://")):
        return {}
    address = split_credentials(url)
    base = re.match(r"https?://[^/]*", address.url)
    if base is None or not address.user:
        return {}
    if not address.password:  # the helper knows the password of this user
        return {f"credential.{base[0]}.username": address.user}
    return {f"http.{base[0]}/.extraHeader": f"Authorization: {address.authorization}"}


def _ssh(git: str, env: Mapping[str, str]) -> dict[str, str]:
    """Ssh must not ask either, unless the user has said how ssh is called."""
    if env.get("GIT_SSH_COMMAND") or env.get("GIT_SSH"):
        return {}
    from hwb import proc

    own = proc.run(
        [git, "config", "--get", "core.sshCommand"],
        cwd=os.path.dirname(git),
        env=env,
        check=False,
        capture=True,
        quiet=True,
    )
    return {} if own.text.strip() else {"GIT_SSH_COMMAND": _SSH}


def _with_settings(env: dict[str, str], settings: Mapping[str, str]) -> dict[str, str]:
    """Settings as GIT_CONFIG_COUNT variables (git-config), after those that the user gives this way."""
    count = env.get("GIT_CONFIG_COUNT", "")
    first = int(count) if count.isdecimal() else 0
    for number, (name, value) in enumerate(settings.items(), first):
        env[f"GIT_CONFIG_KEY_{number}"] = name
        env[f"GIT_CONFIG_VALUE_{number}"] = value
    env["GIT_CONFIG_COUNT"] = str(first + len(settings))
    return env
