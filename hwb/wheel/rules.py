"""Which rules are there? Importing this module registers those for wheels."""

from __future__ import annotations

from hwb.wheel import (
    rules_compiled,
    rules_contents,
    rules_entry,
    rules_metadata,
    rules_names,
    rules_native,
    rules_platform,
    rules_record,
)
from hwb.wheel.model import ARCHIVE_RULES, SDIST_RULES, WHEEL_RULES, Rule

__all__ = ["ARCHIVE_RULES", "FILE_NAME", "SDIST_RULES", "WHEEL_RULES", "applies_to", "every_rule"]

MODULES = (
    rules_names,
    rules_record,
    rules_metadata,
    rules_entry,
    rules_contents,
    rules_native,
    rules_platform,
    rules_compiled,
)
"""By subject; each registers its rules when it is imported."""

FILE_NAME = Rule(
    "file-name",
    "P13",
    False,
    "The file is a wheel (.whl) or an sdist (.tar.gz, PEP 625).",
    "check only what a build made",
)
"""What is neither is not looked into."""


def every_rule() -> dict[str, Rule]:
    """Every rule by its id, those of the reader first."""
    from hwb.wheel import rules_sdist

    assert rules_sdist is not None  # importing it registers the rules for sdists
    in_order(WHEEL_RULES)
    in_order(SDIST_RULES)
    return {**ARCHIVE_RULES, FILE_NAME.id: FILE_NAME, **WHEEL_RULES, **SDIST_RULES}


def in_order(rules: dict[str, Rule]) -> None:
    """Put rules into the order of their modules, whichever of these somebody imported first."""
    modules = [module.__name__ for module in MODULES]

    def place(rule: Rule) -> int:
        name = getattr(rule.check, "__module__", "")
        return modules.index(name) if name in modules else len(modules)

    found = sorted(rules.items(), key=lambda item: place(item[1]))  # within a module the order stays
    rules.clear()
    rules.update(found)


in_order(WHEEL_RULES)


def applies_to(rule_id: str) -> str:
    """Which files a rule looks at: `wheel`, `sdist`, or `both`."""
    wheel, sdist = rule_id in WHEEL_RULES, rule_id in SDIST_RULES or rule_id == "archive-top"
    return "both" if wheel == sdist else "wheel" if wheel else "sdist"
