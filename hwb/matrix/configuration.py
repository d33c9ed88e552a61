"""Where is everything that configures a project's matrix, read once?"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from hwb.errors import ConfigError
from hwb.matrix.cibuildwheel import file_layers, variable_layers
from hwb.matrix.layers import defaults
from hwb.matrix.places import Places
from hwb.matrix.table import Own, own_layers, read_file, read_own

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hwb.config import Settings
    from hwb.matrix.layers import Layer
    from hwb.target import System

__all__ = ["Configuration", "read_configuration"]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Configuration:
    """All places of options, unmerged: `[tool.cibuildwheel]`, the `CIBW_*` variables and `[tool.hwb.matrix]`."""

    cibuildwheel: Mapping[str, Any] = field(default_factory=dict)
    places: Places = field(default_factory=lambda: Places("pyproject.toml", "", ()))
    environ: Mapping[str, str] = field(default_factory=dict)
    own: Own = field(default_factory=Own)

    def layers(self, system: System) -> tuple[Layer, ...]:
        """Every place for a system, lowest first. Raises ConfigError for what is wrong in any of them."""
        below = file_layers(self.cibuildwheel, self.places, system)
        return (defaults(system), *below, *variable_layers(self.environ, system), *own_layers(self.own, system))


def read_configuration(
    root: str, settings: Settings, environ: Mapping[str, str], file: str | None = None
) -> Configuration:
    """Read a project's files; `file` (`--config`) takes the place of `[tool.hwb.matrix]`. Raises ConfigError."""
    from hwb.toml import parse_toml, read_bytes

    name = "pyproject.toml"
    data = read_bytes(os.path.join(root, name)) or b""
    text = data.decode("utf-8-sig", "replace")
    tool = parse_toml(data, name).get("tool", {}) if b"cibuildwheel" in data else {}
    table = tool.get("cibuildwheel", {}) if isinstance(tool, dict) else {}
    places = Places(name, text.replace("\r\n", "\n"), ("tool", "cibuildwheel"))
    if not isinstance(table, dict):
        raise ConfigError("tool.cibuildwheel must be a table", where=places.of())
    variables = {key: value for key, value in environ.items() if key.startswith("CIBW_")}
    return Configuration(table, places, variables, _own(root, settings, file))


def _own(root: str, settings: Settings, file: str | None) -> Own:
    if file is not None:
        return read_own(*read_file(file))
    source = settings.source("matrix").rpartition(":")[0]
    if not source:
        return Own()
    with open(os.path.join(root, source), encoding="utf-8-sig") as handle:
        text = handle.read()
    prefix = ("tool", "hwb", "matrix") if os.path.basename(source) == "pyproject.toml" else ("matrix",)
    return read_own(settings.get("matrix"), Places(source, text, prefix))
