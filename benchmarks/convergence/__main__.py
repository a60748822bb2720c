"""``python -m benchmarks.convergence``: compare methods on people or characters never seen."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from benchmarks.convergence.grid import Report, run_grid
from benchmarks.convergence.methods import METHODS, choose
from benchmarks.convergence.settings import DEFAULTS, HEADLINES, Settings
from benchmarks.convergence.summary import readable

OWN = ",".join(name for name in METHODS if not name.startswith("pml-"))

DESCRIPTION = """\
Train the same small network, from the same initial weights, on the same batches with the same
augmentation, once per method, and watch it on identities that were never trained on.

data sets:
  glyphs   characters in twelve fonts; about 1,100 to train, 15 % for validation, 20 % for the
           test; the headline is Recall@1
  orl      the ORL faces, 40 people; identity-disjoint folds, averaged; Recall@1 saturates there,
           so the headline is the true accept rate at FAR 1e-2
"""

OUTPUT = """\
what comes out, in --out:
  settings.json     what every cell shares; a folder begun with other settings is refused
  cells/            one CSV per finished cell (method, seed, fold); never run again
  checkpoints/      where a killed cell goes on, bit for bit, when you give the command again
  results.csv       every evaluation: method, seed, fold, step, metrics, seconds by kind of work
  summary.csv       per method: mean, 95 % t-interval, steps and seconds to --target
  convergence.png   the headline by step and by second of training
  histograms.png    distances within and between identities, before and after training

Seconds are of training only; evaluation is not counted. They compare methods only if the machine
did nothing else meanwhile. Methods and seeds may be added to a
finished folder.

examples:
  python -m benchmarks.convergence --data glyphs --seeds 3 --out runs/glyphs
  python -m benchmarks.convergence --data orl --methods semi-hard,pml-semi-hard --out runs/orl
  python -m benchmarks.convergence --identities validation --batch 64x2 --out runs/try
"""


def parser() -> argparse.ArgumentParser:
    """The command line."""
    listed = "\n".join(f"  {method.name:<22}{method.rule}" for method in METHODS.values())
    arguments = argparse.ArgumentParser(
        prog="python -m benchmarks.convergence",
        description=DESCRIPTION,
        epilog=f"methods:\n{listed}\n\n{OUTPUT}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = arguments.add_argument
    add("--data", choices=list(DEFAULTS), default="glyphs", help="default: glyphs")
    add("--methods", default=OWN, metavar="A,B,C", help=f"default: {OWN}")
    add("--seeds", type=_count, default=1, metavar="N", help="cells per method and fold, default 1")
    add("--steps", type=_count, metavar="N", help="default: 600 for glyphs, 200 for orl")
    add("--eval-every", type=_count, metavar="N", help="default: 50 for glyphs, 25 for orl")
    add("--batch", type=_batch, metavar="PxK", help="default: 32x4 for glyphs, 16x4 for orl")
    add(
        "--folds", type=_count, metavar="N", help="identity folds; default: 1 for glyphs, 5 for orl"
    )
    add(
        "--identities",
        choices=["test", "validation"],
        help="which unseen identities to evaluate: validation to choose settings, test to report",
    )
    add("--dim", type=_count, metavar="D", help="length of the embedding, default 128")
    add("--lr", type=float, help="learning rate of Adam, default 1e-3")
    add("--target", type=float, help="of the headline; default: 0.80 for glyphs, 0.55 for orl")
    add("--device", help="default: cpu")
    add("--out", type=Path, required=True, metavar="DIR", help="the run folder")
    return arguments


def chosen_settings(options: argparse.Namespace) -> Settings:
    """The data set's defaults with what the command line says otherwise."""
    p, k = options.batch or (None, None)
    said = {
        "steps": options.steps,
        "eval_every": options.eval_every,
        "p": p,
        "k": k,
        "folds": options.folds,
        "held": options.identities,
        "dim": options.dim,
        "lr": options.lr,
        "device": options.device,
    }
    given = {name: value for name, value in said.items() if value is not None}
    return replace(DEFAULTS[options.data], **given)


def run(arguments: Sequence[str]) -> Report:
    """Run with these command-line arguments and print the table and the paths.

    Raises:
        ValueError: an unknown method, or a run folder with other settings.
    """
    options = parser().parse_args(arguments)
    headline, usual = HEADLINES[options.data]
    target = usual if options.target is None else options.target
    report = run_grid(
        chosen_settings(options),
        choose(options.methods.split(",")),
        seeds=options.seeds,
        out=options.out,
        headline=headline,
        target=target,
    )
    print(f"\n{options.data}, unseen identities; target {headline} >= {target:g}\n")
    print(readable(report.summary), end="\n\n")
    for file in report.files:
        print(file)
    return report


def main() -> None:
    """The program: errors of the user end it with one sentence."""
    try:
        run(sys.argv[1:])
    except (ValueError, ImportError) as error:
        sys.exit(f"benchmarks.convergence: {error}")


def _count(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"must be at least 1, got {number}")
    return number


def _batch(text: str) -> tuple[int, int]:
    match = re.fullmatch(r"(\d+)x(\d+)", text)
    if match is None:
        raise argparse.ArgumentTypeError(f"must look like 32x4, got {text!r}")
    return int(match[1]), int(match[2])


if __name__ == "__main__":
    main()
