"""How does a session run commands, install and talk? Everything that `nox.Session` does, with nox's signatures."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, Any, Literal, NoReturn, overload

from hwb.errors import Cancelled, CommandFailed
from hwb.spec import ProcessEnv, Quit, Services, SessionSpec, Skip, safe_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    from hwb.config import Settings
    from hwb.context import Context
    from hwb.inside import Inside
    from hwb.isolation.venv import Venv
    from hwb.pythons import Interpreter

__all__ = ["FINALISER_SECONDS", "CommandSession"]

STDOUT = -2
"""`subprocess.STDOUT`, without importing subprocess: a hwbfile that names `hwb.Session` must not cost its import."""
_STRIPPED = (
    "PIP_RESPECT_VIRTUALENV",
    "PIP_REQUIRE_VIRTUALENV",
    "PYTHONHOME",
    "__PYVENV_LAUNCHER__",
    "UV_SYSTEM_PYTHON",
    "UV_PYTHON",
)
"""Variables that would lead a command out of the session's environment (the list is nox's)."""
FINALISER_SECONDS = 10.0
"""How long a cancelled recipe's `finally` blocks may still run commands."""


class _WorkingDirectory:
    """`session.chdir` changes at once; used with `with`, it changes back."""

    __slots__ = ("_before", "_session")

    def __init__(self, session: CommandSession, directory: str | os.PathLike[str]) -> None:
        self._session = session
        self._before = session._context.cwd
        session._change_directory(directory)

    def __enter__(self) -> _WorkingDirectory:
        return self

    def __exit__(self, *_exc: object) -> None:
        self._session._change_directory(self._before)


class CommandSession:
    """One recipe at work: its commands, its environment, its directory; nobody else's. The half that nox has too."""

    __slots__ = ("_context", "_inside", "_real_cwd", "_services", "_spec", "_venv", "_virtualenv")

    def __init__(self, spec: SessionSpec, services: Services, context: Context, *, real_cwd: bool = False) -> None:
        self._spec = spec
        self._services = services
        self._context = context
        self._real_cwd = real_cwd
        self._venv: Venv | None = None
        self._inside: Inside | None = None
        self._virtualenv = ProcessEnv(self._env_path(), None, "none", is_sandboxed=False)

    # --- nox's properties -----------------------------------------------------------------------------------

    @property
    def name(self) -> str:
        """The session's name, e.g. `test-3.12`."""
        return self._spec.id

    @property
    def env(self) -> dict[str, str | None]:
        """Variables for every command of this session; None removes one."""
        return self._virtualenv.env

    @property
    def env_dir(self) -> Path:
        """The directory of the session's environment (it need not exist)."""
        from pathlib import Path

        return Path(self._virtualenv.location)

    @property
    def posargs(self) -> list[str]:
        """Arguments after `--`, from `--args NAME=...`, or given by `notify`."""
        return list(self._spec.posargs)

    @property
    def virtualenv(self) -> ProcessEnv:
        """The environment that commands run in."""
        return self._virtualenv

    @property
    def venv_backend(self) -> str:
        """uv, virtualenv, venv or none."""
        return self._virtualenv.venv_backend

    @property
    def python(self) -> str | Sequence[str] | bool | None:
        """The Python that the recipe asked for in this session (None: the default one)."""
        return self._spec.python

    @property
    def bin_paths(self) -> list[str] | None:
        """Directories with the environment's programs; None without an environment."""
        return self._virtualenv.bin_paths

    @property
    def bin(self) -> str:
        """The first of `bin_paths`; ValueError without an environment."""
        return self._virtualenv.bin

    @property
    def cache_dir(self) -> Path:
        """A directory that all sessions of this project share and that outlives the run; made when asked for."""
        from pathlib import Path

        path = Path(os.path.dirname(os.path.dirname(self._spec.run_dir)), "cache")
        path.mkdir(parents=True, exist_ok=True)
        return path

    @property
    def interactive(self) -> bool:
        """Whether a person sits at the terminal that this session's commands get."""
        return self._spec.interactive

    @property
    def parallel(self) -> bool:
        """Whether other sessions may run at the same time."""
        return self._spec.parallel

    @property
    def invoked_from(self) -> str:
        """The directory that hwb was started in."""
        return self._spec.invoked_from

    # --- nox's methods --------------------------------------------------------------------------------------

    def create_tmp(self) -> str:
        """A temporary directory of this session, also set as TMPDIR for its commands."""
        path = os.path.join(self._virtualenv.location, "tmp")
        os.makedirs(path, exist_ok=True)
        self.env["TMPDIR"] = path
        return path

    def chdir(self, dir: str | os.PathLike[str]) -> _WorkingDirectory:  # noqa: A002 - nox's name
        """Change this session's working directory, for good or (`with session.chdir(...)`) for a block."""
        self.log(f"cd {os.fspath(dir)}")
        return _WorkingDirectory(self, dir)

    cd = chdir

    def _change_directory(self, directory: str | os.PathLike[str]) -> None:
        target = os.path.normpath(os.path.join(self._context.cwd, os.fspath(directory)))
        if not os.path.isdir(target):
            raise FileNotFoundError(f"no such directory: {target}")
        self._context.cwd = target
        if self._real_cwd:
            os.chdir(target)

    @overload
    def run(
        self,
        *args: str | os.PathLike[str],
        env: Mapping[str, str | None] | None = None,
        include_outer_env: bool = True,
        silent: Literal[False] = ...,
        success_codes: Iterable[int] | None = None,
        log: bool = True,
        external: bool | Literal["error"] | None = None,
        stdout: int | IO[str] | None = None,
        stderr: int | IO[str] | None = STDOUT,
        interrupt_timeout: float | None = 0.3,
        terminate_timeout: float | None = 0.2,
        timeout: float | None = None,
        idle_timeout: float | None = None,
    ) -> bool | None: ...
    @overload
    def run(
        self,
        *args: str | os.PathLike[str],
        env: Mapping[str, str | None] | None = None,
        include_outer_env: bool = True,
        silent: Literal[True],
        success_codes: Iterable[int] | None = None,
        log: bool = True,
        external: bool | Literal["error"] | None = None,
        stdout: int | IO[str] | None = None,
        stderr: int | IO[str] | None = STDOUT,
        interrupt_timeout: float | None = 0.3,
        terminate_timeout: float | None = 0.2,
        timeout: float | None = None,
        idle_timeout: float | None = None,
    ) -> str | None: ...
    @overload
    def run(
        self,
        *args: str | os.PathLike[str],
        env: Mapping[str, str | None] | None = None,
        include_outer_env: bool = True,
        silent: bool,
        success_codes: Iterable[int] | None = None,
        log: bool = True,
        external: bool | Literal["error"] | None = None,
        stdout: int | IO[str] | None = None,
        stderr: int | IO[str] | None = STDOUT,
        interrupt_timeout: float | None = 0.3,
        terminate_timeout: float | None = 0.2,
        timeout: float | None = None,
        idle_timeout: float | None = None,
    ) -> str | bool | None: ...
    def run(
        self,
        *args: Any,
        env: Mapping[str, str | None] | None = None,
        include_outer_env: bool = True,
        silent: bool = False,
        success_codes: Iterable[int] | None = None,
        log: bool = True,
        external: bool | Literal["error"] | None = None,
        stdout: int | IO[str] | None = None,
        stderr: int | IO[str] | None = STDOUT,
        interrupt_timeout: float | None = 0.3,
        terminate_timeout: float | None = 0.2,
        timeout: float | None = None,
        idle_timeout: float | None = None,
    ) -> str | bool | None:
        """Run a command in the session's environment and directory.

        Returns True, with `silent=True` the output, under `--install-only` None. `success_codes` other than 0,
        `external` (True: outside the environment is meant, "error": it is forbidden), `stdout`/`stderr` files,
        `timeout` and `idle_timeout` (seconds, hwb's own). Raises CommandFailed, which has `return_code`.
        """
        _check_command(args, "run")
        if self._spec.install_only and not callable(args[0]):
            self.log(f"Skipping {args[0]} run, as --install-only is set.")
            return None
        return self._run(
            args,
            env=env,
            include_outer_env=include_outer_env,
            silent=silent,
            success_codes=success_codes,
            log=log,
            external=external,
            stdout=stdout,
            stderr=stderr,
            interrupt_timeout=interrupt_timeout,
            terminate_timeout=terminate_timeout,
            timeout=timeout,
            idle_timeout=idle_timeout,
        )

    def run_install(
        self,
        *args: Any,
        env: Mapping[str, str | None] | None = None,
        include_outer_env: bool = True,
        silent: bool = False,
        success_codes: Iterable[int] | None = None,
        log: bool = True,
        external: bool | Literal["error"] | None = None,
        stdout: int | IO[str] | None = None,
        stderr: int | IO[str] | None = STDOUT,
        interrupt_timeout: float | None = 0.3,
        terminate_timeout: float | None = 0.2,
        timeout: float | None = None,
        idle_timeout: float | None = None,
    ) -> str | bool | None:
        """Run a command that belongs to installing: also under `--install-only`, not under `--no-install` when the
        environment is reused. Keywords and result as `run`."""
        if self._spec.no_install and self._virtualenv.reused:
            return None
        _check_command(args, "run_install")
        return self._run(
            args,
            env=env,
            include_outer_env=include_outer_env,
            silent=silent,
            success_codes=success_codes,
            log=log,
            external=external,
            stdout=stdout,
            stderr=stderr,
            interrupt_timeout=interrupt_timeout,
            terminate_timeout=terminate_timeout,
            timeout=timeout,
            idle_timeout=idle_timeout,
        )

    run_always = run_install
    """An older name of `run_install`."""

    def install(
        self,
        *args: str | os.PathLike[str],
        env: Mapping[str, str | None] | None = None,
        include_outer_env: bool = True,
        silent: bool | None = None,
        success_codes: Iterable[int] | None = None,
        log: bool = True,
        external: bool | None = None,
        stdout: int | IO[str] | None = None,
        stderr: int | IO[str] | None = STDOUT,
        interrupt_timeout: float | None = 0.3,
        terminate_timeout: float | None = 0.2,
    ) -> None:
        """Install into the session's environment: arguments as `pip install` and `uv pip install` take them.

        `stdout` takes the installer's output (both its streams: another `stderr` is a ValueError). `external` has no
        meaning here, as in nox. ValueError without an environment. Raises DependencyError, OfflineError.
        """
        from hwb import proc
        from hwb.errors import DependencyError
        from hwb.isolation import venv

        if self._venv is None:
            raise ValueError("A session without a virtualenv can not install dependencies.")
        if self._spec.no_install and self._virtualenv.reused:
            return
        _check_command(args, "install")
        arguments = [os.fspath(arg) for arg in args]
        if log:
            self._note(f"install {proc.shown(arguments)}")
        if stderr not in (STDOUT, None, stdout):
            raise ValueError("An installer's output is one stream: give stdout= only.")
        quiet = silent if silent is not None else not (self._spec.verbose or stdout is not None)
        whole = self._environment(env, include_outer_env)
        with self._finalisable(), self._installing(stdout, (interrupt_timeout, terminate_timeout)):
            try:
                if self._inside is not None:
                    self._inside.install(arguments)
                    self._enter(self._inside)
                    return
                venv.install(self._venv, arguments, env=whole, silent=quiet)
            except DependencyError as error:
                if error.return_code is None or error.return_code not in tuple(success_codes or ()):
                    raise

    def conda_install(
        self,
        *args: str,
        auto_offline: bool = True,
        channel: str | Sequence[str] = "",
        env: Mapping[str, str] | None = None,
        include_outer_env: bool = True,
        silent: bool | None = None,
        success_codes: Iterable[int] | None = None,
        log: bool = True,
        stdout: int | IO[str] | None = None,
        stderr: int | IO[str] | None = STDOUT,
        interrupt_timeout: float | None = 0.3,
        terminate_timeout: float | None = 0.2,
    ) -> None:
        """Raises ValueError: only conda environments can, and hwb makes none (nox's error)."""
        raise ValueError("A session without a conda environment can not install dependencies from conda.")

    def install_and_run_script(
        self,
        script: str | os.PathLike[str],
        *args: str | os.PathLike[str],
        env: Mapping[str, str | None] | None = None,
        include_outer_env: bool = True,
        silent: bool = False,
        success_codes: Iterable[int] | None = None,
        log: bool = True,
        stdout: int | IO[str] | None = None,
        stderr: int | IO[str] | None = STDOUT,
        interrupt_timeout: float | None = 0.3,
        terminate_timeout: float | None = 0.2,
    ) -> str | bool | None:
        """Install what a script's PEP 723 block asks for, then run it. Keywords and result as `run`."""
        from hwb.script import read_block

        path = os.path.join(self._context.cwd, os.fspath(script))
        block = read_block(path)
        if block.dependencies:
            self.install(*block.dependencies)
        return self.run(
            "python",
            script,
            *args,
            env=env,
            include_outer_env=include_outer_env,
            silent=silent,
            success_codes=success_codes,
            log=log,
            stdout=stdout,
            stderr=stderr,
            interrupt_timeout=interrupt_timeout,
            terminate_timeout=terminate_timeout,
        )

    def notify(self, target: str, posargs: Iterable[str] | None = None) -> None:
        """Run `target` after this session, if the plan has not got it already; ValueError if there is none."""
        self._services.notifier.notify(str(target), None if posargs is None else list(posargs), self._spec.id)

    def log(self, *args: Any, **kwargs: Any) -> None:
        """Say something (`%`-style arguments as in logging)."""
        self._say("info", args, kwargs)

    def warn(self, *args: Any, **kwargs: Any) -> None:
        """Say something that deserves attention."""
        self._say("warning", args, kwargs)

    def debug(self, *args: Any, **kwargs: Any) -> None:
        """Say something for `-vv`; it is in the log anyway."""
        self._say("debug", args, kwargs)

    def error(self, *args: Any) -> NoReturn:
        """Fail this session, with a message."""
        raise Quit(*args)

    def skip(self, *args: Any) -> NoReturn:
        """End this session as skipped, with a reason."""
        raise Skip(*args)

    @property
    def config(self) -> Settings:
        """The settings, each with where it comes from."""
        return self._services.settings

    @property
    def root(self) -> str:
        """The project's directory."""
        return self._spec.root

    # --- inside ---------------------------------------------------------------------------------------------

    def _env_path(self) -> str:
        return os.path.join(self._spec.run_dir, "envs", safe_name(self._spec.id))

    def _default_interpreter(self) -> Interpreter:
        from hwb.pydefault import choose, requires_python_of

        if isinstance(self._spec.python, str):
            return self._named_interpreters([self._spec.python])[0]
        root = self._spec.root
        with self._downloading():
            return choose(root, self.config, lambda: requires_python_of(root))

    def _named_interpreters(self, requests: Sequence[str]) -> list[Interpreter]:
        from hwb.pydefault import named

        with self._downloading():
            return named(self._spec.root, self.config, requests)

    def _downloading(self) -> AbstractContextManager[None]:
        """Inside the block, interpreters are downloaded if the settings or the recipe say so."""
        from hwb.pydownload import permitted

        entry = self._services.catalog.entries.get(self._spec.recipe)
        return permitted(self.config, entry.option("download_python") if entry is not None else None)

    def _provide(self, venv: Venv) -> None:
        """The runner made an environment: commands see it from now on."""
        self._venv = venv
        env: dict[str, str | None] = {"VIRTUAL_ENV": venv.path, "CONDA_PREFIX": None}
        if venv.backend == "uv":
            env.update(UV_PROJECT_ENVIRONMENT=venv.path, UV_PYTHON=venv.python)
        env.update(self._virtualenv.env)
        self._virtualenv = ProcessEnv(venv.path, [venv.bin], venv.backend, env, reused=venv.reused)

    def _enter(self, inside: Inside) -> None:
        """Commands run in a container from now on; the session's own directory stays where it is."""
        self._inside, self._venv = inside, inside.venv
        own: dict[str, str | None] = {**self._virtualenv.env, "VIRTUAL_ENV": inside.venv.path}
        bins, backend = [inside.venv.bin], inside.venv.backend
        self._virtualenv = ProcessEnv(self._env_path(), bins, backend, own, reused=inside.venv.reused)

    def _run(
        self,
        args: tuple[Any, ...],
        *,
        env: Mapping[str, str | None] | None = None,
        include_outer_env: bool = True,
        silent: bool = False,
        success_codes: Iterable[int] | None = None,
        log: bool = True,
        external: bool | str | None = None,
        stdout: int | IO[str] | None = None,
        stderr: int | IO[str] | None = STDOUT,
        interrupt_timeout: float | None = 0.3,
        terminate_timeout: float | None = 0.2,
        timeout: float | None = None,
        idle_timeout: float | None = None,
    ) -> str | bool:
        from hwb import proc

        if callable(args[0]):
            return self._run_function(args[0], args[1:])  # type: ignore[no-any-return]  # whatever it returns
        if silent and stdout is not None:
            raise ValueError("silent=True collects the output; it can not go to stdout= too")
        argv = [os.fspath(arg) for arg in args]
        environment = self._environment(env, include_outer_env)
        if log:
            self._note(f"$ {proc.shown(argv)}")
        options: dict[str, Any] = {
            "capture": silent,
            "check": False,
            "timeout": timeout,
            "idle_timeout": idle_timeout,
            "grace": (interrupt_timeout, terminate_timeout),
            "stdout": stdout,
            "stderr": stderr,
        }
        with self._finalisable():
            if self._inside is not None:
                own = {name: str(value) for name, value in {**self.env, **(env or {})}.items() if value is not None}
                done = self._inside.run(argv, own, self._context.cwd, **options)
            else:
                argv[0] = self._program(argv[0], environment, external)
                done = proc.run(argv, env=environment, interactive=self._spec.interactive, **options)
        if done.return_code not in tuple(success_codes or (0,)):
            if silent:
                self._context.log.write(done.text)
            raise proc.failure(done)
        return done.text if silent else True

    def _run_function(self, function: Callable[..., Any], args: tuple[Any, ...]) -> Any:
        """nox's legacy: `session.run(callable, ...)`."""
        self._note(f"{function}(args={args!r})")
        try:
            return function(*args)
        except Exception as error:  # whatever the user's function raises counts as a failed command (nox's rule)
            raise CommandFailed(f"function {function!r} raised {error!r}") from error

    def _program(self, name: str, environment: Mapping[str, str], external: bool | str | None) -> str:
        """The program's path: the environment's own first, then (with a warning unless `external`) the system's."""
        from hwb import proc

        if self._virtualenv.bin_paths is not None:
            own = proc.which(name, os.pathsep.join(self._virtualenv.bin_paths), self._context.cwd)
            if own is not None:
                return own
            if self._virtualenv.venv_backend == "uv" and name in ("uv", "uvx"):
                from hwb.isolation.backends import find_uv

                uv = find_uv()
                if uv is not None:
                    return uv if name == "uv" else os.path.join(os.path.dirname(uv), "uvx")
        found = proc.which(name, environment.get("PATH", os.defpath), self._context.cwd)
        if found is None:
            raise _no_program(name)
        self._judge_external(name, found, external)
        return found

    def _judge_external(self, name: str, found: str, external: bool | str | None) -> None:
        if not self._virtualenv.is_sandboxed or external is True:
            return
        if external is None and self.config.get("error-on-external-run"):
            external = "error"
        what = f"{name} is not installed in the session's environment; it is {found}"
        if external == "error":
            raise CommandFailed(what, remedy="install it with session.install, or pass external=True")
        self.warn(f"{what}. Pass external=True if that is meant.")

    def _environment(self, env: Mapping[str, str | None] | None, include_outer: bool) -> dict[str, str]:
        layers: dict[str, str | None] = dict(self._context.outer_env) if include_outer else {}
        for name in _STRIPPED:
            layers.pop(name, None)
        layers.update(self._virtualenv.env)
        layers.update(env or {})
        if self._virtualenv.bin_paths:
            path = layers.get("PATH") or self._context.outer_env.get("PATH", os.defpath)
            layers["PATH"] = os.pathsep.join([*self._virtualenv.bin_paths, path])
        layers["NOX_CURRENT_SESSION"] = layers["HWB_CURRENT_SESSION"] = self._spec.id
        return {name: str(value) for name, value in layers.items() if value is not None}

    @contextmanager
    def _installing(self, stdout: int | IO[str] | None, grace: tuple[float | None, float | None]) -> Iterator[None]:
        """Installers write to the session's log and end within its grace: for one installation both are others."""
        context = self._context
        before = context.log, context.grace
        context.grace = grace
        if stdout is not None:
            context.log = _FileSink(stdout)
        try:
            yield
        finally:
            context.log, context.grace = before

    def _finalisable(self) -> _Finalisable:
        return _Finalisable(self._context)

    def _note(self, text: str) -> None:
        """A line in the session's log (which is what a streaming screen shows)."""
        self._context.log.write(f"{text}\n")

    def _say(self, level: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
        text = str(args[0]) % args[1:] if len(args) > 1 else str(args[0] if args else "")
        if kwargs.get("exc_info"):
            import traceback

            text = f"{text}\n{traceback.format_exc()}"
        self._context.emit("message", level=level, text=text)


class _FileSink:
    """A caller's open file as a log."""

    __slots__ = ("_fd",)

    def __init__(self, file: int | IO[str]) -> None:
        self._fd = file if isinstance(file, int) else file.fileno()

    def fileno(self) -> int:
        return self._fd

    def write(self, text: str) -> None:
        os.write(self._fd, text.encode(errors="surrogateescape"))


class _Finalisable:
    """After a cancellation has reached the recipe, its `finally` blocks get a token and a deadline of their own."""

    __slots__ = ("_context",)

    def __init__(self, context: Context) -> None:
        self._context = context

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, *_rest: object) -> None:
        if kind is not None and issubclass(kind, Cancelled):
            import time

            from hwb.context import CancelToken

            self._context.token = CancelToken()
            self._context.deadline = time.monotonic() + FINALISER_SECONDS


def _check_command(args: tuple[Any, ...], method: str) -> None:
    if not args:
        raise ValueError(f"At least one argument required to {method}().")
    if len(args) == 1 and isinstance(args[0], (list, tuple)):
        raise ValueError(
            f"First argument to `session.{method}` is a list. Did you mean to use `session.{method}(*args)`?"
        )


def _no_program(name: str) -> CommandFailed:
    from hwb.errors import ProgramNotFound

    return ProgramNotFound(
        f"program {name!r} was not found", remedy="install it in the session (session.install), or on this machine"
    )
