"""What does a machine look like that has only the interpreters which a test puts there?"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def program(path: Path, head: bytes = b"\x7fELF fake") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(head)
    path.chmod(0o755)
    return path


def environ(machine: Path, **variables: str) -> dict[str, str]:
    return {"HOME": str(machine / "home"), **variables}
