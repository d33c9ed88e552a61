"""What do setup.cfg and setup.py say about a project, as far as files can tell?"""

from __future__ import annotations

import os

from hwb.analysis.legacy import Legacy
from hwb.analysis.setup_cfg import read_setup_cfg
from hwb.analysis.setup_py import read_setup_py

__all__ = ["read_legacy"]


def read_legacy(folder: str) -> Legacy:
    """Both files together: as in setuptools, what setup.py passes wins over setup.cfg.

    Raises AnalyzeError for a malformed setup.cfg, which setuptools refuses too.
    """
    nothing = Legacy({}, {}, {})
    config, script = os.path.join(folder, "setup.cfg"), os.path.join(folder, "setup.py")
    below = read_setup_cfg(config) if os.path.isfile(config) else nothing
    above = read_setup_py(script) if os.path.isfile(script) else nothing
    given = {key for key, value in above.values.items() if value} | above.computed.keys()
    return Legacy(
        {key: value for key, value in below.values.items() if key not in given} | above.values,
        {key: value for key, value in below.computed.items() if key not in given} | above.computed,
        {key: value for key, value in below.places.items() if key not in given} | above.places,
        above.complete,
        above.problem,
    )
