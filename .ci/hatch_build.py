"""How do files that stand elsewhere in the repository get into the wheel?

The top-level `recipes` and `templates` as `hwb/recipes` and `hwb/templates`; `hwb/compat/headless_wheel_builder.py` as
the package `headless_wheel_builder`.
"""

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

ALIAS = {"hwb/compat/headless_wheel_builder.py": "headless_wheel_builder/__init__.py"}


class ShippedFiles(BuildHookInterface):
    def initialize(self, version: str, build_data: dict) -> None:
        # An editable install reads them beside the package; forcing them in would leave stale copies. The alias is only
        # a line that names a module: a copy of that does not age.
        if version == "editable":
            build_data["force_include_editable"].update(ALIAS)
        else:
            build_data["force_include"].update({"recipes": "hwb/recipes", "templates": "hwb/templates", **ALIAS})
