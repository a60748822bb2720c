"""The picture of a race: how far each method gets, and how fast."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Literal, TypeAlias

from scipy.stats import t as student

from metricface.plots.palette import FAINT, INK, axes_or_new, legend_beside, line_style, open_frame

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

_UNNAMED = "training"


History: TypeAlias = "Sequence[Mapping[str, float]]"
"""One flat row of numbers per evaluation, as a training leaves them."""


def convergence(
    curves: pd.DataFrame | History | Mapping[str, History],
    *,
    metric: str,
    x: Literal["step", "seconds"] = "step",
    ax: Axes | None = None,
    baseline: Mapping[str, float] | None = None,
    target: float | None = None,
) -> Axes:
    """Draw a metric against steps or seconds, one line per method.

    A line is the mean over the seeds, the band around it the 95 % confidence interval of that
    mean, ``mean ± t(0.975, n − 1) · std / √n``; with a single seed there is no band. Methods are
    told apart by colour and by dashes, and listed in the order in which they end.

    Args:
        curves: the ``history`` of a training, or several under their names; or a table with a
            row per method, seed and step and the columns ``method``, ``seed``, ``step``, the
            metric, and ``seconds`` if drawn against it (the mean over seeds at each step).
        metric: the column to draw; rows without a value are left out.
        x: what the horizontal axis counts.
        ax: where to draw; a new figure if None.
        baseline: values that need no training, such as raw pixels, by name: dotted lines.
        target: a value to reach from below: a thin line, and a ring where each mean first does.

    Returns:
        The Axes.

    Raises:
        ImportError: matplotlib or pandas is missing.
        ValueError: a column is missing, or the metric has no value.

    Example:
        >>> history = [{"step": 0, "recall_at_1": 0.2}, {"step": 50, "recall_at_1": 0.6}]
        >>> convergence(history, metric="recall_at_1").lines[0].get_xdata().tolist()
        [0.0, 50.0]
        >>> import pandas as pd
        >>> rows = {"method": "random", "seed": [0, 0], "step": [0, 10], "recall": [0.1, 0.4]}
        >>> convergence(pd.DataFrame(rows), metric="recall").lines[0].get_ydata().tolist()
        [0.1, 0.4]
    """
    curves = _table(curves)
    missing = {"method", "seed", "step", x, metric} - set(curves.columns)
    if missing:
        raise ValueError(f"curves lacks the columns {sorted(missing)}, it has {list(curves)}")
    summary = _summary(curves, metric, x)
    if summary.empty:
        raise ValueError(f"the column {metric!r} holds no value")
    ax = axes_or_new(ax, width=7.0, height=4.0)
    ends = []
    for number, method in enumerate(dict.fromkeys(curves["method"])):
        line = summary[summary["method"] == method]
        if not line.empty:
            _draw_method(ax, line, str(method), number, target)
            ends.append(float(line["mean"].iloc[-1]))
    _draw_levels(ax, baseline or {}, target)
    seeds = curves["seed"].nunique()
    counted = f"mean of {seeds} seeds,\n95 % interval" if seeds > 1 else "one seed"
    ax.set(xlabel=x, ylabel=metric)
    ax.margins(x=0.01)
    if list(curves["method"].unique()) != [_UNNAMED]:
        # Listed from the highest end to the lowest, so that the eye need not search.
        legend_beside(ax, title=counted, order=sorted(range(len(ends)), key=lambda i: -ends[i]))
    open_frame(ax)
    return ax


def _table(curves: pd.DataFrame | History | Mapping[str, History]) -> pd.DataFrame:
    """Trainings as a table of one seed each; a table as it is."""
    try:
        import pandas as pd
    except ImportError as error:
        raise ImportError(
            "plots.convergence needs pandas: pip install 'metricface[tables]'"
        ) from error
    if isinstance(curves, pd.DataFrame):
        return curves
    named = curves if isinstance(curves, Mapping) else {_UNNAMED: curves}
    rows = [
        {**row, "method": name, "seed": 0}
        for name, history in named.items()
        for row in _rows(history)
    ]
    table: pd.DataFrame = pd.DataFrame(rows)
    return table


def _rows(history: History) -> History:
    if isinstance(history, Sequence) and all(isinstance(row, Mapping) for row in history):
        return history
    raise TypeError(
        "curves must be a table, the history of a fit (a list of rows, fit(...).history) or a dict "
        f"of such histories, got {type(history).__name__}"
    )


def _summary(curves: pd.DataFrame, metric: str, x: str) -> pd.DataFrame:
    """Mean and half width of its 95 % interval at each step of each method."""
    known = curves.dropna(subset=[metric]).assign(place=lambda rows: rows[x])
    groups = known.groupby(["method", "step"], sort=True)
    summary: pd.DataFrame = groups.agg(
        place=("place", "mean"),
        mean=(metric, "mean"),
        std=(metric, "std"),
        seeds=(metric, "size"),
    ).reset_index()
    quantile = student.ppf(0.975, summary["seeds"] - 1)
    summary["half"] = quantile * summary["std"] / summary["seeds"] ** 0.5
    return summary


def _draw_method(
    ax: Axes, line: pd.DataFrame, method: str, number: int, target: float | None
) -> None:
    """A line, its band, and the ring where it first reaches the target."""
    style = line_style(number)
    place, mean = line["place"].to_numpy(), line["mean"].to_numpy()
    half = line["half"].to_numpy()
    ax.plot(place, mean, label=method, linewidth=1.7, **style)
    if (line["seeds"] > 1).any():
        color = style["color"]
        ax.fill_between(place, mean - half, mean + half, color=color, alpha=0.15, linewidth=0)
    if target is not None and (mean >= target).any():
        first = int((mean >= target).argmax())
        ax.plot(
            place[first],
            mean[first],
            marker="o",
            markersize=6,
            markerfacecolor="white",
            markeredgecolor=style["color"],
            linestyle="none",
            zorder=3,
        )


def _draw_levels(ax: Axes, baseline: Mapping[str, float], target: float | None) -> None:
    """Horizontal lines, each with its name written on it at the right."""
    levels = [(name, value, "dotted", INK) for name, value in baseline.items()]
    if target is not None:
        levels.append((f"target {target:g}", target, "solid", FAINT))
    for name, value, dashes, colour in levels:
        ax.axhline(value, color=colour, linestyle=dashes, linewidth=1.1, zorder=1)
        ax.annotate(
            name,
            (0.995, value),
            xycoords=("axes fraction", "data"),
            xytext=(0, 2),
            textcoords="offset points",
            ha="right",
            va="bottom",
            fontsize="small",
            color=colour,
        )
