"""How do the top-level `recipes` and `templates` get into the wheel? As `hwb/recipes` and `hwb/templates`."""

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class ShippedFiles(BuildHookInterface):
    def initialize(self, version: str, build_data: dict) -> None:
        # An editable install reads them beside the package; forcing them in would leave stale copies.
        if version != "editable":
            build_data["force_include"].update({"recipes": "hwb/recipes", "templates": "hwb/templates"})
