"""Where what was drawn is kept."""

from __future__ import annotations

import os
from pathlib import Path


def cache_folder(chosen: str | os.PathLike[str] | None) -> Path:
    """The folder for kept files, which need not exist.

    Args:
        chosen: the folder; ``None`` takes ``$METRICFACE_CACHE``, or else ``~/.cache/metricface``.

    Example:
        >>> cache_folder("kept").name
        'kept'
    """
    folder = chosen or os.environ.get("METRICFACE_CACHE") or Path("~", ".cache", "metricface")
    return Path(folder).expanduser()
