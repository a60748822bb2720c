"""The tables of a report: who ended where, what was tuned, what was set."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import pandas as pd

from benchmarks.convergence.run_folder import RAW_PIXELS
from benchmarks.report.answer import paired_gap, ranking
from benchmarks.report.labels import interval, metric, number
from benchmarks.report.run import Run

COSTS = {
    "steps_to": "Steps to {:g}",
    "seconds_to": "Seconds to {:g}",
    "mining_seconds": "Mining, s",
    "seconds": "Training, s",
}
DIGITS = {"recall_at_1": 3, "map_at_r": 3, "tar_at_0.01": 3, "eer": 3}
DIGITS |= {"recall_at_1_unseen_typefaces": 3, "map_at_r_unseen_typefaces": 3}
DIGITS |= {"steps_to": 0, "seconds_to": 1, "mining_seconds": 2, "seconds": 1}
"""The numbers shown after the headline, unless one is the headline, and their decimals."""


class TableCell(NamedTuple):
    """What is read, what it is sorted by (a number stands at the right), whether it is bold."""

    text: str
    value: float | None = None
    best: bool = False


class Table(NamedTuple):
    """A table; the first column names the row."""

    caption: str
    columns: Sequence[str]
    rows: Sequence[Sequence[TableCell]]
    sortable: bool = False

    def numeric(self, column: int) -> bool:
        """Whether numbers stand in a column."""
        return any(row[column].value is not None for row in self.rows)


def summary_table(run: Run, summary: pd.DataFrame) -> Table:
    """Every method's line, the best by the headline first, raw pixels among them."""
    ordered = summary.sort_values(run.headline, ascending=False, kind="stable", ignore_index=True)
    shown = [name for name in DIGITS if name != run.headline and name in summary]
    rows = [
        [*_first_cells(run, line, summary), *_number_cells(run, line, shown, summary)]
        for _, line in ordered.iterrows()
    ]
    trained = summary[summary["method"] != RAW_PIXELS]
    counts = sorted(set(zip(trained["repeats"], trained["over"], strict=True)))
    repeats = " or ".join(f"{n} {over if n > 1 else over[:-1]}" for n, over in counts)
    caption = (
        f"On identities never trained on, after the last step; mean of {repeats or 'nothing'}, "
        "± half the 95 % interval. Against the best: the mean difference, repeat by repeat. "
        "Best of each column in bold."
    )
    titles = [COSTS.get(name, metric(name)).format(run.target) for name in shown]
    first = ["Method", "Family", metric(run.headline), "Against the best"]
    return Table(caption, [*first, *titles], rows, sortable=True)


def _first_cells(run: Run, line: pd.Series, summary: pd.DataFrame) -> list[TableCell]:
    """Name, family, headline with its interval, distance to the best."""
    name, kind, method = "raw pixels", "–", str(line["method"])
    if method != RAW_PIXELS:
        kind = run.methods[method]["family"]
        cells = [cell in run.cells for cell in run.expected if cell.method == method]
        name = method if all(cells) else f"{method} ({sum(cells)} of {len(cells)} cells)"
    leader = next(iter(ranking(run, summary)["method"]), None)
    behind = TableCell("–", math.nan)
    if leader is not None and method in run.complete and method != leader:
        gap = paired_gap(run, leader, method)
        behind = TableCell(interval(-gap.mean, gap.half, signed=True), -gap.mean)
    value, best = float(line[run.headline]), method == leader
    headline = TableCell(interval(value, line[f"{run.headline}_ci95"]), value, best)
    return [TableCell(name, best=best), TableCell(kind), headline, behind]


def _number_cells(
    run: Run, line: pd.Series, shown: Sequence[str], summary: pd.DataFrame
) -> Iterable[TableCell]:
    """The best is of complete methods; least mining is no merit, as some have none."""
    ranked = ranking(run, summary)[list(shown)]
    best = ranked.min().where([name in COSTS or name == "eer" for name in shown], ranked.max())
    for name in shown:
        value, missing = float(line[name]), "–"
        if line["method"] == RAW_PIXELS and name in COSTS:
            yield TableCell("–", math.nan)
            continue
        if name.endswith("_to"):
            missing = f"{line['reached']} of {line['repeats']}" if line["reached"] else "never"
        merit = line["method"] in run.complete and name != "mining_seconds"
        text = number(value, DIGITS[name], missing)
        yield TableCell(text, value, best=bool(merit and value == best[name]))


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
    order = {name: place for place, name in enumerate(run.methods)}
    place = tried["method"].map(order).fillna(len(order))
    ordered: pd.DataFrame = tried.iloc[place.argsort(kind="stable")].reset_index()
    return ordered


def tuning_tables(run: Run, tried: pd.DataFrame) -> tuple[Table, Table]:
    """What was chosen for each method, and every setting tried, each method's best first."""
    short, every = [], []
    for method, lines in tried.groupby("method", sort=False):
        named = map(json.loads, lines.loc[lines.index.repeat(lines["chosen"]), "setting"])
        ends = [
            TableCell(number(end), float(end)) for end in lines[run.headline].agg(["max", "min"])
        ]
        count = TableCell(str(len(lines)), float(len(lines)))
        short.append([TableCell(str(method)), count, TableCell(choices(list(named))), *ends])
        if method in run.methods:
            ordered = lines.sort_values(run.headline, ascending=False, kind="stable")
            for setting, end, folds in ordered[["setting", run.headline, "chosen"]].to_numpy():
                words = (str(method), parameters(json.loads(setting)))
                cells = [TableCell(word, best=bool(folds)) for word in words]
                every.append([*cells, TableCell(number(end), float(end))])
    over = ", mean over the folds" if run.folds > 1 else ""
    caption = (
        f"{metric(run.headline)} on validation identities{over}. The gap between best and "
        "worst says how much a method depends on its settings."
    )
    titles = ["Method", "Settings tried", "Chosen", "Best ends at", "Worst ends at"]
    said = f"Every setting tried{over}; those that were chosen in bold."
    columns = ["Method", "Setting", f"{metric(run.headline)}, validation"]
    return Table(caption, titles, short, sortable=True), Table(said, columns, every)


def plain_table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> Table:
    """A table of names and what was written under them."""
    return Table("", columns, [[TableCell(written(cell)) for cell in row] for row in rows])


def parameters(chosen: Mapping[str, Any]) -> str:
    """Parameters in a line.

    Example:
        >>> parameters({"margin": 0.2, "soft": True})
        'margin 0.2, soft true'
    """
    return ", ".join(f"{name} {written(value)}" for name, value in chosen.items())


def choices(chosen: Sequence[Mapping[str, Any]]) -> str:
    """The parameters of all folds in a line, those that most folds share first.

    Example:
        >>> choices([{"margin": 0.2}, {"margin": 0.5}, {"margin": 0.5}])
        '2 folds: margin 0.5; 1 fold: margin 0.2'
    """
    counts = Counter(parameters(values) for values in chosen).most_common()
    said = [f"{times} fold{'s' if times > 1 else ''}: {text}" for text, times in counts]
    return (counts[0][0] if len(counts) == 1 else "; ".join(said)) or "–"


def written(value: object) -> str:
    """A value of a JSON file in words."""
    if isinstance(value, str):
        return value
    if isinstance(value, Iterable) and not isinstance(value, Mapping):
        return ", ".join(written(each) for each in value)
    return "none" if value is None else json.dumps(value, ensure_ascii=False)
