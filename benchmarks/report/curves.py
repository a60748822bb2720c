"""Convergence as small multiples: each family, then comparisons that have a point."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Literal, NamedTuple

import pandas as pd
from matplotlib.axes import Axes

from benchmarks.convergence.run_folder import RAW_PIXELS
from benchmarks.convergence.summary import half_width, repeats
from benchmarks.report.figures import Panel
from benchmarks.report.labels import FAMILIES, metric, number
from benchmarks.report.run import Run
from metricface import plots
from metricface.plots.palette import FAINT

STORIES = {
    "Softmax, triplets, and softmax before triplets": "softmax semi-hard softmax-then-semi-hard",
    "Random, semi-hard, hardest": "random semi-hard batch-hard batch-hard-soft",
    "Semi-hard with and without a memory": "semi-hard semi-hard-memory",
    "Contrastive with and without a memory": "contrastive contrastive-memory",
    "The hardest with and without a late memory": "batch-hard-soft batch-hard-memory",
    "Distance-weighted with and without a late memory": (
        "distance-weighted-margin distance-weighted-margin-memory"
    ),
    "Random batches and look-alikes": ("batch-hard-soft batch-hard-look-alikes batch-hard-offline"),
    "Distance-weighted, random batches and look-alikes": (
        "distance-weighted-margin distance-weighted-margin-look-alikes"
        " distance-weighted-margin-offline"
    ),
    "One loss, several miners": "random batch-all semi-hard easy-positive distance-weighted",
    "Softmax alone, with triplets, with verification, with centres": (
        "softmax softmax-and-batch-hard deepid2 softmax-center"
    ),
}
"""Comparisons by name; told where two or more of their methods have run."""

PEER_PREFIX = "pml-"
"""``pml-X`` is the rule of ``X`` in the other library, except for these:"""
TWINS = {
    "pml-contrastive": "contrastive-linear",
    "pml-distance-weighted": "distance-weighted-margin",
    "pml-multi-similarity": "multi-similarity-loss",
}

Counted = Literal["step", "seconds"]


class _Stage(NamedTuple):
    """What all panels of a run share, so that they can be compared."""

    curves: pd.DataFrame
    means: pd.DataFrame
    metric: str
    target: float
    baseline: dict[str, float]
    limits: tuple[float, float]


def family_panels(run: Run) -> list[Panel]:
    """A family's methods over all others in grey, by step and by second, family after family."""
    groups: dict[str, list[str]] = {}
    for name, said in run.methods.items():
        groups.setdefault(FAMILIES.get(said["family"], said["family"]), []).append(name)
    return _panels(run, groups)


def story_panels(run: Run) -> list[Panel]:
    """The comparisons whose methods are in the run, and each rule that both libraries have."""
    peers = [name for name in run.methods if name.startswith(PEER_PREFIX)]
    same = {name: TWINS.get(name, name.removeprefix(PEER_PREFIX)) for name in peers}
    twins = {f"{mine} in both libraries": (mine, theirs) for theirs, mine in same.items()}
    stories = {title: names.split() for title, names in STORIES.items()}
    return _panels(run, {**stories, **twins}, at_least=2)


def _panels(run: Run, groups: Mapping[str, Sequence[str]], at_least: int = 1) -> list[Panel]:
    """Two panels for each group of which enough has run."""
    rows = run.trained.dropna(subset=[run.headline])
    if rows.empty:
        return []
    stage = _stage(run, repeats(rows))
    ran = set(stage.curves["method"])
    present = {title: [n for n in names if n in ran] for title, names in groups.items()}
    by: tuple[Counted, ...] = ("step", "seconds")
    enough = ((title, names) for title, names in present.items() if len(names) >= at_least)
    return [_panel(stage, title, names, x) for title, names in enough for x in by]


def _stage(run: Run, curves: pd.DataFrame) -> _Stage:
    pixels = run.results[run.results["method"] == RAW_PIXELS][run.headline]
    baseline = {"raw pixels": float(pixels.mean())} if len(pixels) else {}
    steps = curves.groupby(["method", "step"], as_index=False)
    means: pd.DataFrame = steps[[run.headline, "seconds"]].mean()
    limits = _limits(curves, means, run.headline, [run.target, *baseline.values()])
    return _Stage(curves, means, run.headline, run.target, baseline, limits)


def _limits(
    curves: pd.DataFrame, means: pd.DataFrame, headline: str, levels: Sequence[float]
) -> tuple[float, float]:
    """A range that holds every level, what is trained after its first quarter, and every end.

    Some methods fall far before they rise; room for that would flatten what is to be compared.
    """
    late = means[means["step"] >= means["step"].max() / 4]
    seen = [*late[headline], *levels]
    last = curves[curves["step"] == curves.groupby("method")["step"].transform("max")]
    for _, ends in last.groupby("method")[headline]:
        half = half_width(ends)
        if math.isfinite(half):
            seen += [float(ends.mean()) - half, float(ends.mean()) + half]
    room = 0.04 * (max(seen) - min(seen))
    return max(min(seen) - room, 0.0), max(seen) + room


def _panel(stage: _Stage, title: str, names: Sequence[str], x: Counted) -> Panel:
    last = stage.means.groupby("method")[stage.metric].last().to_dict()
    ends = {name: float(last[name]) for name in names}
    order = sorted(names, key=lambda name: -ends[name])
    counted = "optimizer step" if x == "step" else "second of training"
    listed = ", ".join(f"{name} {number(ends[name])}" for name in order)
    return Panel(
        title=f"{title}, by {x.removesuffix('s')}",
        caption="",
        alt=f"{metric(stage.metric)} by {counted}. At the end: {listed}.",
        draw=partial(_draw, stage=stage, ends=ends, x=x),
        height=2.5 + 0.19 * len(names),
    )


def _draw(ax: Axes, *, stage: _Stage, ends: dict[str, float], x: Counted) -> None:
    """The named methods with their intervals, all others thin and grey behind them."""
    for name, line in stage.means.groupby("method", sort=False):
        if name not in ends:
            ax.plot(line[x], line[stage.metric], color=FAINT, alpha=0.4, linewidth=0.8, zorder=0.5)
    shown = pd.concat([stage.curves[stage.curves["method"] == name] for name in ends])
    base, target = stage.baseline, stage.target
    plots.convergence(shown, metric=stage.metric, x=x, ax=ax, baseline=base, target=target)
    own = stage.means[stage.means["method"].isin(list(ends))]
    ax.set(
        xlabel="optimizer steps" if x == "step" else "seconds of training",
        ylabel=metric(stage.metric),
        xlim=(0, float(own[x].max()) * 1.01),
        ylim=stage.limits,
    )
    _legend_below(ax, ends)


def _legend_below(ax: Axes, ends: dict[str, float]) -> None:
    """The methods under the picture, from the highest end to the lowest, with where they end."""
    lines, names = ax.get_legend_handles_labels()
    by_name = dict(zip(names, lines, strict=True))
    order = sorted(by_name, key=lambda name: -ends[name])
    ax.legend(
        [by_name[name] for name in order],
        [f"{name}  {number(ends[name])}" for name in order],
        loc="upper left",
        bbox_to_anchor=(-0.02, -0.22),
        borderaxespad=0,
        frameon=False,
        handlelength=3.2,
        labelspacing=0.3,
    )
