"""From all rows to one line per method: mean, 95 % interval, steps and seconds to a target."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import stats

KEYS = ("method", "seed", "fold", "step")
PACES = 2.0
"""How much slower one cell's network may be than another's on one machine that is shared."""
KINDS_OF_SECONDS = ("seconds", *(f"{of}_seconds" for of in ("data", "network", "mining", "loss")))
SHOWN = ("recall_at_1", "map_at_r", "map_at_r_unseen_typefaces", "tar_at_0.01", "eer")
"""In the table for a terminal, where they were measured."""


def repeats(results: pd.DataFrame) -> pd.DataFrame:
    """The independent repeats of every method, one row per method, repeat and step.

    Folds of one seed are averaged: few people make one fold say little. Only where a method has
    a single seed are its folds the repeats, and the interval then tells how much the people
    matter rather than the seed.

    Args:
        results: columns ``method``, ``seed``, ``fold``, ``step`` and the numbers.

    Returns:
        The same columns with ``seed`` numbering the repeats and without ``fold``, and ``over``
        (``"seeds"`` or ``"folds"``).
    """
    parts = []
    for _, rows in results.groupby("method", sort=False):
        over = "folds" if rows["seed"].nunique() == 1 and rows["fold"].nunique() > 1 else "seeds"
        repeat = rows["fold"] if over == "folds" else rows["seed"]
        numbered = rows.drop(columns="fold").assign(seed=repeat)
        mean = numbered.groupby(["method", "seed", "step"], sort=False, as_index=False).mean()
        parts.append(mean.assign(over=over))
    joined: pd.DataFrame = pd.concat(parts, ignore_index=True)
    return joined


def at_one_pace(results: pd.DataFrame) -> pd.DataFrame:
    """The seconds of cells that ran on machines of different speed, as if it had been one.

    A run may take several sittings. All its methods train the same network on batches of the same
    size: where that alone takes more than :data:`PACES` times as long a step in one cell as in
    another, all seconds of each cell are scaled so that its network takes what the median takes.

    Args:
        results: as of :func:`repeats`; ``network_seconds`` may be missing.

    Returns:
        The same rows.

    Example:
        >>> slow = {"method": "a", "step": 10, "network_seconds": 30.0, "seconds": 45.0}
        >>> fast = {"method": "b", "step": 10, "network_seconds": 10.0, "seconds": 12.0}
        >>> rows = pd.DataFrame([slow, fast]).assign(seed=0, fold=0)
        >>> at_one_pace(rows)["seconds"].tolist()
        [30.0, 24.0]
    """
    if "network_seconds" not in results:
        return results
    cells = [results[name] for name in ("method", "seed", "fold")]
    network, steps = (
        results.groupby(cells)[name].transform("max") for name in ("network_seconds", "step")
    )
    pace = (network / steps).where(network > 0)
    slowest, fastest = pace.max(), pace.min()
    if not slowest > PACES * fastest:
        return results
    usual = pace.groupby(cells).first().median()
    scaled: pd.DataFrame = results.copy()
    for name in (name for name in KINDS_OF_SECONDS if name in results):
        scaled[name] *= (usual / pace).fillna(1.0)
    return scaled


def half_width(values: npt.ArrayLike, confidence: float = 0.95) -> float:
    """Half the width of Student's interval of the mean.

    ``t_{n-1}((1 + confidence) / 2) · s / √n``

    Args:
        values: one number per repeat.
        confidence: of the interval, between 0 and 1.

    Returns:
        The half-width; NaN for fewer than two values.

    Example:
        >>> round(half_width([1.0, 2.0, 3.0]), 3)
        2.484
    """
    array = np.asarray(values, dtype=np.float64)
    if array.size < 2:
        return math.nan
    quantile = float(stats.t.ppf((1 + confidence) / 2, array.size - 1))
    return quantile * float(array.std(ddof=1)) / math.sqrt(array.size)


def to_target(curve: pd.DataFrame, metric: str, target: float) -> tuple[float, float]:
    """Step and second of the first evaluation at which the metric is at least the target.

    Args:
        curve: one repeat's rows.
        metric: a column, larger is better.
        target: what to reach.

    Returns:
        Step and training seconds; NaN twice if it is never reached.
    """
    reached = curve[curve[metric] >= target].sort_values("step")
    if reached.empty:
        return math.nan, math.nan
    return float(reached["step"].iloc[0]), float(reached["seconds"].iloc[0])


def summarise(results: pd.DataFrame, *, headline: str, target: float) -> pd.DataFrame:
    """One row per method after its last step, the worst by the headline first.

    Args:
        results: all rows of a run.
        headline: the metric the target is of, larger is better.
        target: its value to reach.

    Returns:
        ``method``, ``repeats``, ``over``, ``step``, mean and ``…_ci95`` (half-width) of every
        metric, the seconds, ``reached`` (seeds that met the target), and mean ``steps_to`` and
        ``seconds_to`` it (NaN unless every seed met it). A single seed's folds are averaged for
        the target, as for several seeds.
    """
    curves = repeats(results)
    lines = [_line(rows, headline, target) for _, rows in curves.groupby("method", sort=False)]
    summary: pd.DataFrame = pd.DataFrame(lines).sort_values(headline, ignore_index=True)
    return summary


def _line(curves: pd.DataFrame, headline: str, target: float) -> dict[str, object]:
    """The summary of one method's repeats."""
    last = curves[curves["step"] == curves["step"].max()]
    numbers = [name for name in last.columns if name not in (*KEYS, "over")]
    if last["over"].iloc[0] == "folds":  # a fold alone is too noisy to have reached anything
        mean = curves.groupby("step", as_index=False)[[headline, "seconds"]].mean()
        times = np.array([to_target(mean, headline, target)])
    else:
        by_seed = curves.groupby("seed")
        times = np.array([to_target(curve, headline, target) for _, curve in by_seed])
    line: dict[str, object] = {
        "method": last["method"].iloc[0],
        "repeats": len(last),
        "over": last["over"].iloc[0],
        "step": int(last["step"].iloc[0]),
    }
    for name in numbers:
        line[name] = last[name].mean()
        if not name.endswith("seconds"):
            line[f"{name}_ci95"] = half_width(last[name])
    line["target"] = f"{headline} >= {target:g}"
    line["reached"] = int(np.isfinite(times[:, 0]).sum())
    line["steps_to"], line["seconds_to"] = times.mean(axis=0)
    return line


def readable(summary: pd.DataFrame) -> str:
    """The summary as a table for a terminal.

    Args:
        summary: of :func:`summarise`.

    Returns:
        Lines of text: four metrics with their intervals, seconds, and the way to the target.
    """
    columns: dict[str, list[str]] = {"method": list(summary["method"])}
    for name in (name for name in SHOWN if name in summary):
        pairs = zip(summary[name], summary[f"{name}_ci95"], strict=True)
        columns[name] = [
            f"{mean:.3f}" + ("" if math.isnan(width) else f" ± {width:.3f}")
            for mean, width in pairs
        ]
    for name, digits in (("seconds", 1), ("mining_seconds", 2), ("loss_seconds", 2)):
        columns[name] = [_number(value, digits) for value in summary[name]]
    columns["steps_to"] = [_number(value, 0) for value in summary["steps_to"]]
    columns["seconds_to"] = [_number(value, 1) for value in summary["seconds_to"]]
    table = pd.DataFrame(columns).rename(columns=lambda name: name.replace("_seconds", " s"))
    text: str = table.to_string(index=False)
    return text


def _number(value: float, digits: int) -> str:
    return "–" if math.isnan(value) else f"{value:.{digits}f}"
