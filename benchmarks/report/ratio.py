"""``python -m benchmarks.report.ratio RUN…``: how much sooner than another library's best."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from benchmarks.convergence.summary import summarise
from benchmarks.report.answer import race
from benchmarks.report.labels import metric, number
from benchmarks.report.run import Run

DESCRIPTION = """\
Print, for each run, after how many steps and how much training time a method of this library is
where the best method of another library ends, and how many times fewer that is.

The other library is given its best on the test. Ours is the one that did best on the validation
identities while settings were chosen, unless --method names one: what is compared has then heard
nothing of the test. Both are read from mean curves, to the evaluation.
"""

EPILOG = """\
examples:
  python -m benchmarks.report.ratio docs/results/glyphs docs/results/glyphs-1024
  python -m benchmarks.report.ratio docs/results/glyphs --method batch-hard-soft
"""


def parser() -> argparse.ArgumentParser:
    """The command line."""
    arguments = argparse.ArgumentParser(
        prog="python -m benchmarks.report.ratio",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = arguments.add_argument
    add("runs", type=Path, nargs="+", metavar="RUN", help="folders that runs wrote")
    add("--method", metavar="NAME", help="of this library; default: the best on validation")
    return arguments


def chosen_on_validation(run: Run) -> str:
    """The complete method of this library that did best while settings were chosen.

    Raises:
        ValueError: the run kept no tuning of such a method.
    """
    own = [name for name in run.complete if run.methods[name]["family"] != "peer"]
    if run.tuning is not None:
        rows = run.tuning[run.tuning["chosen"] & run.tuning["method"].isin(own)]
        if len(rows):
            return str(rows.groupby("method")[run.headline].mean().idxmax())
    raise ValueError(f"{run.path} chose nothing on validation identities: name a --method")


def ratio(run: Run, method: str | None = None) -> dict[str, str]:
    """The line of a run.

    Args:
        run: with complete methods of this library and of another.
        method: of this library; None takes :func:`chosen_on_validation`.

    Raises:
        ValueError: no such method, or none of another library.
    """
    own = chosen_on_validation(run) if method is None else method
    if own not in run.complete:
        raise ValueError(f"{run.path} has no complete method {own!r}: {', '.join(run.complete)}")
    summary = summarise(run.results, headline=run.headline, target=run.target)
    found = race(run, summary, own)
    if found is None:
        raise ValueError(f"{run.path} has no complete method of another library")
    steps, seconds = found.ratios
    return {
        "run": str(run.path),
        "theirs": found.peer,
        f"{metric(run.headline)} at its end": number(found.end),
        "step": number(found.theirs[0], 0),
        "s": number(found.theirs[1], 1),
        "ours": own,
        "its step": number(found.ours[0], 0, missing="never"),
        "its s": number(found.ours[1], 1, missing="never"),
        "times fewer steps": number(steps, 2),
        "times fewer s": number(seconds, 2),
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """The program: errors of the user end it with one sentence."""
    options = parser().parse_args(arguments)
    try:
        lines = [ratio(Run(path), options.method) for path in options.runs]
    except (ValueError, OSError) as error:
        sys.exit(f"benchmarks.report.ratio: {error}")
    for line in lines:
        print(pd.Series(line).to_string(), end="\n\n")


if __name__ == "__main__":
    main()
