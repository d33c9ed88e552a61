"""What runs inside a build environment: one hook of a build backend (PEP 517), in a fresh process of its own?

This one file is executed by the *target* Python (3.8 or newer) and uses the standard library only; hwb itself never
imports it. Three ways to be called::

    python in_process.py JOB             run the hook that the file JOB describes, write the answer, end
    python in_process.py --serve FD      a zygote: read jobs from the socket FD, fork once for each
    python in_process.py --lines         the same through pipes: from inside a container nothing else leads out

A zygote imports what earlier hooks of this environment imported (never anything of the project itself), so that each
fork starts where a fresh interpreter would arrive after all its imports. It ends when its socket or input is closed.

A job is a JSON object: hook, backend, backend_path, source_dir, arguments, config_settings, answer (a path), code_cache
(a directory), gzip_level (of sdists) and, for a fork, environ and umask; perhaps `first`, a hook that is asked before
(`aside`: in a fork), `known`, the static requirements, and `expected`, what it asked for beside them the last time: if
it wants anything else, the answer is only `before`, its own. The answer is a JSON object: `value`, or `missing`,
`unavailable`, `unsupported` (a traceback), and `modules`: names worth importing beforehand.
"""

from __future__ import annotations

import json
import os
import sys
import traceback
from importlib import import_module
from importlib.machinery import EXTENSION_SUFFIXES, ExtensionFileLoader, FileFinder, PathFinder, SourceFileLoader
from importlib.util import MAGIC_NUMBER
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from importlib.machinery import ModuleSpec
    from types import CodeType
    from typing import Any, NoReturn

_MAGIC = MAGIC_NUMBER + sys.version.encode()
_HOOKS_WITHOUT = {"get_requires_for_build_sdist", "get_requires_for_build_wheel"}  # optional: then the answer is []
_PRELOAD_LIMIT = 1500


class _Unavailable(Exception):
    """The backend cannot be imported; the text is a traceback."""


class _InTree:
    """Finds the backend's top module in backend-path and nowhere else (PEP 517, in-tree build backends)."""

    def __init__(self, folders: list[str], top: str) -> None:
        self.folders, self.top = folders, top

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        """As importlib.abc.MetaPathFinder.find_spec."""
        if "." in name:
            return None  # found through its parent
        spec = PathFinder.find_spec(name, path=self.folders)
        if spec is None and name == self.top:
            raise _Unavailable("there is no module {} in {}".format(name, ", ".join(self.folders)))
        return spec


class _SourceLoader(SourceFileLoader):
    """Byte code of the project's own modules, kept by the hash of their text and outside of the tree.

    Python's own byte code is found by time and size, and all sources of a build have the same time.
    """

    cache = ""

    def get_code(self, fullname: str) -> CodeType | None:
        """As importlib.abc.InspectLoader.get_code."""
        import hashlib
        import marshal

        path = self.get_filename(fullname)
        text = self.get_data(path)
        name = hashlib.sha256(b"%s\0%s\0" % (path.encode(errors="surrogateescape"), _MAGIC) + text).hexdigest()
        kept = os.path.join(self.cache, name)
        try:
            with open(kept, "rb") as handle:
                known: CodeType = marshal.load(handle)
                return known
        except (OSError, EOFError, ValueError, TypeError):
            pass
        code: CodeType = self.source_to_code(text, path)
        try:
            with open(f"{kept}.{os.getpid()}", "wb") as handle:
                marshal.dump(code, handle)
            os.replace(f"{kept}.{os.getpid()}", kept)
        except OSError:
            pass  # only slower
        return code


def _cache_code(source_dir: str, cache: str) -> None:
    """Modules below `source_dir` are loaded by `_SourceLoader`, all others as ever."""
    _SourceLoader.cache = cache
    finder = FileFinder.path_hook((ExtensionFileLoader, EXTENSION_SUFFIXES), (_SourceLoader, [".py"]))

    def hook(path: str) -> Any:
        if os.path.commonpath([source_dir, os.path.abspath(path or ".")]) != source_dir:
            raise ImportError
        return finder(path)

    sys.path_hooks.insert(0, hook)
    sys.path_importer_cache.clear()


def _backend(job: dict[str, Any]) -> Any:
    """The object that has the hooks: `module:attribute.attribute` (PEP 517, source trees)."""
    module, _, path = job["backend"].partition(":")
    folders = [os.path.join(job["source_dir"], part) for part in job["backend_path"]]
    if folders:
        _cache_code(job["source_dir"], job["code_cache"])
        sys.path[:0] = folders
        sys.meta_path.insert(0, _InTree(folders, module.partition(".")[0]))
    try:
        found = import_module(module)
    except (ImportError, _Unavailable):
        raise _Unavailable(traceback.format_exc()) from None
    for name in filter(None, path.split(".")):
        try:
            found = getattr(found, name)
        except AttributeError:
            raise _Unavailable(traceback.format_exc()) from None
    return found


def _evict(job: dict[str, Any]) -> None:
    """Forget preloaded modules that the project has, too: its own are meant where it puts itself on sys.path."""
    folders = [job["source_dir"], *(os.path.join(job["source_dir"], part) for part in job["backend_path"])]
    own = {name.partition(".")[0] for folder in folders if os.path.isdir(folder) for name in os.listdir(folder)}
    own -= set(getattr(sys, "stdlib_module_names", ())) | {"__main__"}
    for name in [name for name in sys.modules if name.partition(".")[0] in own]:
        del sys.modules[name]


def _ask(job: dict[str, Any]) -> dict[str, Any]:
    try:
        _evict(job)
        backend = _backend(job)
    except _Unavailable as error:
        return {"unavailable": str(error)}
    if job.get("first"):
        before = _aside(backend, job) if job["aside"] else _call(backend, job["first"], {**job, "arguments": []})
        if isinstance(before.get("value"), list):
            before["value"] = [item for item in before["value"] if item not in job["known"]]
        if before.get("value") != job["expected"]:
            return {"before": before}
    return _call(backend, job["hook"], job)


def _aside(backend: Any, job: dict[str, Any]) -> dict[str, Any]:
    """What the hook before this one answers, asked in a fork: the imports of the backend serve both.

    `code` is how the fork ended badly.
    """
    if sys.platform == "win32":
        raise AssertionError("nothing is forked on Windows")
    answer, reply = os.pipe()
    sys.stdout.flush()
    sys.stderr.flush()
    pid = os.fork()
    if not pid:
        os.close(answer)
        _end_with(lambda: _answer_to(reply, _call(backend, job["first"], {**job, "arguments": []})))
    os.close(reply)
    with os.fdopen(answer, encoding="utf-8") as handle:
        text = handle.read()
    status = os.waitpid(pid, 0)[1]
    if status or not text:
        return {"code": -os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)}
    found: dict[str, Any] = json.loads(text)
    return found


def _answer_to(reply: int, found: dict[str, Any]) -> int:
    with os.fdopen(reply, "w", encoding="utf-8") as handle:
        json.dump(found, handle)
    return 0


def _end_with(work: Callable[[], int]) -> NoReturn:
    """Do the last work of this process; what goes wrong is printed as Python prints it, and nothing else runs."""
    code = 1
    try:
        code = work()
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else (1 if error.code else 0)
        if isinstance(error.code, str):
            sys.stderr.write(error.code + "\n")
    except BaseException:  # the end of this process: what is not printed here nobody sees
        traceback.print_exc()
    finally:
        try:
            sys.stdout.flush()
            sys.stderr.flush()
        finally:
            os._exit(code)


def _call(backend: Any, name: str, job: dict[str, Any]) -> dict[str, Any]:
    hook = getattr(backend, name, None)
    if hook is None:
        return {"value": []} if name in _HOOKS_WITHOUT else {"missing": name}
    unsupported = getattr(backend, "UnsupportedOperation", ())
    try:
        return {"value": hook(*job["arguments"], config_settings=job["config_settings"])}
    except unsupported:
        return {"unsupported": traceback.format_exc()}


def _under(path: str, folders: Iterable[str]) -> bool:
    return any(path.startswith(folder) for folder in folders)


def _learned() -> list[str]:
    """Imported modules of this interpreter and environment that a zygote may import beforehand.

    Packages with a compiled module are left out as a whole: some start threads, which do not survive a fork.
    """
    folders = tuple(os.path.join(folder, "") for folder in {sys.prefix, sys.base_prefix})
    places = {name: getattr(module, "__file__", None) or "" for name, module in list(sys.modules.items())}
    site = tuple(os.path.join(folder, "") for folder in sys.path if folder.endswith("-packages"))
    native = {n.partition(".")[0] for n, p in places.items() if p.endswith((".so", ".pyd")) and _under(p, site)}
    chosen = []
    for name, place in places.items():
        spec = getattr(sys.modules[name], "__spec__", None)
        plain = place.endswith(".py") and _under(place, folders) and spec is not None and spec.name == name
        if plain and name.partition(".")[0] not in native and name != "__main__":
            chosen.append(name)
    return chosen[:_PRELOAD_LIMIT]


def _pack_quickly(level: int) -> None:
    """Compress with `level` what would be compressed with 9: an sdist is packed again by hwb, or is as good with 6.

    Level 9 takes two to three times as long for about one percent of size.
    """
    import zlib

    make = zlib.compressobj

    def compressobj(wanted: int = -1, *others: Any, **named: Any) -> Any:
        return make(level if wanted == 9 else wanted, *others, **named)

    setattr(zlib, "compressobj", compressobj)  # noqa: B010 - typed as a function of the standard library


def _run(job: dict[str, Any]) -> int:
    """One hook from start to end; the exit code. What goes wrong inside the hook is printed, as Python does it."""
    if job["hook"] == "build_sdist":
        _pack_quickly(job["gzip_level"])
    answer = _ask(job)
    if job.get("learn"):
        answer["modules"] = _learned()
    sys.stdout.flush()
    sys.stderr.flush()
    temporary = job["answer"] + ".part"
    with open(temporary, "w", encoding="utf-8") as handle:
        json.dump(answer, handle)
    os.replace(temporary, job["answer"])
    return 0


def _load(path: str) -> Any:
    with open(path, encoding="utf-8") as handle:
        return json.load(handle)


def _own_path() -> None:
    """The directory of this file is not a place to import from."""
    here = os.path.dirname(os.path.abspath(__file__))
    if sys.path and os.path.abspath(sys.path[0]) == here:
        del sys.path[0]


# --- the zygote ----------------------------------------------------------------------------------------------------


def _preload(names: list[str]) -> None:
    """Import what an earlier hook used; what cannot be imported is left to the hook that wants it."""
    for name in names:
        try:
            import_module(name)
        except BaseException:  # a preload is a guess: whoever really needs the module reports what is wrong
            pass


def _become(job: dict[str, Any], log: int) -> None:
    """In the fork: a process group, environment, directory and output of its own, as a started process has them."""
    if sys.platform == "win32":
        raise AssertionError("nothing is forked on Windows")
    import signal
    import time

    signal.set_wakeup_fd(-1)
    for number in (signal.SIGCHLD, signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
    os.environ.clear()
    os.environ.update(job["environ"])
    time.tzset()
    os.umask(job["umask"])
    os.chdir(job["source_dir"])
    nothing = os.open(os.devnull, os.O_RDONLY)
    for source, target in ((nothing, 0), (log, 1), (log, 2)):
        os.dup2(source, target)
    for descriptor in (nothing, log):
        if descriptor > 2:
            os.close(descriptor)
    sys.dont_write_bytecode = bool(job["environ"].get("PYTHONDONTWRITEBYTECODE"))
    sys.pycache_prefix = job["environ"].get("PYTHONPYCACHEPREFIX")  # the zygote's own is nothing for hooks


def _fork(path: str, log: int, reply: int, others: tuple[int, ...]) -> int:
    """Start one job; it tells its process identifier through `reply` once it leads a group that can be ended."""
    if sys.platform == "win32":
        raise AssertionError("nothing is forked on Windows")
    pid = os.fork()
    if not pid:
        _end_with(lambda: _forked(path, log, reply, others))
    os.close(log)
    return pid


def _forked(path: str, log: int, reply: int, others: tuple[int, ...]) -> int:
    """A job in its fork: told to `reply` once it leads a group that can be ended, then run."""
    if sys.platform == "win32":
        raise AssertionError("nothing is forked on Windows")
    os.setsid()
    os.write(reply, b"%d\n" % os.getpid())
    for descriptor in (*others, reply):
        os.close(descriptor)
    job = _load(path)
    _become(job, log)
    return _run(job)


def _reap(running: dict[int, int]) -> None:
    """Tell the exit codes of ended jobs (negative: a signal's number)."""
    if sys.platform == "win32":
        raise AssertionError("nothing is forked on Windows")
    for pid in list(running):
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            code = -os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)
            _tell(running.pop(pid), code)


def _tell(reply: int, code: int) -> None:
    try:
        os.write(reply, b"%d\n" % code)
    except OSError:
        pass  # nobody waits for it any more
    os.close(reply)


def _end(running: dict[int, int]) -> None:
    """Nobody wants the answers any more (hwb was killed): end what is still running, with all that it started."""
    if sys.platform == "win32":
        raise AssertionError("nothing is forked on Windows")
    import signal

    for pid in running:
        try:
            os.killpg(pid, signal.SIGKILL)
        except OSError:
            pass  # it has just ended


class _Socket:
    """Messages of a socket: `fork PATH` comes with two descriptors, for the output and for what becomes of it."""

    def __init__(self, descriptor: int) -> None:
        import socket

        self.descriptor = descriptor
        self.own = (descriptor,)
        self._channel = socket.socket(fileno=descriptor)

    def receive(self) -> list[tuple[str, str, int, int]] | None:
        """Word, what it is about, log and reply (-1 where there is none) of each message; None at the end."""
        if sys.platform == "win32":
            raise AssertionError("nothing is forked on Windows")
        import array
        import socket

        size = array.array("i").itemsize
        message, ancillary, _, _ = self._channel.recvmsg(65536, socket.CMSG_SPACE(2 * size))
        word, _, path = message.decode("utf-8", "surrogateescape").partition(" ")
        passed = array.array("i")
        for _level, _kind, data in ancillary:
            passed.frombytes(data[: len(data) - len(data) % size])
        log, reply = passed or (-1, -1)
        return [(word, path, log, reply)] if message else None


class _Lines:
    """The same as lines of standard input: `fork PATH<tab>LOG`, where LOG is a file; replies go to standard output."""

    def __init__(self) -> None:
        self.descriptor, self._reply = os.dup(0), os.dup(1)
        self.own = (self.descriptor, self._reply)
        nothing = os.open(os.devnull, os.O_RDWR)
        for number in (0, 1, 2):
            os.dup2(nothing, number)
        os.close(nothing)
        self._rest = b""

    def receive(self) -> list[tuple[str, str, int, int]] | None:
        """As `_Socket.receive`; half a line waits for its other half."""
        block = os.read(self.descriptor, 65536)
        *lines, self._rest = (self._rest + block).split(b"\n")
        return [self._message(line.decode("utf-8", "surrogateescape")) for line in lines] if block else None

    def _message(self, line: str) -> tuple[str, str, int, int]:
        word, _, rest = line.partition(" ")
        if word != "fork":
            return word, rest, -1, -1
        path, _, log = rest.partition("\t")
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT
        return word, path, os.open(log, flags, 0o644), os.dup(self._reply)


def _serve(channel: _Socket | _Lines) -> None:
    """Fork for each message (`fork PATH`; `load PATH` and `import NAMES` prepare for the next), to the end of them."""
    if sys.platform == "win32":
        raise AssertionError("nothing is forked on Windows")
    import gc
    import select
    import signal

    descriptor = channel.descriptor
    woken, waker = os.pipe()
    for end in (woken, waker):
        os.set_blocking(end, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the terminal's: whoever started this decides
    signal.set_wakeup_fd(waker, warn_on_full_buffer=False)
    running: dict[int, int] = {}
    waiting = select.poll()  # select() knows no descriptor from 1024 on
    for number in (descriptor, woken):
        waiting.register(number, select.POLLIN)
    while True:
        ready = [number for number, _ in waiting.poll()]
        if woken in ready:
            os.read(woken, 512)
            _reap(running)
        if descriptor in ready:
            messages = channel.receive()
            if messages is None:
                _end(running)
                return
            for word, path, log, reply in messages:
                if word == "fork":
                    os.set_inheritable(reply, False)
                    running[_fork(path, log, reply, (*channel.own, woken, waker, *running.values()))] = reply
                else:
                    _preload(_load(path) if word == "load" else json.loads(path))
                    gc.collect()
                    gc.freeze()


def main() -> int:
    """Do what the command line says; the exit code."""
    _own_path()
    if sys.argv[1] in ("--serve", "--lines"):
        _serve(_Socket(int(sys.argv[2])) if sys.argv[1] == "--serve" else _Lines())
        return 0
    return _run(_load(sys.argv[1]))


if __name__ == "__main__":
    sys.exit(main())
