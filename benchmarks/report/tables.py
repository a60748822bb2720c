"""The tables of a report: who ended where, what was tuned, what was set."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from benchmarks.convergence.run_folder import RAW_PIXELS
from benchmarks.report.answer import paired_gap, ranking
from benchmarks.report.document import Table, TableCell
from benchmarks.report.labels import interval, metric, number
from benchmarks.report.run import Run

FURTHER = ("recall_at_1", "map_at_r", "tar_at_0.01", "eer")
"""Metrics shown after the headline, unless one is the headline itself."""


class _Column(NamedTuple):
    """A number of the summary: its column, its heading, decimals, and which end is good.

    Neither end is where the best would be a method that has no such part.
    """

    name: str
    title: str
    digits: int
    larger_is_better: bool | None


def summary_table(run: Run, summary: pd.DataFrame) -> Table:
    """Every method's line, the best by the headline first, raw pixels among them.

    Args:
        run: what was measured.
        summary: of ``benchmarks.convergence.summary.summarise``.
    """
    ordered = summary.sort_values(run.headline, ascending=False, kind="stable", ignore_index=True)
    further = [_Column(m, metric(m), 3, m != "eer") for m in FURTHER if m != run.headline]
    costs = [
        _Column("steps_to", f"Steps to {run.target:g}", 0, larger_is_better=False),
        _Column("seconds_to", f"Seconds to {run.target:g}", 1, larger_is_better=False),
        _Column("mining_seconds", "Mining, s", 2, larger_is_better=None),
        _Column("seconds", "Training, s", 1, larger_is_better=False),
    ]
    shown = [column for column in (*further, *costs) if column.name in summary]
    ranked = ranking(run, summary)
    best = {column.name: _best(ranked[column.name], column) for column in shown}
    leader = None if ranked.empty else str(ranked["method"].iloc[0])
    rows = []
    for _, line in ordered.iterrows():
        first = _first_cells(run, line, leader)
        rest = [_number_cell(run, line, column, best[column.name]) for column in shown]
        rows.append((*first, *rest))
    titles = ["Method", "Family", metric(run.headline), "Against the best"]
    return Table(_caption(run, summary), [*titles, *(c.title for c in shown)], rows, sortable=True)


def _first_cells(run: Run, line: pd.Series, leader: str | None) -> list[TableCell]:
    """Name, family, headline with its interval, distance to the best."""
    method = str(line["method"])
    if method == RAW_PIXELS:
        name, kind = "raw pixels", "–"
    else:
        total = sum(cell.method == method for cell in run.expected)
        done = total - sum(cell.method == method for cell in run.missing)
        name = method if done == total else f"{method} ({done} of {total} cells)"
        kind = run.methods[method].family
    headline = interval(line[run.headline], line[f"{run.headline}_ci95"])
    behind = TableCell("–", math.nan)
    if leader is not None and method in run.complete and method != leader:
        gap = paired_gap(run, leader, method)
        behind = TableCell(interval(-gap.mean, gap.half, signed=True), -gap.mean)
    return [
        TableCell(name, best=method == leader),
        TableCell(kind),
        TableCell(headline, float(line[run.headline]), best=method == leader),
        behind,
    ]


def _number_cell(run: Run, line: pd.Series, column: _Column, best: float) -> TableCell:
    value = float(line[column.name])
    untrained = line["method"] == RAW_PIXELS
    if untrained and not column.larger_is_better and column.name != "eer":
        return TableCell("–", math.nan)
    missing = "–"
    if column.name in ("steps_to", "seconds_to"):
        missing = f"{line['reached']} of {line['repeats']}" if line["reached"] else "never"
    fair = line["method"] in run.complete
    return TableCell(
        number(value, column.digits, missing), value, best=bool(fair and value == best)
    )


def _best(values: pd.Series, column: _Column) -> float:
    if column.larger_is_better is None:
        return math.nan
    return float(values.max() if column.larger_is_better else values.min())


def _caption(run: Run, summary: pd.DataFrame) -> str:
    trained = summary[summary["method"] != RAW_PIXELS]
    counts = sorted(set(zip(trained["repeats"], trained["over"], strict=True)))
    repeats = " or ".join(f"{n} {over if n > 1 else over[:-1]}" for n, over in counts)
    return (
        f"On identities never trained on, after the last step; mean of {repeats or 'nothing'}, "
        "± half the 95 % interval. Against the best: the mean difference, repeat by repeat. "
        "Best of each column in bold."
    )


def tuning_table(run: Run, tuning: pd.DataFrame) -> Table:
    """What each method's budget of settings was and which of them was chosen.

    Args:
        run: gives the order of the methods.
        tuning: its ``tuning.csv``.
    """
    tried = tried_settings(run, tuning)
    rows = []
    for method, lines in tried.groupby("method", sort=False):
        named = lines.loc[lines.index.repeat(lines["chosen"]), "setting"]
        best, worst = float(lines[run.headline].max()), float(lines[run.headline].min())
        rows.append(
            [
                TableCell(str(method)),
                TableCell(str(len(lines)), float(len(lines))),
                TableCell(choices([json.loads(setting) for setting in named])),
                TableCell(number(best), best),
                TableCell(number(worst), worst),
            ]
        )
    return Table(
        f"{metric(run.headline)} on validation identities{_over_folds(run)}. The gap between best "
        "and worst says how much a method depends on its settings.",
        ["Method", "Settings tried", "Chosen", "Best ends at", "Worst ends at"],
        rows,
        sortable=True,
    )


def every_setting_table(run: Run, tuning: pd.DataFrame) -> Table:
    """Every setting tried, each method's best first, the chosen in bold."""
    ordered = tried_settings(run, tuning).sort_values(
        run.headline, ascending=False, kind="stable", ignore_index=True
    )
    rows = [
        [
            TableCell(str(line["method"]), best=bool(line["chosen"])),
            TableCell(parameters(json.loads(str(line["setting"]))), best=bool(line["chosen"])),
            TableCell(number(line[run.headline]), float(line[run.headline])),
        ]
        for method in dict.fromkeys(run.methods)
        for _, line in ordered[ordered["method"] == method].iterrows()
    ]
    title = f"{metric(run.headline)}, validation"
    caption = f"Every setting tried{_over_folds(run)}; those that were chosen in bold."
    return Table(caption, ["Method", "Setting", title], rows)


def tried_settings(run: Run, tuning: pd.DataFrame) -> pd.DataFrame:
    """One row per method and setting: the mean over seeds and folds after the last step.

    ``chosen`` counts the folds that took it.

    Raises:
        ValueError: a setting that is not a JSON object.
    """
    for text in tuning["setting"].unique():
        try:
            whole = isinstance(json.loads(text), dict)
        except (TypeError, ValueError):
            whole = False
        if not whole:
            raise ValueError(f"{run.path / 'tuning.csv'} holds the setting {text!r}, not JSON")
    last = tuning[tuning["step"] == tuning.groupby("method")["step"].transform("max")]
    said = last["chosen"].astype(str).str.lower() == "true"
    grouped = last.assign(chosen=last["fold"].where(said)).groupby(
        ["method", "setting"], sort=False, as_index=False
    )
    tried: pd.DataFrame = grouped.agg({run.headline: "mean", "chosen": "nunique"})
    order = {name: number for number, name in enumerate(run.methods)}
    place = tried["method"].map(lambda name: order.get(name, len(order)))
    ordered: pd.DataFrame = tried.iloc[np.argsort(place.to_numpy(), kind="stable")].reset_index()
    return ordered


def methods_table(run: Run) -> Table:
    """What each method does and the parameters it ran with."""
    rows = [
        [
            TableCell(name),
            TableCell(method.family),
            TableCell(method.rule),
            TableCell(choices(method.chosen)),
        ]
        for name, method in run.methods.items()
    ]
    return Table("", ["Method", "Family", "Rule", "Chosen parameters"], rows)


def named_values(values: Mapping[str, Any], title: str) -> Table:
    """Names and values of a JSON object."""
    rows = [[TableCell(str(name)), TableCell(_written(value))] for name, value in values.items()]
    return Table("", [title, "Value"], rows)


def parameters(chosen: Mapping[str, Any]) -> str:
    """Parameters in a line.

    Example:
        >>> parameters({"margin": 0.2, "soft": True})
        'margin 0.2, soft true'
    """
    return ", ".join(f"{name} {_written(value)}" for name, value in chosen.items())


def choices(chosen: Sequence[Mapping[str, Any]]) -> str:
    """The parameters of all folds in a line, those that most folds share first.

    Example:
        >>> choices([{"margin": 0.2}])
        'margin 0.2'
        >>> choices([{"margin": 0.2}, {"margin": 0.5}, {"margin": 0.5}])
        '2 folds: margin 0.5; 1 fold: margin 0.2'
    """
    counts = Counter(parameters(values) for values in chosen).most_common()
    if len(counts) == 1:
        return counts[0][0] or "–"
    said = (f"{times} fold{'s' if times > 1 else ''}: {text}" for text, times in counts)
    return "; ".join(said) or "–"


def _over_folds(run: Run) -> str:
    return ", mean over the folds" if run.settings.get("folds", 1) > 1 else ""


def _written(value: object) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, Iterable) and not isinstance(value, Mapping):
        return ", ".join(_written(each) for each in value)
    return "none" if value is None else json.dumps(value, ensure_ascii=False)
