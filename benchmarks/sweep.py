"""``python -m benchmarks.sweep``: one setting of the convergence benchmark at several values."""

from __future__ import annotations

import argparse
import math
import shlex
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import matplotlib as mpl
import pandas as pd
from matplotlib.figure import Figure

from benchmarks.convergence.__main__ import run
from benchmarks.convergence.summary import summarise
from benchmarks.files import write_table
from benchmarks.report.labels import interval, metric, number
from benchmarks.report.run import Run
from metricface.files import write_whole
from metricface.plots.palette import FAINT, INK, line_style

OPTIONS = {"dim": "--dim", "identities": "--train-identities", "batch": "--batch"}
NAMES = {
    "dim": "length of the embedding",
    "identities": "identities trained on",
    "batch": "batch, identities × images",
}
QUALITY = 0.9
"""The share of the best end to which the way is told."""

DESCRIPTION = """\
Run the convergence benchmark once for each value of one setting, all else alike, and put the ends
side by side: FaceNet's tables of embedding size and amount of training data, and the shape of the
batch. Evaluated now and then (--eval-every), it tells how soon each is nearly as good as the best.
"""

EPILOG = """\
what comes out, in --out:
  SETTING-VALUE/    a run folder for each value, which benchmarks.report can show
  SETTING.csv       every evaluation of every cell, with the value
  SETTING.md        the tables, with 95 % t-intervals over the seeds
  SETTING.png       the same as a picture

A killed sweep goes on when the command is given again. Other options go to every run, as
python -m benchmarks.convergence --help lists them.

examples:
  python -m benchmarks.sweep dim 32 64 128 256 --methods batch-hard-soft,semi-hard --seeds 3 \\
      --chosen-in docs/results/glyphs --out runs/sweeps
  python -m benchmarks.sweep batch 64x2 32x4 16x8 --methods batch-hard-soft --out runs/sweeps
"""


def parser() -> argparse.ArgumentParser:
    """The command line."""
    arguments = argparse.ArgumentParser(
        prog="python -m benchmarks.sweep",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = arguments.add_argument
    add("setting", choices=list(OPTIONS), help="what is varied")
    add("values", nargs="+", metavar="VALUE", help="numbers, or PxK for batch")
    add("--data", default="glyphs", metavar="NAME|DIR", help="default: glyphs")
    add("--methods", required=True, metavar="A,B,C", help="names or patterns")
    add("--seeds", type=int, default=1, metavar="N", help="cells per method, default 1")
    add("--out", type=Path, required=True, metavar="DIR", help="for all of it")
    return arguments


def collected(setting: str, values: Sequence[str], out: Path) -> tuple[pd.DataFrame, str]:
    """Every evaluation of the runs of a sweep, and what their methods are compared by.

    Args:
        setting: what was varied.
        values: of it, in the order of the table.
        out: the folder of the run folders.

    Raises:
        ValueError: a run folder is missing or another's.
    """
    runs = {value: Run(out / f"{setting}-{value}") for value in values}
    rows = [run.trained.assign(**{setting: value}) for value, run in runs.items()]
    table: pd.DataFrame = pd.concat(rows, ignore_index=True)
    first = [setting, "method", "seed", "fold", "step"]
    return table[[*first, *table.columns.difference(first, sort=False)]], runs[values[0]].headline


def ends(table: pd.DataFrame, setting: str, headline: str) -> pd.DataFrame:
    """How each value ends and how soon it is there, as in a run's summary.

    Returns:
        A row for each value and method, in the order of the table: ``mean`` and ``half`` of its
        interval after the last step; ``steps`` and ``seconds`` to ``level``, which is
        :data:`QUALITY` of the best mean (NaN unless every seed got there); and how many
        ``evaluations`` there were.

    Example:
        >>> rows = [("32", 0, 0.8), ("32", 1, 0.9), ("64", 0, 0.9), ("64", 1, 0.9)]
        >>> table = pd.DataFrame(rows, columns=["dim", "seed", "recall"])
        >>> found = ends(table.assign(method="m", step=1, fold=0, seconds=2), "dim", "recall")
        >>> [(value, round(mean, 2)) for (value, _), mean in found["mean"].items()]
        [('32', 0.85), ('64', 0.9)]
    """
    cells = dict(list(table.groupby([setting, "method"], sort=False)))

    def lines(level: float) -> pd.DataFrame:
        index = pd.MultiIndex.from_tuples(cells, names=[setting, "method"])
        each = (
            summarise(rows.drop(columns=setting), headline=headline, target=level).iloc[0]
            for rows in cells.values()
        )
        table: pd.DataFrame = pd.DataFrame(list(each), index)
        return table

    level = QUALITY * float(lines(math.inf)[headline].max())
    columns = {headline: "mean", f"{headline}_ci95": "half"}
    columns |= {"steps_to": "steps", "seconds_to": "seconds"}
    found: pd.DataFrame = lines(level)[list(columns)].rename(columns=columns)
    found["level"], found["evaluations"] = (
        level,
        [rows["step"].nunique() for rows in cells.values()],
    )
    return found


def markdown(found: pd.DataFrame, setting: str, headline: str, command: str) -> str:
    """The ends, and the way to nearly the best, a row for each value and a column per method."""
    values, methods = (found.index.unique(level=level) for level in range(2))

    def grid(cell: Callable[[pd.Series], str]) -> list[str]:
        lines = [f"| {setting} | {' | '.join(methods)} |", f"|---|{'---|' * len(methods)}"]
        for value in values:
            cells = [cell(found.loc[(value, method)]) for method in methods]
            lines.append(f"| {value.replace('x', ' × ')} | {' | '.join(cells)} |")
        return lines

    lines = [
        f"{metric(headline)} on identities never trained on, by {NAMES[setting]}; mean ± 95 % "
        "t-interval over the seeds.",
        "",
        f"`{command}`",
        "",
        *grid(lambda row: interval(row["mean"], row["half"])),
    ]
    if found["evaluations"].max() > 2:  # on the way, too
        lines += [
            "",
            f"Steps and seconds of training to {number(found['level'].iloc[0])}, {QUALITY:.0%} of "
            "the best end; mean over the seeds, – where not all of them got there.",
            "",
            *grid(_way),
        ]
    return "\n".join(lines) + "\n"


def _way(row: pd.Series) -> str:
    return f"{row['steps']:.0f}, {row['seconds']:.1f} s" if math.isfinite(row["steps"]) else "–"


def picture(found: pd.DataFrame, setting: str, headline: str) -> Figure:
    """A line for each method, its intervals as bars."""
    values, methods = (found.index.unique(level=level) for level in range(2))
    with mpl.rc_context({"text.color": INK, "axes.edgecolor": FAINT, "axes.labelcolor": INK}):
        figure = Figure(figsize=(5.2, 3.4), layout="constrained")
        axes = figure.subplots()
        for number, method in enumerate(methods):
            line, style = found.xs(method, level="method").reindex(values), line_style(number)
            mean, half = line["mean"], line["half"]
            axes.errorbar(range(len(values)), mean, half, capsize=3, label=method, **style)
        axes.set_xticks(range(len(values)), [value.replace("x", "×") for value in values])
        axes.set_xlabel(NAMES[setting])
        axes.set_ylabel(metric(headline))
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(frameon=False)
    return figure


def main(arguments: Sequence[str] | None = None) -> None:
    """Run every value, then put them side by side; errors of the user end it with one sentence."""
    typed = sys.argv[1:] if arguments is None else list(arguments)
    options, further = parser().parse_known_args(typed)
    setting, out = options.setting, options.out
    try:
        for value in options.values:
            shared = ["--data", options.data, "--methods", options.methods]
            shared += ["--seeds", str(options.seeds), "--out", str(out / f"{setting}-{value}")]
            run([*shared, OPTIONS[setting], value, *further])
        table, headline = collected(setting, options.values, out)
    except (ValueError, ImportError, OSError) as error:
        sys.exit(f"benchmarks.sweep: {error}")
    found = ends(table, setting, headline)
    command = shlex.join(["python", "-m", "benchmarks.sweep", *typed])
    text = markdown(found, setting, headline, command)
    files = [out / f"{setting}.{ending}" for ending in ("csv", "md", "png")]
    write_table(files[0], table)
    write_whole(files[1], partial(Path.write_text, data=text, encoding="utf-8"))
    figure = picture(found, setting, headline)
    write_whole(files[2], lambda part: figure.savefig(part, dpi=96, format="png"))
    print(text, *files, sep="\n")


if __name__ == "__main__":
    main()
