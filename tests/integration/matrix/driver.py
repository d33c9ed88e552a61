"""What does cibuildwheel answer to many questions in one process? Run by the Python of an environment that has it.

Reads a JSON list of `{"folder", "platform", "environ", "options"}`; writes a list of `{"identifiers", "options"}`, or of
`{"error"}`. `options` asks for the merged options of every identifier too, or of those that `of` lists.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import sys
from pathlib import Path

from cibuildwheel.__main__ import main
from cibuildwheel.options import CommandLineArguments, Options

NAMES = ("before_all", "before_build", "before_test", "test_command", "test_sources", "test_requires", "test_extras")
NAMES += ("test_groups", "config_settings", "build_verbosity", "repair_command")


def answer(job: dict) -> dict:
    os.environ.clear()
    os.environ.update(job["environ"])
    os.chdir(job["folder"])
    sys.argv = ["cibuildwheel", "--print-build-identifiers", "--platform", job["platform"], "."]
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            main()
        except SystemExit as ended:
            if ended.code not in (None, 0):
                return {"error": out.getvalue() + err.getvalue()}
    found = job.get("of") or out.getvalue().split()
    return {"identifiers": found, "options": merged(job, found) if job.get("options") else {}}


def merged(job: dict, identifiers: list[str]) -> dict:
    arguments = CommandLineArguments.defaults()
    arguments.package_dir = Path(job["folder"])
    options = Options(platform=job["platform"], command_line_arguments=arguments, env=job["environ"])
    return {identifier: row(options.build_options(identifier), identifier) for identifier in identifiers}


def answered(command: list[str], environ: dict) -> str:
    """`$(command)` without running it."""
    return f"answer of {' '.join(command)}\n"


def row(options: object, identifier: str) -> dict:
    found = {name: getattr(options, name) for name in NAMES}
    for name in ("environment", "test_environment"):
        found[name] = getattr(options, name).as_dictionary({"PATH": "bin"}, answered)
    found["frontend"] = [options.build_frontend.name, list(options.build_frontend.args)]
    family, _, arch = identifier.partition("-")[2].partition("_")
    images = {"manylinux": options.manylinux_images, "musllinux": options.musllinux_images}.get(family)
    return {**found, "image": images[arch] if images else ""}


if __name__ == "__main__":
    jobs = json.load(sys.stdin)
    path = dict(os.environ)
    answers = [answer({**job, "environ": {"PATH": path.get("PATH", ""), **job["environ"]}}) for job in jobs]
    sys.__stdout__.write(json.dumps(answers))
