"""``python -m benchmarks.report RUN``: one page that says which method to use, and why."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from benchmarks.report.figures import write_pictures
from benchmarks.report.page import contents, render
from benchmarks.report.run import Run
from metricface.files import write_whole

DESCRIPTION = """\
Write what a run of benchmarks.convergence found as one page: the answer, the table it rests on,
convergence by step and by second, distances, hardest pairs, tuning, settings and commands.
"""

OUTPUT = """\
what comes out, in --out:
  report.html       everything in one file: opens offline, in light and dark, on a phone, in print
  report.md         the same as Markdown
  report-*.png      the pictures of the Markdown

What the run folder lacks is said in its place, and methods with unfinished cells are left out of
the answer, so a run may be reported while it goes on. Nothing is trained and nothing in the run
changes; the same run gives the same files, byte by byte.

examples:
  python -m benchmarks.report runs/glyphs
  python -m benchmarks.report runs/orl --out docs/results/orl
"""


def parser() -> argparse.ArgumentParser:
    """The command line."""
    arguments = argparse.ArgumentParser(
        prog="python -m benchmarks.report",
        description=DESCRIPTION,
        epilog=OUTPUT,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add, where = arguments.add_argument, "where the report goes; default: RUN"
    add("run", type=Path, metavar="RUN", help="a folder that a run wrote")
    add("--out", type=Path, metavar="DIR", help=where)
    return arguments


def report(run: Path, out: Path) -> list[Path]:
    """Write the report of a run; each file is written whole or not at all.

    Args:
        run: the run folder.
        out: where the report goes; made if missing.

    Returns:
        The files: the page, the Markdown, its pictures.

    Raises:
        ValueError: the folder holds no run, or something that is not a run's.
    """
    said = contents(Run(run))
    out.mkdir(parents=True, exist_ok=True)
    pictures = write_pictures(said, out)
    texts = {"report.md": render(said, "markdown"), "report.html": render(said, "html")}
    for name, text in texts.items():
        write_whole(out / name, partial(Path.write_bytes, data=text.encode()))
    return [out / "report.html", out / "report.md", *pictures]


def main(arguments: Sequence[str] | None = None) -> None:
    """The program: errors of the user end it with one sentence."""
    options = parser().parse_args(arguments)
    try:
        files = report(options.run, options.out or options.run)
    except (ValueError, ImportError, OSError) as error:
        sys.exit(f"benchmarks.report: {error}")
    for file in files:
        print(file)


if __name__ == "__main__":
    main()
