"""One HTML file with the figures and the pictures of a run."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.faces.judging import Judged
from benchmarks.faces.sources import Trial
from metricface import plots
from metricface.evaluation import HardestPairs

if TYPE_CHECKING:
    from matplotlib.axes import Axes

STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:52rem;margin:2rem auto;padding:0 1rem}"
    "table{border-collapse:collapse}td{padding:.2rem 1.2rem .2rem 0}img{max-width:100%}"
)


def page(judged: Judged, trial: Trial, settings: dict[str, Any]) -> str:
    """The page; it needs no other file.

    Args:
        judged: the figures.
        trial: the test, for the images of the hardest pairs.
        settings: how the run was made.
    """
    found = judged.found
    sentence = (
        f"Two pictures are taken for one person where the squared distance of their embeddings is "
        f"at most {found.threshold:.3f}. Where each fold is judged by the threshold of the others, "
        f"accuracy is {100 * found.accuracy:.2f} %"
        f"{', both kinds of pairs counted alike' if trial.pairs is None else ''}."
    )
    parts = [
        f"<p>{escape(judged.protocol.capitalize())}. {escape(sentence)}</p>",
        _table(judged.figures()),
        "<h2>ROC</h2>",
        _picture("TAR by FAR", lambda ax: plots.roc(found, ax=ax), (7.0, 4.0)),
    ]
    if judged.spread is not None:
        spread = judged.spread
        parts += ["<h2>Distances</h2>"]
        parts += [
            _picture(
                "Distances", lambda ax: plots.class_distance_histogram(spread, ax=ax), (7.0, 3.6)
            )
        ]
    pictures, hardest = _shown(judged.hardest, trial)
    parts += [
        "<h2>Hardest pairs</h2>",
        _picture(
            "Hardest pairs",
            lambda ax: plots.hardest_pairs_sheet(pictures, hardest, ax=ax),
            (11.0, 3.2),
        ),
        "<h2>Settings</h2>",
        _table(settings),
    ]
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8"><title>Faces</title>'
        f"<style>{STYLE}</style><h1>Faces</h1>{''.join(parts)}</html>\n"
    )


def _table(rows: dict[str, Any]) -> str:
    cells = "".join(
        f"<tr><td>{escape(name)}</td><td>"
        f"{escape(f'{value:.4f}' if isinstance(value, float) else str(value))}</td></tr>"
        for name, value in rows.items()
    )
    return f"<table>{cells}</table>"


def _picture(name: str, draw: Callable[[Axes], object], size: tuple[float, float]) -> str:
    from matplotlib.figure import Figure

    figure = Figure(figsize=size, layout="constrained")
    draw(figure.add_subplot())
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=110)
    pixels = base64.b64encode(file.getvalue()).decode()
    return f'<img alt="{name}" src="data:image/png;base64,{pixels}">'


def _shown(hardest: HardestPairs, trial: Trial) -> tuple[Any, HardestPairs]:
    """The images of these pairs alone, and the pairs as rows of them: a test may be large."""
    rows = np.unique(np.concatenate([hardest.impostors.ravel(), hardest.genuine.ravel()]))
    pictures = np.stack([trial.images[int(row)][0].numpy() for row in rows])
    return pictures, HardestPairs(
        np.searchsorted(rows, hardest.impostors),
        hardest.impostor_distances,
        np.searchsorted(rows, hardest.genuine),
        hardest.genuine_distances,
    )
