"""Which recipes are there, and which layer does each come from?

Layers, lowest first: shipped, plugins (entry points in group `hwb.recipes`), the organisation's file, the repository's
`hwbfile.py`. A later one overrides by name. User files are executed; their byte code goes into the store.
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass, replace
from types import ModuleType
from typing import TYPE_CHECKING, Any

from hwb import places
from hwb.declare import MARK, PARAMS, REGISTERED, Recipe, check_parameters
from hwb.errors import HwbfileError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

__all__ = ["HWBFILE", "OWN_LAYERS", "Catalog", "Entry", "find_hwbfile", "load_catalog"]

HWBFILE = "hwbfile.py"
SHIPPED, PLUGIN, ORGANISATION, USER = "shipped", "plugin", "organisation", "hwbfile"
OWN_LAYERS = (USER, ORGANISATION)
"""Layers whose recipes are the user's own: what a bare run or a filter alone may run."""
_NOT_INHERITED = frozenset({"override"})


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Entry:
    """A recipe name with every layer's declaration of it, the one that counts first."""

    chain: tuple[Recipe, ...]

    @property
    def top(self) -> Recipe:
        """The declaration that runs."""
        return self.chain[0]

    @property
    def name(self) -> str:
        """What it is called by."""
        return self.top.name

    def option(self, key: str, default: Any = None) -> Any:
        """The keyword's value: from the highest layer that wrote it (a keyword not given is inherited)."""
        for recipe in self.chain:
            if key in recipe.options and (recipe is self.top or key not in _NOT_INHERITED):
                return recipe.options[key]
        return default

    @property
    def is_default(self) -> bool:
        """Whether a bare `hwb run` runs it: nox's default for new recipes; shipped ones and overrides of them never."""
        return bool(self.option("default", self.chain[-1].layer in OWN_LAYERS))

    @property
    def doc(self) -> str:
        """One line that says what it does."""
        return next((recipe.doc for recipe in self.chain if recipe.doc), "")


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Catalog:
    """All recipes by name, in order of first declaration, and what was noticed while loading."""

    entries: Mapping[str, Entry]
    warnings: tuple[str, ...] = ()
    hwbfile: str | None = None

    def __getitem__(self, name: str) -> Entry:
        """The entry, or a UsageError that names the nearest ones."""
        if name in self.entries:
            return self.entries[name]
        raise UsageError(f"there is no recipe {name!r}", remedy=near(name, self.entries) or "hwb recipes list")

    def __iter__(self) -> Iterator[Entry]:
        return iter(self.entries.values())


def near(name: str, known: Iterable[str]) -> str:
    """A hint that names what was probably meant; empty when nothing is close."""
    from difflib import get_close_matches

    found = get_close_matches(name, list(known), 3, 0.6)
    return f"did you mean {' or '.join(found)}?" if found else ""


def one_edit_apart(one: str, other: str) -> bool:
    """Whether one typing mistake (a letter more, less, wrong, or two exchanged) makes the one out of the other."""
    if one == other or abs(len(one) - len(other)) > 1 or min(len(one), len(other)) < 3:
        return False
    start = next((n for n, (a, b) in enumerate(zip(one, other)) if a != b), min(len(one), len(other)))
    a, b = one[start:], other[start:]
    if len(a) != len(b):
        return a[1:] == b or a == b[1:]
    return a[1:] == b[1:] or (a[:2] == b[1::-1] and a[2:] == b[2:])


def find_hwbfile(start: str) -> str | None:
    """`hwbfile.py` in `start` or the nearest directory above it, up to the top of the repository.

    Beyond the directory that holds `.git` nothing is executed: what lies there belongs to somebody else.
    """
    directory = os.path.abspath(start)
    while True:
        candidate = os.path.join(directory, HWBFILE)
        if os.path.isfile(candidate):
            return candidate
        parent = os.path.dirname(directory)
        if parent == directory or os.path.exists(os.path.join(directory, ".git")):
            return None
        directory = parent


def load_catalog(hwbfile: str | None, organisation: str | None = None) -> Catalog:
    """Load every layer; raises HwbfileError with file:line for anything wrong in one of them."""
    layers = [(SHIPPED, list(_shipped())), (PLUGIN, list(_plugins()))]
    if organisation is not None:
        layers.append((ORGANISATION, _recipes_of(_execute(organisation, "hwb_organisation_recipes"))))
    if hwbfile is not None:
        layers.append((USER, _recipes_of(_execute(hwbfile, "hwbfile"))))
    entries: dict[str, Entry] = {}
    warnings: list[str] = []
    for layer, recipes in layers:
        _add_layer(entries, layer, recipes, warnings)
    return Catalog(entries, tuple(warnings), hwbfile)


def _add_layer(entries: dict[str, Entry], layer: str, recipes: list[Recipe], warnings: list[str]) -> None:
    seen: dict[str, Recipe] = {}
    below = list(entries)
    for declared in recipes:
        recipe = replace(declared, layer=layer, params=_params(declared))
        if recipe.name in seen and layer != PLUGIN:
            raise HwbfileError(
                f"recipe {recipe.name!r} is declared twice; the first one is at {seen[recipe.name].where}",
                where=recipe.where,
                remedy="give one of them another name, or remove it",
            )
        check_parameters(recipe)
        seen[recipe.name] = recipe
        lower = entries.get(recipe.name)
        if lower is None:
            _check_new(recipe, below, warnings)
        entries[recipe.name] = Entry((recipe, *(lower.chain if lower else ())))


def _params(declared: Recipe) -> Any:
    """parametrize may stand above or below @hwb.recipe: it is read when the module is complete."""
    sets = getattr(declared.function, PARAMS, None)
    return None if sets is None else tuple(sets)


def _check_new(recipe: Recipe, below: list[str], warnings: list[str]) -> None:
    if recipe.options.get("override"):
        hint = near(recipe.name, below)
        raise HwbfileError(
            f"recipe {recipe.name!r} says override=True, and nothing below has that name",
            where=recipe.where,
            remedy=hint or "hwb recipes list shows what can be overridden",
        )
    twin = next((name for name in below if one_edit_apart(recipe.name, name)), None)
    if twin is not None and recipe.layer != SHIPPED:
        warnings.append(f"{recipe.where}: recipe {recipe.name!r} is new; did you mean to override {twin!r}?")


# --- shipped and plugins ------------------------------------------------------------------------------------


def _shipped() -> Iterator[Recipe]:
    folder = places.recipes_dir()
    for file in sorted(os.listdir(folder)):
        if file.endswith(".py") and not file.startswith("_"):
            yield from _recipes_of(_import_shipped(f"hwb.recipes.{file[:-3]}", os.path.join(folder, file)))


def _import_shipped(name: str, path: str) -> ModuleType:
    """Shipped files are trusted and installed: Python's own byte code cache beside them serves."""
    if name in sys.modules:
        return sys.modules[name]
    from importlib.machinery import SourceFileLoader

    module = ModuleType(name)
    module.__file__ = path
    loader = SourceFileLoader(name, path)
    module.__loader__ = loader
    sys.modules[name] = module
    try:
        loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _plugins() -> Iterator[Recipe]:
    """Entry points in group `hwb.recipes`: each names a module. Read without importlib.metadata, which costs 30 ms."""
    for name, target in sorted(_entry_points()):
        from importlib import import_module

        try:
            module = import_module(target.partition(":")[0])
        except Exception as error:  # a plugin is somebody else's code: whatever it raises is reported as its own
            what = f"plugin {name!r} ({target}) cannot be imported: {type(error).__name__}: {error}"
            raise HwbfileError(what, remedy="uninstall or mend the plugin") from error
        yield from _recipes_of(module)


def _entry_points() -> Iterator[tuple[str, str]]:
    seen: set[str] = set()
    for directory in sys.path:
        try:
            names = os.listdir(directory or ".")
        except OSError:
            continue
        for name in names:
            if name.endswith((".dist-info", ".egg-info")) and name not in seen:
                seen.add(name)
                yield from _group_of(os.path.join(directory, name, "entry_points.txt"))


def _group_of(path: str) -> Iterator[tuple[str, str]]:
    try:
        with open(path, encoding="utf-8") as handle:
            text = handle.read()
    except (OSError, UnicodeDecodeError):
        return
    if "hwb.recipes" not in text:
        return
    inside = False
    for line in map(str.strip, text.splitlines()):
        if line.startswith("["):
            inside = line == "[hwb.recipes]"
        elif inside and "=" in line:
            name, _, target = line.partition("=")
            yield name.strip(), target.strip()


# --- user files ---------------------------------------------------------------------------------------------


def _recipes_of(module: ModuleType) -> list[Recipe]:
    """What the module declared, and decorated functions that it imported from a helper module."""
    own: list[Recipe] = list(vars(module).get(REGISTERED, ()))
    functions = {id(recipe.function) for recipe in own}
    for value in list(vars(module).values()):
        declared = getattr(value, MARK, None) if callable(value) else None
        if isinstance(declared, Recipe) and id(declared.function) not in functions:
            functions.add(id(declared.function))
            own.append(declared)
    return own


def _execute(path: str, name: str) -> ModuleType:
    """Run a user's file as a module called `name`; its directory is first on sys.path meanwhile, and last afterwards.

    Last, because hwb imports what it needs when it needs it: a repository that has a `packaging` or `click` directory
    at its top (those projects themselves have) must not be imported in place of the installed one.
    """
    path = os.path.abspath(path)
    directory = os.path.dirname(path)
    _cache_bytecode_in_store(directory)
    sys.path.insert(0, directory)
    module = ModuleType(name)
    module.__file__ = path
    sys.modules[name] = module
    try:
        code = _compiled(path)
        exec(code, module.__dict__)
    except HwbfileError:
        raise
    except SyntaxError as error:
        where = f"{error.filename or path}:{error.lineno or 1}"  # a NUL byte has no place
        what = f"syntax error: {error.msg}: {(error.text or '').strip()}"
        raise HwbfileError(what, where=where, remedy="mend that line") from error
    except (Exception, SystemExit) as error:  # whatever a user's file raises is reported with its own line
        what = f"{os.path.basename(path)} cannot be loaded: {type(error).__name__}: {error}"
        raise HwbfileError(what, where=_last_line(error, directory, path), remedy=_load_remedy(error)) from error
    finally:
        sys.path[:] = [*(entry for entry in sys.path if entry != directory), directory]
    return module


def _load_remedy(error: BaseException) -> str:
    if isinstance(error, ModuleNotFoundError):
        return f'declare it at the top of the file:  # /// script\\n# dependencies = ["{error.name}"]\\n# ///'
    return "mend the line above; a hwbfile must only declare recipes when it is loaded"


def _last_line(error: BaseException, directory: str, path: str) -> str:
    """The deepest frame in the user's own files."""
    where, trace = path, error.__traceback__
    while trace is not None:
        file = trace.tb_frame.f_code.co_filename
        if file.startswith(directory + os.sep) and os.sep + "site-packages" + os.sep not in file:
            where = f"{file}:{trace.tb_lineno}"
        trace = trace.tb_next
    return where


def _compiled(path: str) -> Any:
    """The file's code object, from the store when the same text was compiled by the same Python before."""
    import marshal

    try:
        with open(path, "rb") as handle:
            source = handle.read()
    except OSError as error:
        raise HwbfileError(f"{path} cannot be read: {error.strerror}", where=path) from error
    cached = _bytecode_path(path, source)
    try:
        with open(cached, "rb") as handle:
            return marshal.load(handle)
    except (OSError, EOFError, ValueError, TypeError):
        pass
    code = compile(source, path, "exec", dont_inherit=True)
    _remember(cached, marshal.dumps(code))
    return code


def _bytecode_path(path: str, source: bytes) -> str:
    tag = sys.implementation.cache_tag or "python"
    key = _sha256()(b"\0".join((path.encode(errors="surrogateescape"), sys.version.encode(), source))).hexdigest()
    return os.path.join(places.cache_dir(), "bytecode", f"{key[:40]}.{tag}")


def _sha256() -> Any:
    """Python's own module behind hashlib where there is one: hashlib loads OpenSSL, a tenth of the start-up."""
    from importlib import import_module

    for name in ("_sha2", "_sha256", "hashlib"):
        try:
            return import_module(name).sha256
        except ImportError:
            continue
    raise AssertionError("hashlib is part of the standard library")


def _remember(path: str, data: bytes) -> None:
    if sys.dont_write_bytecode:
        return
    from hwb.fs import atomic_write

    try:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        atomic_write(path, data, durable=False)
    except OSError:
        pass  # a store that cannot be written costs a millisecond, nothing else


def _cache_bytecode_in_store(directory: str) -> None:
    """Modules that a user's file imports from beside it are compiled into the store, never into `__pycache__`."""
    from importlib.machinery import FileFinder, SourceFileLoader

    class StoreLoader(SourceFileLoader):
        def get_code(self, fullname: str) -> Any:
            return _compiled(self.get_filename(fullname))

    def hook(path: str) -> Any:
        if path != directory and not path.startswith(directory + os.sep):
            raise ImportError
        if os.sep + "site-packages" in path:
            raise ImportError
        return FileFinder(path, (StoreLoader, [".py"]))

    hook.directory = directory  # type: ignore[attr-defined]
    if not any(getattr(known, "directory", None) == directory for known in sys.path_hooks):
        sys.path_hooks.insert(0, hook)
        for path in [p for p in sys.path_importer_cache if p.startswith(directory)]:
            sys.path_importer_cache.pop(path, None)
