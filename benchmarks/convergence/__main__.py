"""``python -m benchmarks.convergence``: compare methods on people or characters never seen."""

from __future__ import annotations

import argparse
import os
import re
import shlex
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from benchmarks.convergence.grid import Grid, run_grid
from benchmarks.convergence.methods import METHODS, choose
from benchmarks.convergence.reproduce import reproduce
from benchmarks.convergence.run_folder import RunFolder
from benchmarks.convergence.settings import Chosen, Settings, defaults, headline
from benchmarks.convergence.summary import readable
from benchmarks.convergence.tuning import tune

USUAL = (
    "random,semi-hard,batch-hard,batch-hard-soft,distance-weighted-margin,contrastive,"
    "softmax,cosface,arcface,softmax-then-semi-hard,pml-semi-hard,pml-batch-hard"
)

DESCRIPTION = """\
Train the same small network, from the same initial weights, on the same batches with the same
augmentation, once per method, and watch it on identities that were never trained on.

data sets:
  glyphs     characters in twelve fonts; about 1,100 to train, 15 % for validation, 20 % for the
             test; the headline is Recall@1
  han        Chinese characters in the typefaces that are installed, which Debian packages
             (without any, the error says what to install): 5,000 to train, 4.5 % of all for
             validation, 10.5 % for the test, held out in one typeface of each family. 30 % of the
             families are not trained on; of half of them the test shows every metric again, as
             NAME_unseen_typefaces: characters never seen in typefaces never seen. The headline
             is MAP@R of these. Drawn once, in minutes
  orl        the ORL faces, 40 people; identity-disjoint folds, averaged; Recall@1 saturates
             there, so the headline is the true accept rate at FAR 1e-2
  olivetti, lfw
             scikit-learn's loaders, from its cache or downloaded; headline as for orl
  DIR        a folder with one folder of images per identity; headline as for orl

the fair protocol (Musgrave et al., A Metric Learning Reality Check, 2020):
  1. --tune N tries N settings of every method, its default among them, on validation identities;
     with folds each fold chooses for itself, on the fold after it
  2. the best of each is trained with --seeds seeds and measured on the test identities
"""

OUTPUT = """\
what comes out, in --out:
  settings.json     what every cell shares, how each method was set, the commands; a folder begun
                    with other settings is refused
  tuning.csv        every setting tried, and which was chosen; tuning/ holds the trials
  cells/            one CSV per finished cell (method, seed, fold); never run again
  checkpoints/      where a killed cell goes on, bit for bit, when you give the command again
  histograms/, hardest/
                    distances within and between identities, and the hardest pairs, of seed 0
  results.csv       every evaluation: method, seed, fold, step, metrics, seconds by kind of work
  summary.csv       per method: mean, 95 % t-interval, steps and seconds to --target
then:  python -m benchmarks.report DIR   makes a page with tables and pictures of it

Seconds are processor seconds of training on a CPU, so other programs do not count, and seconds of
the clock on CUDA; evaluation is not counted. Methods and seeds may be added to a finished folder,
and seeds to some of the methods: two are compared in the seeds that both have.

examples:
  python -m benchmarks.convergence --seeds 3 --out runs/glyphs
  python -m benchmarks.convergence --methods 'semi-hard*,pml-*' --tune 4 --seeds 3 --out runs/tuned
  python -m benchmarks.convergence --data orl --methods semi-hard,arcface --out runs/orl
  python -m benchmarks.convergence --dim 32 --train-identities 300 --pixels 196 --out runs/small
  python -m benchmarks.convergence --reproduce runs/glyphs/cells/semi-hard.seed0.fold0.csv \\
      --out runs/again
"""


def parser() -> argparse.ArgumentParser:
    """The command line."""
    listed = "\n".join(f"  {method.name:<30}{method.rule}" for method in METHODS.values())
    arguments = argparse.ArgumentParser(
        prog="python -m benchmarks.convergence",
        description=DESCRIPTION,
        epilog=f"methods:\n{listed}\n\n{OUTPUT}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = arguments.add_argument
    add("--data", default="glyphs", metavar="NAME|DIR", help="default: glyphs")
    add(
        "--methods",
        default=USUAL,
        metavar="A,B,C",
        help=f"names or patterns such as 'semi-hard*'; default: {USUAL}",
    )
    add("--seeds", type=_count, default=1, metavar="N", help="cells per method and fold, default 1")
    add("--tune", type=_count, metavar="N", help="settings tried for every method; default: none")
    add("--tune-steps", type=_count, metavar="N", help="steps of a trial; default: as --steps")
    add(
        "--chosen-in",
        type=Path,
        metavar="RUN",
        help="set methods as they were chosen in another run, where they ran there",
    )
    add(
        "--steps",
        type=_count,
        metavar="N",
        help="default: 600 for glyphs, 5000 for han, 200 for orl",
    )
    add(
        "--eval-every",
        type=_count,
        metavar="N",
        help="default: 50 for glyphs, 500 for han, 25 for orl",
    )
    add(
        "--batch",
        type=_batch,
        metavar="PxK",
        help="default: 32x4 for glyphs, 64x4 for han, 16x4 for orl",
    )
    add(
        "--folds", type=_count, metavar="N", help="identity folds; default: 1 for glyphs, 5 for orl"
    )
    add(
        "--identities",
        choices=["test", "validation"],
        help="which unseen identities to evaluate: validation to choose settings, test to report",
    )
    add("--dim", type=_count, metavar="D", help="length of the embedding, default 128")
    add(
        "--train-identities",
        type=_count,
        metavar="N",
        help="train on so many; default: all, 5000 for han",
    )
    add("--jpeg-quality", type=_count, metavar="Q", help="compress held-out images, 1 to 95")
    add("--pixels", type=_count, metavar="N", help="reduce held-out images to so many pixels")
    add(
        "--target",
        type=float,
        help="of the headline; default: 0.80 for glyphs, 0.50 for han, 0.55 for faces",
    )
    add("--device", help="default: cpu")
    add(
        "--broken",
        choices=["error", "skip"],
        default="error",
        help="of a DIR: files that are no images, and folders without any, end the run or are "
        "left out, which a warning tells; default: error",
    )
    add(
        "--jobs",
        type=_count,
        metavar="N",
        help="cells side by side, one thread each; default: one per core on a CPU, else 1",
    )
    add("--reproduce", type=Path, metavar="CELL.csv", help="run a published cell again, compare")
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
        "identities": options.train_identities,
        "quality": options.jpeg_quality,
        "pixels": options.pixels,
        "device": options.device,
        "broken": "skip" if options.broken == "skip" else None,
    }
    given = {name: value for name, value in said.items() if value is not None}
    return replace(defaults(options.data), **given)


def run(arguments: Sequence[str]) -> Grid:
    """Run with these command-line arguments and print the table and the paths.

    Raises:
        ValueError: an unknown method, or a run folder with other settings.
    """
    options = parser().parse_args(arguments)
    command = shlex.join(["python", "-m", "benchmarks.convergence", *arguments])
    metric, usual = headline(options.data)
    goal = (metric, usual if options.target is None else options.target)
    settings, methods = chosen_settings(options), choose(options.methods.split(","))
    on_cpu = settings.device == "cpu"
    jobs = options.jobs or (os.cpu_count() or 1 if on_cpu else 1)
    chosen = {method.name: [method.default] * settings.folds for method in methods}
    for folder in (options.chosen_in, options.out):
        if folder is not None:
            chosen |= _chosen_in(folder, settings.folds)
    if options.tune is not None:
        chosen |= tune(
            settings,
            methods,
            budget=options.tune,
            steps=options.tune_steps,
            out=options.out,
            goal=goal,
            command=command,
            jobs=jobs,
        )
    grid = run_grid(
        settings,
        methods,
        chosen=chosen,
        seeds=range(options.seeds),
        out=options.out,
        goal=goal,
        command=command,
        jobs=jobs,
    )
    print(f"\n{options.data}, unseen identities; target {goal[0]} >= {goal[1]:g}\n")
    print(readable(grid.summary), end="\n\n")
    for file in grid.files:
        print(file)
    print(f"a page with tables and pictures: python -m benchmarks.report {options.out}")
    return grid


def main() -> None:
    """The program: errors of the user end it with one sentence."""
    arguments = sys.argv[1:]
    options = parser().parse_args(arguments)
    try:
        if options.reproduce is None:
            run(arguments)
            return
        command = shlex.join(["python", "-m", "benchmarks.convergence", *arguments])
        sentence, inside = reproduce(options.reproduce, out=options.out, command=command)
    except (ValueError, ImportError, OSError) as error:
        sys.exit(f"benchmarks.convergence: {error}")
    print(sentence)
    sys.exit(0 if inside else 1)


def _chosen_in(folder: Path, folds: int) -> Chosen:
    """How methods that have run in a folder were set; nothing if none has."""
    written = RunFolder(folder).written()
    if written is None:
        return {}
    there = written["settings"]["folds"]
    if there != folds:
        raise ValueError(f"{folder} chose for each of {there} folds, this run has {folds}")
    return {name: method["chosen"] for name, method in written["methods"].items()}


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number of at least 1, got {text!r}")
    return int(text)


def _batch(text: str) -> tuple[int, int]:
    match = re.fullmatch(r"(\d+)x(\d+)", text)
    if match is None:
        raise argparse.ArgumentTypeError(f"must look like 32x4, got {text!r}")
    return int(match[1]), int(match[2])


if __name__ == "__main__":
    main()
