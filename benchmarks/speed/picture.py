"""Time against batch size, with the floor drawn."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from metricface.files import write_whole
from metricface.plots.palette import line_style

SHOWN = ("batch-hard", "semi-hard", "distance-weighted", "all-triplets loss")
MARKERS = {"eager": "o", "compiled": "s", "pml": "^"}
NAMES = {
    "eager": "metricface",
    "compiled": "metricface, compiled",
    "pml": "pytorch-metric-learning",
}


def draw_speed(table: pd.DataFrame, file: Path) -> None:
    """Milliseconds against N on logarithmic axes, a panel for each of the main methods.

    Batches of four images an identity in 128 dimensions are joined by lines; FaceNet's 45×40
    stands apart as single marks.

    Args:
        table: rows of :func:`benchmarks.speed.mining.measure`.
        file: the PNG to write.
    """
    table = table[(table["d"] == 128) & table["median_ms"].notna()]
    figure = Figure(figsize=(11.0, 3.4), layout="constrained")
    panels = figure.subplots(1, len(SHOWN), sharex=True, sharey=True)
    for ax, method in zip(panels, SHOWN, strict=True):
        rows = table[table["method"] == method]
        floor = rows[rows["who"] == "product"].sort_values("n")
        ax.plot(
            floor["n"], floor["median_ms"], color="black", linewidth=1, label="one N×N×D product"
        )
        for number, (who, marker) in enumerate(MARKERS.items()):
            style = line_style(number)
            mine = rows[rows["who"] == who]
            line = mine[mine["k"] == 4].sort_values("n")
            ax.plot(line["n"], line["median_ms"], marker=marker, label=NAMES[who], **style)
            apart = mine[mine["k"] != 4]
            ax.plot(
                apart["n"],
                apart["median_ms"],
                color=style["color"],
                marker=marker,
                linestyle="none",
                fillstyle="none",
            )
        ax.set(xscale="log", yscale="log", xlabel="batch size N", title=method)
        ax.spines[["top", "right"]].set_visible(False)
    panels[0].set_ylabel("milliseconds")
    handles, labels = panels[1].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4, frameon=False)
    write_whole(file, lambda temporary: figure.savefig(temporary, format="png", dpi=150))
