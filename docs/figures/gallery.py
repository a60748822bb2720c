"""Run the gallery's page and draw its pictures: ``python docs/figures/gallery.py``."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
from matplotlib.axes import Axes

PAGE = Path(__file__).parents[1] / "gallery.md"
_PARTS = re.compile(r"```python\n(.*?)```|!\[[^\]]*\]\(([^)]+)\)", re.DOTALL)


def drawn() -> Iterator[tuple[Path, Axes]]:
    """Every picture of the page with what its block has drawn, in one namespace."""
    names: dict[str, Any] = {}
    for code, picture in _PARTS.findall(PAGE.read_text(encoding="utf-8")):
        if code:
            exec(compile(code, str(PAGE), "exec"), names)
        else:
            yield PAGE.parent / picture, names.pop("ax")


def main() -> None:
    """Draw them all."""
    for file, ax in drawn():
        ax.figure.savefig(file, dpi=80, bbox_inches="tight")
        plt.close("all")


if __name__ == "__main__":
    main()
