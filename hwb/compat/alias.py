"""How can one package have two names, so that each module of it exists once whichever name it is imported by?"""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.abc import Loader
from importlib.machinery import ModuleSpec
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import CodeType, ModuleType

__all__ = ["Alias", "install"]


def install(alias: str, package: str) -> None:
    """Let `import alias` and every `import alias.x` give the modules of `package`."""
    sys.modules[alias] = import_module(package)
    sys.meta_path.insert(0, Alias(alias, package))


class Alias(Loader):
    """A finder and loader of the import system (PEP 451) that hands out modules which have another name already."""

    def __init__(self, alias: str, package: str) -> None:
        self._prefix, self._package = f"{alias}.", package
        self._own: dict[str, ModuleSpec | None] = {}

    def _real(self, name: str) -> str:
        return f"{self._package}.{name.removeprefix(self._prefix)}"

    def find_spec(self, name: str, _path: Sequence[str] | None = None, _target: object = None) -> ModuleSpec | None:
        """A spec for the alias's modules; None for all others, and for those that there are not."""
        if not name.startswith(self._prefix):
            return None
        try:
            module = import_module(self._real(name))
        except ModuleNotFoundError as error:
            if error.name == self._real(name):
                return None
            raise
        spec = ModuleSpec(name, self, is_package=hasattr(module, "__path__"))
        spec.submodule_search_locations = getattr(module, "__path__", None)
        return spec

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        """The module, which is loaded already."""
        module = sys.modules[self._real(spec.name)]
        self._own[spec.name] = module.__spec__
        return module

    def exec_module(self, module: ModuleType) -> None:
        """Nothing is executed; the spec that the import system has replaced is the module's own again."""
        assert module.__spec__ is not None
        module.__spec__ = self._own.pop(module.__spec__.name)

    def get_code(self, name: str) -> CodeType | None:
        """What `python -m` executes."""
        spec = sys.modules[self._real(name)].__spec__
        get_code = getattr(spec.loader, "get_code", None) if spec is not None else None
        code: CodeType | None = get_code(self._real(name)) if get_code is not None else None
        return code
