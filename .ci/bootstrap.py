#!/usr/bin/env python3
"""How does a bare machine get hwb from this checkout? `.venv` beside this folder, by uv if there is one, else by pip.

    python3 .ci/bootstrap.py          hwb
    python3 .ci/bootstrap.py --dev    hwb and what its tests need

Only the standard library; nothing is done (and no network used) when everything is there already.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
VENV = os.path.join(ROOT, ".venv")
PYTHON = os.path.join(VENV, "Scripts", "python.exe") if os.name == "nt" else os.path.join(VENV, "bin", "python")
CACHE = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
WHEELS = os.path.join(os.environ.get("HWB_CACHE_DIR") or os.path.join(CACHE, "hwb"), "bootstrap")
MARKER = os.path.join(VENV, ".hwb-bootstrap")
LEAST = (3, 10)
NO_WAY = """bootstrap: this Python cannot make a virtual environment, and there is no uv. Either
  install the venv module of the system's Python   (Debian, Ubuntu: apt install python3-venv)
or
  install uv and put it on the PATH                (python3 -m pip install --target ~/uv uv; export PATH=~/uv/bin:$PATH)
then run this command again."""
REQUIREMENTS = """
import json, sys
try: import tomllib
except ImportError:
    try: import tomli as tomllib
    except ImportError: from pip._vendor import tomli as tomllib
with open(sys.argv[1], "rb") as file: data = tomllib.load(file)
base = [*data["build-system"]["requires"], "editables~=0.3", *data["project"]["dependencies"]]
print(json.dumps({"base": base, "dev": data["dependency-groups"]["dev"]}))
"""


class Failed(Exception):
    """Said in one message; no traceback."""


def main() -> int:
    if sys.version_info < LEAST:
        return fail(f"bootstrap: Python {LEAST[0]}.{LEAST[1]} or newer is needed, this is {sys.version.split()[0]}")
    parser = argparse.ArgumentParser(description="Install hwb from this checkout into .venv")
    parser.add_argument("--dev", action="store_true", help="also what the tests need (dependency group dev)")
    dev = parser.parse_args().dev
    done = read_marker()
    wanted = fingerprint()
    if done.get("fingerprint") == wanted and (done.get("dev") or not dev) and works(PYTHON):
        print(f"bootstrap: {os.path.relpath(VENV)} is up to date")
        return 0
    try:
        install(find_uv(), dev or bool(done.get("dev")))
    except Failed as error:
        return fail(str(error))
    write_marker({"fingerprint": wanted, "dev": dev or bool(done.get("dev"))})
    print(f"bootstrap: hwb is in {os.path.relpath(VENV)}")
    return 0


def fail(message: str) -> int:
    print(message, file=sys.stderr)
    return 3


def fingerprint() -> str:
    """Another interpreter, other requirements or another place of the checkout: install again."""
    with open(os.path.join(ROOT, "pyproject.toml"), "rb") as file:
        content = file.read()
    about = f"{sys.version}\n{os.path.realpath(sys.executable)}\n{ROOT}\n"
    return hashlib.sha256(about.encode() + content).hexdigest()


def read_marker() -> dict[str, object]:
    try:
        with open(MARKER, encoding="utf-8") as file:
            data = json.load(file)
    except (OSError, ValueError):
        return {}
    return data if isinstance(data, dict) else {}


def write_marker(data: dict[str, object]) -> None:
    part = f"{MARKER}.{os.getpid()}"
    with open(part, "w", encoding="utf-8") as file:
        json.dump(data, file)
    os.replace(part, MARKER)


def works(python: str) -> bool:
    """Whether it runs and is as new as this one (an interpreter may be gone, or upgraded under its environment)."""
    code = "import sys; print(sys.version_info[:2])"
    try:
        found = subprocess.run([python, "-I", "-c", code], capture_output=True, text=True, check=False)
    except OSError:
        return False
    return found.returncode == 0 and found.stdout.strip() == str(tuple(sys.version_info[:2]))


def find_uv() -> list[str] | None:
    for command in ([shutil.which("uv") or ""], [sys.executable, "-m", "uv"]):
        if command[0]:
            try:
                if subprocess.run([*command, "--version"], capture_output=True, check=False).returncode == 0:
                    return command
            except OSError:
                pass
    return None


def install(uv: list[str] | None, dev: bool) -> None:
    if os.path.exists(MARKER):
        os.unlink(MARKER)  # from here on it is half done
    if not works(PYTHON):
        make_venv(uv)
    if uv:
        with_uv([*uv, "pip", "install", "--python", PYTHON], dev)
    else:
        with_pip(pip(), dev)


def with_uv(command: list[str], dev: bool) -> None:
    """From the network, else from uv's cache."""
    environ = uv_environ()
    wanted = [["--editable", ROOT], *([requirements()["dev"]] if dev else [])]
    for arguments in wanted:
        if call([*command, *arguments], environ) and call([*command, "--offline", *arguments], environ):
            raise Failed("bootstrap: uv could not install what is needed, see above")


def with_pip(command: list[str], dev: bool) -> None:
    """Wheels are collected in the user's cache first: pip alone installs nothing a second time without a network."""
    wanted = requirements()
    packages = wanted["dev"] if dev else []
    fetched = call([*command, "wheel", "--quiet", "--wheel-dir", WHEELS, *wanted["base"], *packages])
    if fetched:
        print(f"bootstrap: trying with what is in {WHEELS}", file=sys.stderr)
    links = ["--no-index", "--find-links", WHEELS]
    if call([*command, "install", "--quiet", *links, "--editable", ROOT, *packages]):
        raise Failed("bootstrap: pip could not install what is needed, see above")


def requirements() -> dict[str, list[str]]:
    """What pyproject.toml asks for: to build and run (`base`), to test (`dev`). Python 3.10 reads no TOML itself."""
    listed = subprocess.run(
        [PYTHON, "-c", REQUIREMENTS, os.path.join(ROOT, "pyproject.toml")], capture_output=True, text=True, check=False
    )
    if listed.returncode:
        raise Failed(f"bootstrap: pyproject.toml cannot be read: {listed.stderr.strip()}")
    found: dict[str, list[str]] = json.loads(listed.stdout)
    return found


def make_venv(uv: list[str] | None) -> None:
    if os.path.lexists(VENV) and not os.path.isfile(os.path.join(VENV, "pyvenv.cfg")) and os.listdir(VENV):
        raise Failed(f"bootstrap: {VENV} is there and is no virtual environment; remove it, then run this again")
    if uv:
        shutil.rmtree(VENV, ignore_errors=True)
        if call([*uv, "venv", "--quiet", "--python", sys.executable, VENV], uv_environ()):
            raise Failed("bootstrap: uv could not make .venv, see above")
        return
    made = subprocess.run([sys.executable, "-m", "venv", "--clear", VENV], capture_output=True, text=True, check=False)
    if made.returncode or not works(PYTHON):
        shutil.rmtree(VENV, ignore_errors=True)
        raise Failed(NO_WAY)


def pip() -> list[str]:
    """pip of the environment; one that uv made has none."""
    command = [PYTHON, "-m", "pip"]
    if subprocess.run([*command, "--version"], capture_output=True, check=False).returncode:
        seeded = subprocess.run([PYTHON, "-m", "ensurepip"], capture_output=True, check=False)
        if seeded.returncode:
            raise Failed(NO_WAY)
    return [*command, "--disable-pip-version-check"]


def call(command: list[str], environ: dict[str, str] | None = None) -> int:
    return subprocess.run(command, env=environ, check=False).returncode


def uv_environ() -> dict[str, str]:
    """uv does not read pip's settings: index, links and certificates of pip's users are handed on, uv's own win."""
    environ, pip_says = dict(os.environ), pip_settings()
    for uv_name, pip_name in (
        ("UV_DEFAULT_INDEX", "index-url"),
        ("UV_INDEX", "extra-index-url"),
        ("UV_FIND_LINKS", "find-links"),
        ("SSL_CERT_FILE", "cert"),
    ):
        value = pip_says.get(pip_name)
        old = {"UV_DEFAULT_INDEX": "UV_INDEX_URL", "UV_INDEX": "UV_EXTRA_INDEX_URL"}.get(uv_name, uv_name)
        if value and uv_name not in environ and old not in environ:
            environ[uv_name] = ",".join(value.split()) if uv_name == "UV_FIND_LINKS" else " ".join(value.split())
            if uv_name == "UV_INDEX":  # pip takes the best version of all its indexes, uv by default the first index's
                environ.setdefault("UV_INDEX_STRATEGY", "unsafe-best-match")
    return environ


def pip_settings() -> dict[str, str]:
    """The [global] and [install] sections of pip's files, overridden by PIP_* variables."""
    import configparser

    home = os.path.expanduser("~")
    files = [
        "/etc/pip.conf",
        os.path.join(home, ".pip", "pip.conf"),
        os.path.join(os.environ.get("XDG_CONFIG_HOME") or os.path.join(home, ".config"), "pip", "pip.conf"),
        os.path.join(home, "Library", "Application Support", "pip", "pip.conf"),
        os.path.join(os.environ.get("APPDATA", home), "pip", "pip.ini"),
        os.environ.get("PIP_CONFIG_FILE", ""),
    ]
    found: dict[str, str] = {}
    parser = configparser.RawConfigParser()
    try:
        # pip's own rule: PIP_CONFIG_FILE naming the null device switches its files off
        parser.read([] if files[-1] == os.devnull else [file for file in files if file], encoding="utf-8")
    except configparser.Error as error:
        print(f"bootstrap: pip's configuration is not read: {error}", file=sys.stderr)
    for section in ("global", "install"):
        if parser.has_section(section):
            found.update(parser.items(section))
    for name, value in os.environ.items():
        if name.startswith("PIP_"):
            found[name[4:].lower().replace("_", "-")] = value
    return found


if __name__ == "__main__":
    sys.exit(main())
