"""Do sources come from real servers (ssh, smart and dumb http), with submodules, large files and the right version?"""

from __future__ import annotations

import base64
import getpass
import gzip
import io
import os
import shutil
import socket
import ssl
import stat
import subprocess
import sys
import tarfile
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from hwb.context import current, use
from hwb.errors import SourceError, ToolNotFound
from hwb.snapshot import snapshot
from hwb.source import ResolvedSource, SourceType, parse_source, resolve_source

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = [
    pytest.mark.git,
    pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX programs"),
]
WHO = {
    f"GIT_{role}_{what}": text for role in ("AUTHOR", "COMMITTER") for what, text in (("NAME", "n"), ("EMAIL", "e@x"))
}
SCM = '[build-system]\nrequires = ["setuptools>=64", "setuptools-scm>=8"]\nbuild-backend = "setuptools.build_meta"\n[project]\nname = "pkg"\ndynamic = ["version"]\n'


@pytest.fixture(autouse=True)
def _plain(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in list(os.environ):
        if name.lower().endswith("_proxy") or name in (
            "GIT_SSH",
            "GIT_SSH_COMMAND",
            "SSH_AUTH_SOCK",
            "SOURCE_DATE_EPOCH",
        ):
            monkeypatch.delenv(name)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))


def git(folder: Path, *words: str) -> str:
    command = ["git", "-c", "protocol.file.allow=always", *words]
    done = subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True, env={**os.environ, **WHO})
    return done.stdout.strip()


def commit(folder: Path, tag: str = "", **files: str) -> str:
    if not folder.exists():
        folder.mkdir(parents=True)
        git(folder, "init", "-q", "-b", "main")
        git(folder, "config", "uploadpack.allowFilter", "true")
    for name, text in files.items():
        path = folder / name.replace("__", "/").replace("_toml", ".toml")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "--allow-empty", "-m", "x")
    if tag:
        git(folder, "tag", tag)
    return git(folder, "rev-parse", "HEAD")


@pytest.fixture
def get(tmp_path: Path) -> Iterator[Callable[..., ResolvedSource]]:
    """Resolve, and see in the end that nothing stays."""
    held: list[ResolvedSource] = []

    def get(text: str, **options: Any) -> ResolvedSource:
        held.append(resolve_source(parse_source(text, tmp_path), cache_dir=tmp_path / "cache", **options))
        return held[-1]

    yield get
    for resolved in held:
        resolved.cleanup()
    assert [path.name for path in (tmp_path / "cache").glob("tmp/*")] == []


@pytest.fixture
def repo(tmp_path: Path) -> tuple[Path, list[str]]:
    """Tag v1, branch feature/x, main; a package in a subdirectory and a submodule."""
    folder = tmp_path / "served" / "repo.git"
    commit(tmp_path / "served" / "sub.git", s="s")
    commits = [commit(folder, "v1", f="1", pkgs__a__pyproject_toml="", pkgs__b__x="x")]
    git(folder, "checkout", "-q", "-b", "feature/x")
    commits.append(commit(folder, f="2"))
    git(folder, "submodule", "--quiet", "add", "../sub.git", "mods/sub")
    commits.append(commit(folder, f="3"))
    git(folder, "checkout", "-q", "-B", "main")
    git(folder, "branch", "-f", "feature/x", commits[1])
    return folder, commits


def check_every_ref(get: Callable[..., ResolvedSource], base: str, commits: list[str]) -> None:
    """Branch, tag, commit, short commit, default, subdirectory and submodule over one transport."""
    wanted = {"": 2, "@v1": 0, "@feature/x": 1, f"@{commits[1]}": 1, f"@{commits[0][:8]}": 0, "@main": 2}
    for ref, number in wanted.items():
        resolved = get(base + ref)
        assert resolved.commit_hash == commits[number], ref
        assert (resolved.local_path / "f").read_text() == str(number + 1)
    assert (get(base).local_path / "mods" / "sub" / "s").read_text() == "s"
    part = get(f"{base}@v1#subdirectory=pkgs/a").local_path
    assert (part / "pyproject.toml").exists()
    assert not (part.parent / "b").exists()
    with pytest.raises(SourceError, match="no branch, tag or commit 'v9'") as caught:
        get(f"{base}@v9")
    assert "v1" in caught.value.remedy


# --- ssh -------------------------------------------------------------------------------------------------------------


def find_sshd() -> str | None:
    return shutil.which("sshd", path=f"{os.environ['PATH']}{os.pathsep}/usr/sbin")


class SshServer:
    """A server on this machine with keys of its own, and an `ssh` on the PATH that knows it as host `box`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in ("host", "user", "stranger"):
            self._run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name))
        shutil.copy(folder / "user.pub", folder / "authorized")
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.user = getpass.getuser()
        self.client()
        self.process = self._serve()

    def _run(self, *words: str) -> None:
        subprocess.run(words, check=True, capture_output=True)

    def _serve(self) -> subprocess.Popen[bytes]:
        lines = {
            "ListenAddress": f"127.0.0.1:{self.port}",
            "HostKey": self.folder / "host",
            "AuthorizedKeysFile": self.folder / "authorized",
            "PidFile": "none",
            "StrictModes": "no",
            "UsePAM": "no",
            "PasswordAuthentication": "no",
            "PermitRootLogin": "yes",
            "AcceptEnv": "GIT_PROTOCOL",  # as forges do: without it ssh speaks the old protocol, which has no partial trees
        }
        config = self.folder / "sshd_config"
        config.write_text("".join(f"{name} {value}\n" for name, value in lines.items()))
        if os.geteuid() == 0:
            Path("/run/sshd").mkdir(exist_ok=True)  # as its init script does; only root's needs it
        program = find_sshd()
        assert program is not None
        log = self.folder / "log"
        process = subprocess.Popen([program, "-D", "-f", str(config), "-E", str(log)])
        until = time.monotonic() + 20
        while time.monotonic() < until and process.poll() is None:
            with socket.socket() as attempt:
                if attempt.connect_ex(("127.0.0.1", self.port)) == 0:
                    return process
            time.sleep(0.02)
        process.kill()
        process.wait()
        raise AssertionError(log.read_text())

    def client(self, key: str = "user", *, known: bool = True) -> None:
        host = (self.folder / "host.pub").read_text()
        (self.folder / "known").write_text(f"[127.0.0.1]:{self.port} {host}" if known else "")
        config = self.folder / "ssh_config"
        options = f"IdentityFile {self.folder / key}\nIdentitiesOnly yes\nUserKnownHostsFile {self.folder / 'known'}\nStrictHostKeyChecking yes\n"
        config.write_text(f"Host box\nHostName 127.0.0.1\nPort {self.port}\nHost *\n{options}")
        program = self.folder / "bin" / "ssh"
        program.parent.mkdir(exist_ok=True)
        program.write_text(
            f'#!/bin/sh\necho "$@" >> "{self.folder / "calls"}"\nexec {shutil.which("ssh", path=PATH)} -F "{config}" "$@"\n'
        )
        program.chmod(program.stat().st_mode | stat.S_IXUSR)


PATH = os.environ["PATH"]


@pytest.fixture
def ssh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SshServer]:
    if find_sshd() is None or shutil.which("ssh-keygen") is None:
        pytest.skip("sshd is not installed")
    folder = tmp_path / "ssh"
    folder.mkdir()
    server = SshServer(folder)
    monkeypatch.setenv("PATH", f"{folder / 'bin'}{os.pathsep}{PATH}")
    yield server
    server.process.terminate()
    server.process.wait()


@pytest.mark.sshd
def test_ssh_by_url(ssh: SshServer, repo: tuple[Path, list[str]], get: Callable[..., ResolvedSource]) -> None:
    folder, commits = repo
    check_every_ref(get, f"git+ssh://{ssh.user}@127.0.0.1:{ssh.port}{folder}", commits)
    assert "BatchMode=yes" in (ssh.folder / "calls").read_text()


@pytest.mark.sshd
def test_ssh_in_the_scp_like_form(
    ssh: SshServer, repo: tuple[Path, list[str]], get: Callable[..., ResolvedSource]
) -> None:
    folder, commits = repo
    resolved = get(f"{ssh.user}@box:{folder}@v1")
    assert resolved.commit_hash == commits[0]
    assert resolved.spec.type is SourceType.GIT_SSH
    assert get(f"git+{ssh.user}@box:{folder}@{commits[1]}#subdirectory=pkgs/a").commit_hash == commits[1]


@pytest.mark.sshd
def test_ssh_with_a_key_that_the_server_does_not_know(
    ssh: SshServer, repo: tuple[Path, list[str]], get: Callable[..., ResolvedSource]
) -> None:
    ssh.client("stranger")
    with pytest.raises(SourceError, match="cannot be fetched") as caught:
        get(f"git+ssh://{ssh.user}@127.0.0.1:{ssh.port}{repo[0]}")
    assert "ssh-agent" in caught.value.remedy
    assert "Permission denied" in caught.value.detail


@pytest.mark.sshd
def test_ssh_to_a_host_that_nobody_knows(
    ssh: SshServer, repo: tuple[Path, list[str]], get: Callable[..., ResolvedSource]
) -> None:
    ssh.client(known=False)
    with pytest.raises(SourceError) as caught:
        get(f"git+ssh://{ssh.user}@127.0.0.1:{ssh.port}{repo[0]}")
    assert "connect to that host once" in caught.value.remedy


@pytest.mark.sshd
def test_ssh_with_a_key_that_wants_a_passphrase_does_not_ask(
    ssh: SshServer, repo: tuple[Path, list[str]], get: Callable[..., ResolvedSource]
) -> None:
    subprocess.run(
        ["ssh-keygen", "-q", "-p", "-N", "sekret", "-f", str(ssh.folder / "user")], check=True, capture_output=True
    )
    with pytest.raises(SourceError, match="cannot be fetched"):
        get(f"git+ssh://{ssh.user}@127.0.0.1:{ssh.port}{repo[0]}")


# --- http ------------------------------------------------------------------------------------------------------------


class Forge:
    """A web server of repositories by `git http-backend`, of files, and of pages."""

    def __init__(self, root: Path, port: int) -> None:
        self.root = root
        self.url = f"http://127.0.0.1:{port}"
        self.smart = True
        self.needs = ""
        """The Authorization header that every request must have."""
        self.files: dict[str, bytes] = {}
        self.redirects: dict[str, str] = {}
        self.asked: list[str] = []

    def backend(self, handler: BaseHTTPRequestHandler, body: bytes) -> tuple[int, list[tuple[str, str]], bytes]:
        path, _, query = handler.path.partition("?")
        env = {
            **os.environ,
            "GIT_PROJECT_ROOT": str(self.root),
            "GIT_HTTP_EXPORT_ALL": "1",
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "REQUEST_METHOD": handler.command,
            "CONTENT_TYPE": handler.headers.get("Content-Type", ""),
            "GIT_PROTOCOL": handler.headers.get("Git-Protocol", ""),
        }
        done = subprocess.run(["git", "http-backend"], input=body, capture_output=True, env=env, check=False)
        head, _, rest = done.stdout.partition(b"\r\n\r\n")
        fields = [
            (name, value.strip()) for name, _, value in (line.partition(":") for line in head.decode().split("\r\n"))
        ]
        status = next((int(value.split()[0]) for name, value in fields if name == "Status"), 200)
        return status, [(name, value) for name, value in fields if name != "Status"], rest

    def answer(self, handler: BaseHTTPRequestHandler, body: bytes) -> tuple[int, list[tuple[str, str]], bytes]:
        path = handler.path.partition("?")[0]
        self.asked.append(path)
        if self.needs and handler.headers.get("Authorization") != self.needs:
            return 401, [("WWW-Authenticate", 'Basic realm="x"')], b""
        if path in self.redirects:
            return 302, [("Location", self.redirects[path])], b""
        if path in self.files:
            return 200, [("Content-Type", "application/octet-stream")], self.files[path]
        if self.smart and ".git/" in path:
            return self.backend(handler, body)
        place = self.root / path.lstrip("/")
        if place.is_file():
            return 200, [("Content-Type", "application/octet-stream")], place.read_bytes()
        return 404, [("Content-Type", "text/html")], b"<html>no such page</html>"


@contextmanager
def serving(root: Path, tls: ssl.SSLContext | None = None) -> Iterator[Forge]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, fields, body = found.answer(self, self._body())
            self.send_response(status)
            for name, value in fields:
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_GET

        def _body(self) -> bytes:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            return gzip.decompress(body) if self.headers.get("Content-Encoding") == "gzip" else body

        def log_message(self, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.handle_error = lambda *_: None  # type: ignore[method-assign]  # a client that hangs up is what some tests want
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    found = Forge(root, server.server_port)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield found
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def forge(tmp_path: Path) -> Iterator[Forge]:
    with serving(tmp_path / "served") as found:
        yield found


def test_smart_http(forge: Forge, repo: tuple[Path, list[str]], get: Callable[..., ResolvedSource]) -> None:
    git(repo[0].parent, "clone", "-q", "--bare", str(repo[0]), "bare.git")
    git(repo[0].parent / "bare.git", "config", "uploadpack.allowFilter", "true")
    check_every_ref_without_submodules = {"@v1": 0, "@feature/x": 1, f"@{repo[1][1]}": 1, f"@{repo[1][0][:8]}": 0}
    for ref, number in check_every_ref_without_submodules.items():
        assert get(f"{forge.url}/bare.git{ref}").commit_hash == repo[1][number]
    part = get(f"{forge.url}/bare.git@v1#subdirectory=pkgs/a").local_path
    assert not (part.parent / "b").exists()


def test_a_server_without_git_serves_repositories_too(
    forge: Forge, repo: tuple[Path, list[str]], get: Callable[..., ResolvedSource]
) -> None:
    forge.smart = False
    git(repo[0].parent, "clone", "-q", "--bare", str(repo[0]), "dumb.git")
    git(repo[0].parent / "dumb.git", "update-server-info")
    for ref, number in {"@v1": 0, "@feature/x": 1, f"@{repo[1][1]}": 1}.items():
        resolved = get(f"git+{forge.url}/dumb.git{ref}#subdirectory=pkgs/a")
        assert resolved.commit_hash == repo[1][number], ref


def test_credentials_reach_the_server_and_nothing_else(
    forge: Forge, repo: tuple[Path, list[str]], get: Callable[..., ResolvedSource], tmp_path: Path
) -> None:
    git(repo[0].parent, "clone", "-q", "--bare", str(repo[0]), "private.git")
    forge.needs = "Basic " + base64.b64encode(b"user:s3kr3t").decode()
    shown: list[str] = []
    url = forge.url.replace("://", "://user:s3kr3t@")
    with use(current().but(emit=lambda kind, **fields: shown.append(f"{kind} {fields}"))):
        resolved = get(f"git+{url}/private.git@v1")
    assert resolved.commit_hash == repo[1][0]
    assert any("fetch" in line for line in shown)
    secret = [b"s3kr3t", base64.b64encode(b"user:s3kr3t")]
    stored = [path for path in (tmp_path / "cache").rglob("*") if path.is_file()]
    assert stored
    for text in [*(path.read_bytes() for path in stored), *map(str.encode, shown), repr(resolved).encode()]:
        assert not any(word in text for word in secret)
    with pytest.raises(SourceError) as caught:
        get(f"git+{forge.url.replace('://', '://user:wr0ng@')}/private.git@v1")
    assert "credential helper" in caught.value.remedy
    assert "wr0ng" not in caught.value.explain()


def archive() -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as out:
        info = tarfile.TarInfo("pkg-1.0/pyproject.toml")
        out.addfile(info)
    return packed.getvalue()


def test_a_plain_url_is_a_repository_when_git_says_so(
    forge: Forge, repo: tuple[Path, list[str]], get: Callable[..., ResolvedSource], monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(repo[0] / ".git", forge.root / "owner" / "name.git")
    monkeypatch.setattr(
        forge, "backend", lambda handler, body, real=forge.backend: real(_at(handler, "/owner/name.git"), body)
    )
    monkeypatch.setattr(Forge, "answer", _extensionless(Forge.answer))
    resolved = get(f"{forge.url}/owner/name@v1")
    assert resolved.commit_hash == repo[1][0]
    assert resolved.spec.is_git


def _extensionless(real: Callable[..., Any]) -> Callable[..., Any]:
    def answer(self: Forge, handler: BaseHTTPRequestHandler, body: bytes) -> Any:
        return self.backend(handler, body) if handler.path.startswith("/owner/name/") else real(self, handler, body)

    return answer


def _at(handler: BaseHTTPRequestHandler, base: str) -> BaseHTTPRequestHandler:
    handler.path = handler.path.replace("/owner/name", base, 1)
    return handler


def test_a_plain_url_is_an_archive_when_its_bytes_say_so(forge: Forge, get: Callable[..., ResolvedSource]) -> None:
    forge.files = {"/download/latest": archive()}
    resolved = get(f"{forge.url}/download/latest")
    assert resolved.spec.type is SourceType.TARBALL
    assert (resolved.local_path / "pyproject.toml").exists()
    assert get(f"{forge.url}/download/latest", offline=True).local_path.is_dir()


def test_a_plain_url_that_is_neither(forge: Forge, get: Callable[..., ResolvedSource]) -> None:
    forge.files = {"/page": b"<!doctype html><p>hello"}
    with pytest.raises(SourceError, match="Cannot determine source type for: http") as caught:
        get(f"{forge.url}/page")
    assert "web page" in caught.value.detail


def test_an_archive_by_url(forge: Forge, get: Callable[..., ResolvedSource]) -> None:
    forge.files = {"/pkg-1.0.tar.gz": archive()}
    assert get(f"{forge.url}/pkg-1.0.tar.gz").local_path.name == "pkg-1.0"


@pytest.fixture
def https(forge: Forge, tmp_path: Path) -> Iterator[Forge]:
    """The same answers over TLS, with a certificate that only `cert.pem` vouches for."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    words = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
    places = ["-keyout", str(tmp_path / "key.pem"), "-out", str(tmp_path / "cert.pem")]
    subprocess.run([*words, "-addext", "subjectAltName=DNS:localhost", *places], check=True, capture_output=True)
    settings = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    settings.load_cert_chain(tmp_path / "cert.pem", tmp_path / "key.pem")
    with serving(forge.root, settings) as found:
        found.url = found.url.replace("http://127.0.0.1", "https://localhost")
        yield found


def test_a_certificate_that_nobody_vouches_for_is_refused(https: Forge, get: Callable[..., ResolvedSource]) -> None:
    https.files = {"/pkg-1.0.tar.gz": archive()}
    with pytest.raises(SourceError, match="certificate is not trusted") as caught:
        get(f"{https.url}/pkg-1.0.tar.gz")
    assert "SSL_CERT_FILE" in caught.value.remedy
    assert https.asked == []


def test_a_certificate_of_the_user_is_trusted_and_https_stays_https(
    https: Forge, get: Callable[..., ResolvedSource], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "cert.pem"))
    https.files = {"/pkg-1.0.tar.gz": archive()}
    assert get(f"{https.url}/pkg-1.0.tar.gz").local_path.name == "pkg-1.0"
    https.redirects = {"/other.tar.gz": "http://localhost:1/pkg-1.0.tar.gz"}
    with pytest.raises(SourceError, match="https is not given up for http"):
        get(f"{https.url}/other.tar.gz")


def test_a_proxy_of_the_user_is_asked(
    forge: Forge, get: Callable[..., ResolvedSource], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", forge.url)
    forge.files = {"http://nowhere.invalid/pkg-1.0.tar.gz": archive()}
    assert get("http://nowhere.invalid/pkg-1.0.tar.gz").local_path.name == "pkg-1.0"


# --- what a repository does not hold itself --------------------------------------------------------------------------


def needs_lfs() -> None:
    if subprocess.run(["git", "lfs", "version"], capture_output=True, check=False).returncode != 0:
        pytest.skip("git-lfs is not installed")


@pytest.fixture
def large(tmp_path: Path) -> Path:
    needs_lfs()
    folder = tmp_path / "served" / "large.git"
    commit(folder, "v1", pyproject_toml=SCM)
    git(folder, "lfs", "install", "--local")
    git(folder, "lfs", "track", "*.bin")
    commit(folder, data__a_bin="", **{"data__a.bin": "the real bytes\n", "other": "x"})
    return folder


def test_large_files_are_files(large: Path, get: Callable[..., ResolvedSource]) -> None:
    for text in (f"git+{large.as_uri()}", f"git+{large.as_uri()}#subdirectory=data"):
        resolved = get(text)
        found = next(resolved.local_path.rglob("a.bin"))
        assert found.read_text() == "the real bytes\n"
        assert git(found.parent, "status", "--porcelain") == ""


def test_large_files_without_the_program_are_an_error(
    large: Path, get: Callable[..., ResolvedSource], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "bin").mkdir()
    program = tmp_path / "bin" / "git"
    program.write_text(f'#!/bin/sh\n[ "$1" = lfs ] && exit 1\nexec {shutil.which("git")} "$@"\n')
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{PATH}")
    with pytest.raises(ToolNotFound, match="Git LFS"):
        get(f"git+{large.as_uri()}")


def test_large_files_that_the_server_lost_are_an_error(large: Path, get: Callable[..., ResolvedSource]) -> None:
    shutil.rmtree(large / ".git" / "lfs")
    with pytest.raises(SourceError, match=r"Git LFS did not fetch data/a\.bin"):
        get(f"git+{large.as_uri()}")


def test_large_files_that_the_repository_leaves_out_are_an_error(
    large: Path, get: Callable[..., ResolvedSource]
) -> None:
    (large / ".lfsconfig").write_text("[lfs]\n\tfetchexclude = *\n")
    commit(large)
    with pytest.raises(SourceError, match=r"Git LFS did not fetch data/a\.bin"):
        get(f"git+{large.as_uri()}")


def test_a_repository_from_elsewhere_gets_no_files_of_this_machine(
    forge: Forge, get: Callable[..., ResolvedSource], tmp_path: Path
) -> None:
    private = tmp_path / "private"
    commit(private, secret="s")
    folder = tmp_path / "served" / "evil.git"
    commit(folder, f="1")
    git(folder, "submodule", "--quiet", "add", private.as_uri(), "stolen")
    commit(folder)
    git(folder.parent, "clone", "-q", "--bare", str(folder), "evil-bare.git")
    with pytest.raises(SourceError, match="a submodule cannot be fetched") as caught:
        get(f"git+{forge.url}/evil-bare.git")
    assert "transport 'file' not allowed" in caught.value.detail


# --- what the build makes of it --------------------------------------------------------------------------------------


def version_in(folder: Path) -> str:
    return git(folder, "describe", "--tags", "--long", "--dirty")


@pytest.mark.parametrize("subdirectory", ["", "pkgs/scm"])
def test_the_version_is_right_in_the_copy_that_is_built(
    subdirectory: str, get: Callable[..., ResolvedSource], tmp_path: Path
) -> None:
    folder = tmp_path / "served" / "versioned.git"
    name = "pyproject_toml" if not subdirectory else "pkgs__scm__pyproject_toml"
    commit(folder, "v1.2", **{name: SCM}, other__x="x")
    for number in range(3):
        head = commit(folder, f=str(number))
    resolved = get(f"git+{folder.as_uri()}" + (f"#subdirectory={subdirectory}" if subdirectory else ""))
    with snapshot(str(resolved.local_path), str(tmp_path / "copy")) as copy:
        assert version_in(Path(copy.path)) == f"v1.2-3-g{head[:7]}"
        assert copy.commit == head
        assert git(Path(copy.path), "status", "--porcelain") == ""


def test_a_partial_tree_is_copied_cleanly(
    repo: tuple[Path, list[str]], get: Callable[..., ResolvedSource], tmp_path: Path
) -> None:
    resolved = get(f"git+{repo[0].as_uri()}@v1#subdirectory=pkgs/a")
    with snapshot(str(resolved.local_path), str(tmp_path / "copy")) as copy:
        assert copy.files == ("pyproject.toml",)
        assert git(Path(copy.path), "status", "--porcelain") == ""


@pytest.mark.pypi
@pytest.mark.slow
def test_setuptools_scm_computes_the_version(get: Callable[..., ResolvedSource], tmp_path: Path) -> None:
    from build import ProjectBuilder
    from build.env import DefaultIsolatedEnv

    folder = tmp_path / "served" / "versioned.git"
    commit(folder, "v1.2", pkgs__scm__pyproject_toml=SCM + '[tool.setuptools_scm]\nroot = "../.."\n')
    commit(folder, pkgs__scm__pkg__init="x")
    commit(folder, f="1")
    resolved = get(f"git+{folder.as_uri()}#subdirectory=pkgs/scm")
    with DefaultIsolatedEnv() as env:
        builder = ProjectBuilder.from_isolated_env(env, resolved.local_path)
        env.install(builder.build_system_requires)
        wheel = builder.build("wheel", tmp_path / "out")
    assert Path(wheel).name.startswith("pkg-1.3.dev2+g")
