"""What the measurement of alignment says, in sentences and a table."""

from __future__ import annotations

import pandas as pd
from scipy import stats

METRIC = "tar_at_0.01"


def differences(table: pd.DataFrame, method: str, form: str, other: str) -> tuple[float, float]:
    """Mean over the folds of one form's TAR less another's, and half its 95 % t-interval.

    Seeds of a fold are averaged first: it is the folds' people that differ.

    Args:
        table: a row for each form, method, fold and seed.
        method: which rows.
        form: whose TAR.
        other: less whose.

    Example:
        >>> rows = [("a", 0, 0.9), ("a", 1, 0.7), ("b", 0, 0.5), ("b", 1, 0.5)]
        >>> table = pd.DataFrame(rows, columns=["form", "fold", METRIC]).assign(method="m")
        >>> mean, half = differences(table, "m", "a", "b")
        >>> round(mean, 3), round(half, 3)
        (0.3, 1.271)
    """
    rows = table[table["method"] == method]
    by_fold = rows.groupby(["form", "fold"])[METRIC].mean()
    apart = (by_fold[form] - by_fold[other]).to_numpy()
    wide = float(stats.t.ppf(0.975, len(apart) - 1) * stats.sem(apart))
    return float(apart.mean()), wide


def report(table: pd.DataFrame, *, degrees: float, steps: int, missed: int, side: int) -> str:
    """The measurement as Markdown.

    Args:
        table: a row for each form, method, fold and seed.
        degrees: largest turn of the photographs.
        steps: of each training.
        missed: photographs without a face.
        side: of the images.
    """
    seeds = int(table["seed"].nunique())
    lines = [
        "# Aligned against not aligned",
        "",
        f"ORL photographs turned by up to {degrees:g}°, scaled by 0.8 to 1.25 and shifted by up to "
        f"20 pixels; MTCNN found no face in {missed} of 400. TAR at FAR 1e-2 over all pairs of "
        f"people never trained on, mean and range of five folds by person; images of {side} x "
        f"{side}; CosFace, {steps} steps, {seeds} seed{'s' if seeds > 1 else ''}, every training "
        "image mirrored, turned, scaled and shifted a little at random.",
        "",
        f"`python -m benchmarks.faces.alignment --degrees {degrees:g} --steps {steps} "
        f"--seeds {seeds}`",
        "",
        "| form | trained network | pixels alone | EER of the network |",
        "|---|---|---|---|",
    ]
    for form in table["form"].unique():
        cells = [_mean_and_range(table, form, method) for method in ("cosface", "pixels")]
        own = table[(table["form"] == form) & (table["method"] == "cosface")]
        lines.append(f"| {form} | {' | '.join(cells)} | {own['eer'].mean():.3f} |")
    lines.append("")
    for method, name in (("cosface", "trained network"), ("pixels", "pixels alone")):
        for other in ("box", "whole", "original"):
            mean, half = differences(table, method, "aligned", other)
            verdict = "no difference is shown" if abs(mean) <= half else "a difference"
            lines.append(
                f"- {name}, aligned less {other}: {mean:+.3f} ± {half:.3f} (95 % t-interval of "
                f"the five folds' differences): {verdict}."
            )
    return "\n".join(lines) + "\n"


def _mean_and_range(table: pd.DataFrame, form: str, method: str) -> str:
    rows = table[(table["form"] == form) & (table["method"] == method)]
    folds = rows.groupby("fold")[METRIC].mean()
    return f"{folds.mean():.3f} ({folds.min():.3f} to {folds.max():.3f})"
