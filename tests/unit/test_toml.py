"""Are TOML files read, and is every key found in its line?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hwb.toml import key_lines, load_toml, parse_toml

if TYPE_CHECKING:
    from pathlib import Path


def test_load_toml(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text("a = 1")
    assert load_toml(str(tmp_path / "pyproject.toml")) == {"a": 1}
    assert load_toml(str(tmp_path / "gone.toml")) == {}
    assert parse_toml("b = 2") == {"b": 2}


def test_key_lines() -> None:
    text = """\
[project]
name = "x" # [not.a.table]
"quoted key" . 'b' = 1
[tool.hwb]
a = [
  "x", {b = 1, c = {d = 2}},
]
multi = '''
foo = 1
'''
esc = "a \\" b = 1"
basic = \"\"\"
bar = "1"
\"\"\"
inline = { x = 1.5, y.z = 2020-01-01, w = [ {v = 1} ] }
after = {}
[[tool.x]]
y = true
[[tool.x]]
y = false
"""
    lines = key_lines(text)
    assert lines[("project", "name")] == 2
    assert lines[("project", "quoted key", "b")] == 3
    assert lines[("tool", "hwb", "a")] == 5
    assert lines[("tool", "hwb", "multi")] == 8
    assert ("tool", "hwb", "foo") not in lines
    assert lines[("tool", "hwb", "esc")] == 11
    assert lines[("tool", "hwb", "basic")] == 12
    assert lines[("tool", "hwb", "inline", "y", "z")] == 15
    assert lines[("tool", "hwb", "after")] == 16
    assert lines[("tool", "x", "y")] == 18
