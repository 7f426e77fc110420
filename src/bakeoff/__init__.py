"""bakeoff: this trained detector, on this machine: which runtime to deploy, and what it costs in accuracy.

    import bakeoff
    run = bakeoff.run("model.pt", data="data.yaml")
    run.table()

Names are loaded on first use, so that `import bakeoff` costs nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bakeoff.version import __version__

if TYPE_CHECKING:
    from bakeoff.api import Compared as Compared
    from bakeoff.api import Run as Run
    from bakeoff.api import compare as compare
    from bakeoff.api import import_table as import_table
    from bakeoff.api import predict as predict
    from bakeoff.api import run as run
    from bakeoff.api import tune as tune
    from bakeoff.errors import BakeoffError as BakeoffError

__all__ = ["BakeoffError", "Compared", "Run", "__version__", "compare", "import_table", "predict", "run", "tune"]


def __getattr__(name: str) -> Any:
    if name in __all__ and name not in ("BakeoffError", "__version__"):
        from bakeoff import api

        return getattr(api, name)
    if name == "BakeoffError":
        from bakeoff.errors import BakeoffError

        return BakeoffError
    raise AttributeError(f"module 'bakeoff' has no attribute {name!r}")
