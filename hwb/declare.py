"""How does a Python function become a recipe? With `@hwb.recipe` and `@hwb.parametrize`, checked where it stands."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar, overload

from hwb.errors import HwbfileError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    Function = TypeVar("Function", bound=Callable[..., Any])

__all__ = ["MARK", "PARAMS", "REGISTERED", "ParamSet", "Recipe", "param", "parametrize", "recipe"]

REGISTERED = "__hwb_recipes__"
"""Name of the list, in the globals of the module that declares, that every declaration is appended to."""
MARK = "__hwb_recipe__"
PARAMS = "__hwb_params__"
ISOLATIONS = ("auto", "venv", "none")


@dataclass(frozen=True, slots=True)
class ParamSet:
    """One parametrisation: argument values, the id it is called by, tags that its session gets."""

    values: Mapping[str, Any]
    id: str | None = None
    tags: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """What stands between the parentheses of the session's name."""
        return self.id or ", ".join(f"{name}={value!r}" for name, value in self.values.items())

    def merged(self, other: ParamSet) -> ParamSet:
        """The combination of two parametrisations (stacked decorators multiply)."""
        return ParamSet({**self.values, **other.values}, ", ".join((self.text, other.text)), (*self.tags, *other.tags))


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class _Param:
    """What `param` returns: values not yet tied to names."""

    args: tuple[Any, ...]
    id: str | None
    tags: tuple[str, ...]


def param(*args: Any, id: str | None = None, tags: Iterable[str] | None = None) -> Any:  # noqa: A002 - nox's name
    """One set of values for `parametrize`, with an id for the session's name and tags for its session."""
    return _Param(args, id, tuple(tags or ()))


def parametrize(
    arg_names: str | Sequence[str],
    arg_values_list: Iterable[Any] | Any,
    ids: Iterable[str | None] | None = None,
    tags: Iterable[Sequence[str]] | None = None,
) -> Callable[[Function], Function]:
    """Run the recipe once for each set of values, each as a session of its own (nox's semantics).

    `arg_names` is "a", "a,b" or a list; with one name, values are a list (or one single value), with several, a list
    of tuples. Stacked decorators give the product. A parameter called `python` that the function does not take
    chooses the interpreter.
    """
    frame = sys._getframe(1)
    where = f"{frame.f_code.co_filename}:{frame.f_lineno}"
    names = _names(arg_names, where)
    rows = _rows(names, arg_values_list)
    sets = [_param_set(names, row, where) for row in _with_ids(rows, list(ids or ()), list(tags or ()))]

    def decorate(function: Function) -> Function:
        known = getattr(function, PARAMS, None)
        combined = sets if known is None else [old.merged(new) for new in sets for old in known]
        setattr(function, PARAMS, combined)
        return function

    return decorate


def _names(arg_names: str | Sequence[str], where: str) -> tuple[str, ...]:
    parts = arg_names.split(",") if isinstance(arg_names, str) else arg_names
    names = tuple(name.strip() for name in parts if name.strip())
    if not names or not all(name.isidentifier() for name in names):
        raise HwbfileError(f"parametrize: {arg_names!r} names no arguments", where=where, remedy='write "a" or "a, b"')
    return names


def _rows(names: tuple[str, ...], values: Any) -> list[Any]:
    if len(names) > 1:
        return [values] if isinstance(values, _Param) else list(values)
    many = isinstance(values, (list, tuple, range)) or hasattr(values, "__next__")
    return [row if isinstance(row, _Param) else (row,) for row in (values if many else [values])]


def _with_ids(rows: list[Any], ids: list[str | None], tags: list[Sequence[str]]) -> Iterable[_Param]:
    for number, row in enumerate(rows):
        if isinstance(row, _Param):
            yield row
        else:
            own_tags = tuple(tags[number]) if number < len(tags) else ()
            yield _Param(tuple(row), ids[number] if number < len(ids) else None, own_tags)


def _param_set(names: tuple[str, ...], row: _Param, where: str) -> ParamSet:
    if len(row.args) != len(names):
        what = f"parametrize: {len(names)} argument(s) {', '.join(names)} but {len(row.args)} value(s) {row.args!r}"
        raise HwbfileError(what, where=where, remedy="give each set one value per name")
    return ParamSet(dict(zip(names, row.args)), row.id, row.tags)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Recipe:
    """A declared function: `options` holds only the keywords that were written, `where` is file:line."""

    name: str
    function: Callable[..., Any]
    options: Mapping[str, Any]
    file: str
    line: int
    layer: str = ""
    params: tuple[ParamSet, ...] | None = field(default=None)

    @property
    def where(self) -> str:
        """file:line of the declaration."""
        return f"{self.file}:{self.line}"

    @property
    def doc(self) -> str:
        """The first line of its docstring."""
        text = (self.function.__doc__ or "").strip()
        return text.splitlines()[0].strip() if text else ""


@overload
def recipe(function: Function, /) -> Function: ...
@overload
def recipe(
    function: None = None,
    /,
    *,
    python: str | Sequence[str] | bool | None = ...,
    py: str | Sequence[str] | bool | None = ...,
    reuse_venv: bool | None = ...,
    name: str | None = ...,
    venv_backend: str | None = ...,
    venv_params: Sequence[str] = ...,
    tags: Sequence[str] | None = ...,
    default: bool | None = ...,
    requires: Sequence[str] | None = ...,
    download_python: str | None = ...,
    allow_parallel: bool | None = ...,
    after: Sequence[str] | None = ...,
    isolation: str | None = ...,
    process: bool = ...,
    timeout: float | None = ...,
    retries: int = ...,
    resources: Sequence[str] | Mapping[str, int] | None = ...,
    override: bool = ...,
    targets: bool = ...,
    all_targets: bool = ...,
) -> Callable[[Function], Function]: ...
def recipe(function: Any = None, /, **keywords: Any) -> Any:
    """Declare a recipe: a function that takes the session.

    Every keyword of `nox.session` with nox's meaning, and: `after` (order only), `isolation` (auto, venv, none),
    `process` (run in a process of its own), `timeout` (seconds for the session), `retries` (how often more),
    `resources` (a list of mutexes, or a table of weights), `override` (an error unless a lower layer has this name),
    `targets` (a session for each wheel that the project needs, which `session.target` tells), `all_targets` (if the
    project has extension modules, `build`, `repair`, `check`, `test` in its `requires` mean `matrix`: every wheel).
    Keywords that are not given are inherited from the layer below. Raises HwbfileError with file:line.
    """
    caller = sys._getframe(1)
    if function is None:
        return lambda target: _declare(target, keywords, caller.f_globals, caller)
    return _declare(function, keywords, caller.f_globals, caller)


def _declare(function: Any, keywords: dict[str, Any], module: dict[str, Any], caller: Any) -> Any:
    code = getattr(function, "__code__", None)
    where = f"{code.co_filename}:{code.co_firstlineno}" if code else f"{caller.f_code.co_filename}:{caller.f_lineno}"
    if not callable(function) or code is None:
        raise HwbfileError(f"@hwb.recipe stands on {function!r}, which is no function", where=where)
    options = _checked(keywords, function.__name__, where)
    _check_session_argument(function, where)
    name = options.pop("name", None) or function.__name__
    declared = Recipe(name, function, options, code.co_filename, code.co_firstlineno)
    module.setdefault(REGISTERED, []).append(declared)
    setattr(function, MARK, declared)
    return function


def _check_session_argument(function: Any, where: str) -> None:
    """Checked without `inspect`: its import is a tenth of the whole start-up."""
    code = function.__code__
    takes_any = bool(code.co_flags & 0x04)
    if code.co_argcount < 1 and not takes_any:
        raise HwbfileError(
            f"recipe {function.__name__}{_signature(function)} takes no session",
            where=where,
            remedy=f"write: def {function.__name__}(session):",
        )


def _signature(function: Any) -> str:
    import inspect

    return str(inspect.signature(function))


def check_parameters(declared: Recipe) -> None:
    """Whether the function takes what parametrize gives, and nothing that nobody gives; raises HwbfileError."""
    code = declared.function.__code__
    names = code.co_varnames[1 : code.co_argcount + code.co_kwonlyargcount]
    given = set(declared.params[0].values) if declared.params else set()
    takes_any = bool(code.co_flags & 0x08)
    unknown = [name for name in given if name not in names and name != "python" and not takes_any]
    optional = len(declared.function.__defaults__ or ())
    required = set(code.co_varnames[1 : code.co_argcount - optional])
    required |= {n for n in names[max(code.co_argcount - 1, 0) :] if n not in (declared.function.__kwdefaults__ or {})}
    missing = sorted(required - given)
    if unknown or missing:
        what = f"parametrize gives {', '.join(unknown)}" if unknown else f"nothing gives {', '.join(missing)}"
        raise HwbfileError(
            f"recipe {declared.name!r}: {what}, and the function is {declared.function.__name__}"
            f"{_signature(declared.function)}",
            where=declared.where,
            remedy="a recipe takes the session and what @hwb.parametrize names",
        )


# --- keywords -----------------------------------------------------------------------------------------------


def _text_list(value: Any) -> tuple[str, ...]:
    if isinstance(value, str) or not all(isinstance(item, str) for item in value):
        raise ValueError("a list of strings")
    return tuple(value)


def _python(value: Any) -> Any:
    from hwb.pyspec import parse_spec

    if value is None or isinstance(value, bool):
        return value
    for spec in [value] if isinstance(value, str) else value:
        if not isinstance(spec, str):
            raise ValueError('strings such as "3.12" (3.10 without quotes is the number 3.1)')
        parse_spec(spec)
    return value if isinstance(value, str) else tuple(dict.fromkeys(value))


def _backend(value: Any) -> Any:
    if value == "none":  # what every shipped recipe says that needs no environment: saves an import at start-up
        return value
    from hwb.isolation.backends import parse_backend

    if value is not None:
        parse_backend(value)
    return value


def _positive(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or value <= 0:
        raise ValueError("a number of seconds above 0")
    return float(value)


def _count(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ValueError("a whole number, 0 or more")
    return value


def _boolean(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError("True or False")
    return value


def _isolation(value: Any) -> str:
    if value not in ISOLATIONS:
        raise ValueError(" or ".join(ISOLATIONS))
    return str(value)


def _resources(value: Any) -> dict[str, int]:
    if isinstance(value, str):
        raise ValueError("a list of mutex names, or a table of weights")
    table = dict(value) if hasattr(value, "items") else dict.fromkeys(value, 1)
    if not all(isinstance(name, str) and isinstance(n, int) and n > 0 for name, n in table.items()):
        raise ValueError("names with whole numbers above 0")
    return table


def _download(value: Any) -> str:
    if value not in ("auto", "never", "always"):
        raise ValueError('"auto", "never" or "always"')
    return str(value)


def _name(value: Any) -> Any:
    if value is not None and (not isinstance(value, str) or not value or any(c in value for c in " \t\n(),*/\\|'\"")):
        raise ValueError("a name without spaces, quotes, parentheses, commas or slashes")
    return value


_KEYWORDS: dict[str, Callable[[Any], Any]] = {
    "python": _python,
    "reuse_venv": _boolean,
    "name": _name,
    "venv_backend": _backend,
    "venv_params": _text_list,
    "tags": _text_list,
    "default": _boolean,
    "requires": _text_list,
    "download_python": _download,
    "allow_parallel": _boolean,
    "after": _text_list,
    "isolation": _isolation,
    "process": _boolean,
    "timeout": _positive,
    "retries": _count,
    "resources": _resources,
    "override": _boolean,
    "targets": _boolean,
    "all_targets": _boolean,
}


def _checked(keywords: dict[str, Any], name: str, where: str) -> dict[str, Any]:
    """The keywords that were written, each validated; None means not written, except for `python`."""
    if "py" in keywords:
        if "python" in keywords:
            raise HwbfileError(f"recipe {name!r}: py and python are the same keyword", where=where)
        keywords = {("python" if key == "py" else key): value for key, value in keywords.items()}
    checked: dict[str, Any] = {}
    for key, value in keywords.items():
        if key not in _KEYWORDS:
            raise _unknown_keyword(key, name, where)
        if value is None and key not in ("python", "timeout"):
            continue
        if value is None and key == "timeout":
            checked[key] = None
            continue
        try:
            checked[key] = _KEYWORDS[key](value)
        except (ValueError, TypeError) as error:
            what = f"recipe {name!r}: {key}={value!r} is not possible: {error}"
            raise HwbfileError(what, where=where, remedy=f"give {key} a value it can have") from error
    return checked


def _unknown_keyword(key: str, name: str, where: str) -> HwbfileError:
    from difflib import get_close_matches

    near = get_close_matches(key, [*_KEYWORDS, "py"], 1)
    hint = f"did you mean {near[0]}=?" if near else ""
    accepted = ", ".join(f"{known}=" for known in _KEYWORDS)
    return HwbfileError(
        f"recipe {name!r}: @hwb.recipe has no keyword {key!r}; it is recipe({accepted})", where=where, remedy=hint
    )
