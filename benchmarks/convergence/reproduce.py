"""Run one cell of a published table again and hold it against the table."""

from __future__ import annotations

import math
from pathlib import Path

from benchmarks.convergence.grid import run_grid
from benchmarks.convergence.methods import choose
from benchmarks.convergence.run_folder import Cell, RunFolder
from benchmarks.convergence.settings import Settings
from benchmarks.convergence.summary import summarise

SAME = 5e-5


def reproduce(published: Path, *, out: Path, command: str) -> tuple[str, bool]:
    """Train the cell of a file ``RUN/cells/NAME.csv`` anew, as RUN's settings say.

    Args:
        published: the cell's file, or where it would be if RUN's ``cells.zip`` were unpacked.
        out: a run folder of its own.
        command: as it was typed.

    Returns:
        A sentence, and whether the new value lies within the published interval; where that is
        of a single repeat, whether it is the same to four decimals.

    Raises:
        ValueError: no such file, not a cell's, or a method that is no longer what it was.
    """
    run = RunFolder(published.parent.parent)
    if published.name not in {file.name for file in run.files("cells").values()}:
        raise ValueError(f"there is no cell {published}")
    cell = Cell.named(published.stem)
    written = run.written()
    if written is None or cell.method not in written["methods"]:
        raise ValueError(f"{run.path} is not a run folder with the method {cell.method}")
    (method,) = choose([cell.method])
    known = written["methods"][cell.method]
    if method.rule != known["rule"]:
        raise ValueError(f"{method.name} was {known['rule']!r}, and is {method.rule!r} now")
    goal = (written["headline"], written["target"])
    grid = run_grid(
        Settings(**written["settings"]),
        [method],
        chosen={method.name: known["chosen"]},
        seeds=[cell.seed],
        out=out,
        goal=goal,
        command=command,
    )
    table = summarise(run.results(), headline=goal[0], target=goal[1]).set_index("method")
    mean, width = table.loc[cell.method, [goal[0], f"{goal[0]}_ci95"]]
    now = float(grid.summary.set_index("method").loc[cell.method, goal[0]])
    said = f"{cell.name}: {goal[0]} {now:.4f}, published {mean:.4f}"
    if math.isnan(width):  # on the machine that published it the number is the same
        same = abs(now - mean) < SAME
        judged = "the same" if same else "another number"
        return f"{said}, by one repeat, which has no interval: {judged}", same
    inside = bool(abs(now - mean) <= width)
    return f"{said} ± {width:.4f}: {'within' if inside else 'outside'} the interval", inside
