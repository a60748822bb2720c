"""``python -m benchmarks.report.claims RUN…``: what papers claim, held against published runs."""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from benchmarks.report.answer import paired_gap
from benchmarks.report.labels import interval, metric
from benchmarks.report.run import Run

DESCRIPTION = """\
Print, as a Markdown table, what papers claim of two methods, the difference of their ends in the
runs that have both, and the verdict: confirmed where the 95 % t-interval of the differences, seed
by seed, lies above 0, contradicted where it lies below, undecided otherwise and with one seed.
"""

EPILOG = """\
example:
  python -m benchmarks.report.claims docs/results/glyphs docs/results/orl
"""


class Claim(NamedTuple):
    """That one method ends above another."""

    sentence: str
    source: str
    above: str
    below: str


CLAIMS = (
    Claim("semi-hard triplets beat random ones", "FaceNet", "semi-hard", "random"),
    Claim("the hardest beat semi-hard", "In Defense", "batch-hard-soft", "semi-hard"),
    Claim("the soft margin beats a hinge", "In Defense", "batch-hard-soft", "batch-hard"),
    Claim(
        "distance-weighted beats semi-hard", "Sampling Matters", "distance-weighted", "semi-hard"
    ),
    Claim(
        "the margin loss beats the hinge",
        "Sampling Matters",
        "distance-weighted-margin",
        "distance-weighted",
    ),
    Claim("softmax first beats none", "VGG-Face", "softmax-then-semi-hard", "semi-hard"),
    Claim("verification beside softmax helps", "DeepID2", "deepid2", "softmax"),
    Claim("center loss beside softmax helps", "Center Loss", "softmax-center", "softmax"),
    Claim("a margin beats plain softmax", "CosFace", "cosface", "softmax"),
    Claim("a margin beats plain softmax", "ArcFace", "arcface", "softmax"),
    Claim("margin classifiers beat triplets", "ArcFace", "arcface", "batch-hard-soft"),
    Claim("margin classifiers beat triplets", "CosFace", "cosface", "batch-hard-soft"),
    Claim("a memory of past batches helps", "Cross-Batch Memory", "semi-hard-memory", "semi-hard"),
    Claim(
        "a memory of past batches helps", "Cross-Batch Memory", "contrastive-memory", "contrastive"
    ),
    Claim(
        "a memory of past batches helps",
        "Cross-Batch Memory",
        "batch-hard-memory",
        "batch-hard-soft",
    ),
    Claim(
        "a memory of past batches helps",
        "Cross-Batch Memory",
        "distance-weighted-margin-memory",
        "distance-weighted-margin",
    ),
    Claim(
        "batches of look-alikes help",
        "Graph Sampling",
        "batch-hard-look-alikes",
        "batch-hard-soft",
    ),
    Claim(
        "batches of look-alikes help",
        "Graph Sampling",
        "distance-weighted-margin-look-alikes",
        "distance-weighted-margin",
    ),
    Claim("mining offline helps", "FaceNet", "batch-hard-offline", "batch-hard-soft"),
    Claim(
        "mining offline helps",
        "FaceNet",
        "distance-weighted-margin-offline",
        "distance-weighted-margin",
    ),
)
"""The sources are cited in the docstrings of what they describe."""


def verdict(mean: float, half: float) -> str:
    """What a difference and the half-width of its interval say of a claim that it is above 0.

    Example:
        >>> [verdict(*gap) for gap in ((0.2, 0.1), (-0.2, 0.1), (0.1, 0.2), (0.1, float("nan")))]
        ['confirmed', 'contradicted', 'undecided', 'undecided']
    """
    if math.isnan(half) or abs(mean) <= half:
        return "undecided"
    return "confirmed" if mean > 0 else "contradicted"


def table(runs: Sequence[Run]) -> str:
    """The claims of which both methods are complete in a run, a row for each claim and run."""
    lines = ["| claim | run | difference | verdict |", "|---|---|---|---|"]
    for claim in CLAIMS:
        for run in runs:
            if not {claim.above, claim.below} <= set(run.complete):
                continue
            gap = paired_gap(run, claim.above, claim.below)
            what = f"{claim.sentence} ({claim.source}): `{claim.above}` above `{claim.below}`"
            shown = interval(gap.mean, gap.half, signed=True)
            lines.append(
                f"| {what} | {run.path.name} | {shown} {metric(run.headline)} | "
                f"**{verdict(*gap)}** |"
            )
    return "\n".join(lines) + "\n"


def main(arguments: Sequence[str] | None = None) -> None:
    """The program: errors of the user end it with one sentence."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.report.claims",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("runs", type=Path, nargs="+", metavar="RUN", help="folders that runs wrote")
    try:
        print(table([Run(path) for path in parser.parse_args(arguments).runs]), end="")
    except (ValueError, OSError) as error:
        sys.exit(f"benchmarks.report.claims: {error}")


if __name__ == "__main__":
    main()
