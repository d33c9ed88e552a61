"""How do callers with an event loop and an isolation strategy of their own build a wheel?"""

from __future__ import annotations

import os
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from hwb.errors import HwbError

if TYPE_CHECKING:
    from hwb.builder.api import BuildResult
    from hwb.isolation.protocol import BuildEnvironment, IsolationStrategy
    from hwb.project import ProjectMetadata

__all__ = ["BuildEngine"]


class BuildEngine:
    """Builds wheels in environments that `isolation` makes; files go to `output_dir` (default `dist`, made if missing).

    Failures are results here (`success` is False, `error_code` says of what kind), never exceptions; cancelling the
    task ends the build's processes. `hwb.build` is the same without an event loop, and raises.
    """

    def __init__(self, isolation: IsolationStrategy, output_dir: str | os.PathLike[str] | None = None) -> None:
        self.isolation = isolation
        self.output_dir = Path(output_dir) if output_dir is not None else Path("dist")
        self.output_dir.mkdir(parents=True, exist_ok=True)

    async def build_wheel(
        self, source_path: str | os.PathLike[str], metadata: ProjectMetadata, python_version: str = "3.12"
    ) -> BuildResult:
        """Make the environment, install the build requirements, ask the backend, validate; clean up in every case."""
        from hwb.builder.api import failed
        from hwb.builder.log import RecordedLog
        from hwb.isolation.protocol import in_thread

        started = time.monotonic()
        requirements = list(metadata.backend.requirements) if metadata.backend is not None else []
        with RecordedLog() as log:
            try:
                environment = await self.isolation.create_environment(python_version, requirements)
                async with environment:
                    result = await in_thread(lambda: self._build(os.fspath(source_path), environment, log))
            except HwbError as error:
                return failed(error, log.text, time.monotonic() - started)
            return replace(result, build_log=log.text, duration_seconds=time.monotonic() - started)

    def _build(self, source_path: str, environment: BuildEnvironment, log: object) -> BuildResult:
        from hwb.builder.api import result_of
        from hwb.builder.engine import build_project
        from hwb.builder.options import BuildOptions, Source
        from hwb.builder.where import prepared_of
        from hwb.context import current, use

        interpreter, prepared = prepared_of(environment)
        options = BuildOptions((interpreter,), sdist=False, prepared={interpreter.identity: prepared}, cache=False)
        with use(current().but(log=log)):
            built = build_project(Source(source_path), str(self.output_dir), options)
            return result_of(built, str(self.output_dir))
