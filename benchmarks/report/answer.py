"""The answer, computed: which method is best, what is as good and cheaper, against whom.

Each function takes the run and its summary by ``benchmarks.convergence.summary.summarise``.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import pandas as pd

from benchmarks.convergence.summary import half_width, repeats, to_target
from benchmarks.report.labels import interval, metric, number
from benchmarks.report.run import Run


class Gap(NamedTuple):
    """How far one method ends above another: the mean over the repeats and its half-width."""

    mean: float
    half: float


def ranking(run: Run, summary: pd.DataFrame) -> pd.DataFrame:
    """The complete methods' lines of the summary, the best by the headline first."""
    ranked: pd.DataFrame = summary[summary["method"].isin(run.complete)].sort_values(
        run.headline, ascending=False, kind="stable", ignore_index=True
    )
    return ranked


def paired_gap(run: Run, method: str, other: str) -> Gap:
    """By how much a method ends above another, repeat by repeat; both are complete.

    Of the seeds that both have: there they met the same folds, batches and initial weights, so
    the difference within each repeat is free of what these do to both alike.
    """
    rows = run.trained[run.trained["method"].isin([method, other])]
    both = set(run.seeds_of[method]) & set(run.seeds_of[other])
    if not both:
        return Gap(math.nan, math.nan)
    curves = repeats(rows[rows["seed"].isin(both)])
    last = curves[curves["step"] == curves.groupby("method")["step"].transform("max")]
    ends = last.pivot(index="seed", columns="method", values=run.headline)
    differences = (ends[method] - ends[other]).to_numpy(dtype=float)
    return Gap(float(differences.mean()), half_width(differences))


def answer(run: Run, summary: pd.DataFrame) -> list[str]:
    """Two sentences: what is best and whether that is sure, and what is as good and cheaper."""
    ranked = ranking(run, summary)
    if ranked.empty:
        return ["No method has finished all its cells yet, so there is no answer."]
    return [_best(run, ranked), _cheapest(run, ranked)]


def _best(run: Run, ranked: pd.DataFrame) -> str:
    """The best, the runner-up, and whether their intervals tell them apart."""
    best, half = ranked.iloc[0], f"{run.headline}_ci95"
    said = (
        f"After {best['step']} steps **{best['method']}** has the best {metric(run.headline)} on "
        f"identities never trained on, {_measured(run, best)}"
    )
    if len(ranked) == 1:
        return f"{said}; no other method has finished."
    second = ranked.iloc[1]
    runner_up = f"the runner-up, **{second['method']}** ({_measured(run, second)})"
    if not math.isfinite(best[half]) or not math.isfinite(second[half]):
        return f"{said}, before {runner_up}; one repeat has no interval: their order may be luck."
    apart = best[run.headline] - second[run.headline] > best[half] + second[half]
    gap = paired_gap(run, str(best["method"]), str(second["method"]))
    sure = "more than chance explains" if abs(gap.mean) > gap.half else "which chance may explain"
    one = str(best["over"]).removesuffix("s")
    return (
        f"{said}; {runner_up}, whose interval {'ends below' if apart else 'overlaps'} it, is "
        f"{one} by {one} {interval(*gap)} behind, {sure}."
    )


def _cheapest(run: Run, ranked: pd.DataFrame) -> str:
    """Of the methods whose mean lies in the best's interval, the one of least training time."""
    best, cost = ranked.iloc[0], _seconds(ranked["seconds"].iloc[0])
    half = best[f"{run.headline}_ci95"]
    if not math.isfinite(half):
        return f"Its training took {cost}; what is as good and cheaper takes more repeats to say."
    near = ranked[ranked[run.headline] >= best[run.headline] - half]
    if len(near) == 1:
        return f"No other mean lies within its interval; its training took {cost}."
    cheapest = near.loc[near["seconds"].idxmin()]
    within = f"Within its interval lie the means of {len(near)} methods, its own among them"
    if cheapest["method"] == best["method"]:
        return f"{within}, and it is the cheapest of these, with {cost} of training."
    return (
        f"{within}; the cheapest of these is **{cheapest['method']}** ({_measured(run, cheapest)})"
        f", with {_seconds(cheapest['seconds'])} of training against {cost}."
    )


def first_to_target(run: Run, summary: pd.DataFrame) -> str:
    """Who reached the target in the fewest steps, and who in the fewest seconds."""
    goal = f"{metric(run.headline)} of {run.target:g}"
    reached = ranking(run, summary).dropna(subset=["steps_to", "seconds_to"])
    if reached.empty:
        return f"No method reached the target, a {goal}, in every repeat."
    first = reached.loc[reached["steps_to"].idxmin()]
    soonest = reached.loc[reached["seconds_to"].idxmin()]
    steps, seconds = number(first["steps_to"], 0), _seconds(soonest["seconds_to"])
    said = f"First at the target, a {goal}: **{first['method']}**"
    if first["method"] == soonest["method"]:
        return f"{said}, by steps ({steps}) and by training time ({seconds})."
    return f"{said} by steps ({steps}) and **{soonest['method']}** by training time ({seconds})."


class Race(NamedTuple):
    """A method of this library on the way to where the best of another ends."""

    peer: str
    end: float
    """The peer's mean headline after its last step."""
    own: str
    theirs: tuple[float, float]
    """Step and second at which the peer's mean first is there."""
    ours: tuple[float, float]
    """The same of this library's method; NaN where it never is."""

    @property
    def ratios(self) -> tuple[float, float]:
        """Theirs over ours, in steps and in training time; NaN where ours never is there."""
        steps, seconds = (t / o if o else math.inf for t, o in zip(*self[3:], strict=True))
        return steps, seconds


def race(run: Run, summary: pd.DataFrame, own: str | None = None) -> Race | None:
    """The best complete method of another library against one of this.

    Both are read from their mean curves, to the evaluation.

    Args:
        run: whose curves.
        summary: of the run.
        own: a complete method; None is the best of this library.

    Returns:
        None unless both kinds finished.
    """
    ranked = ranking(run, summary)
    foreign = ranked["method"].map(lambda name: run.methods[name]["family"] == "peer").astype(bool)
    if not foreign.any() or foreign.all():
        return None
    peer, best = (str(ranked[side]["method"].iloc[0]) for side in (foreign, ~foreign))
    end = float(ranked[foreign][run.headline].iloc[0])
    own = best if own is None else own
    return Race(peer, end, own, _arrival(run, peer, end), _arrival(run, own, end))


def against_peers(run: Run, summary: pd.DataFrame) -> str | None:
    """How much sooner than the best of another library our best is where that one ends.

    Nothing unless both kinds finished.
    """
    found = race(run, summary)
    if found is None:
        return None
    said = (
        f"The best method of another library, **{found.peer}**, ends at {number(found.end)}, "
        f"which its mean first reaches after {found.theirs[0]:.0f} steps and "
        f"{_seconds(found.theirs[1])}"
    )
    if not math.isfinite(found.ours[0]):
        return f"{said}; the best of this one, **{found.own}**, does not get there."
    ratios = ["∞" if math.isinf(ratio) else number(ratio, 2) for ratio in found.ratios]
    return (
        f"{said}; the best of this one, **{found.own}**, is there after {found.ours[0]:.0f} steps "
        f"and {_seconds(found.ours[1])}. Theirs over ours: {ratios[0]} in steps, {ratios[1]} in "
        "training time."
    )


def _arrival(run: Run, method: str, level: float) -> tuple[float, float]:
    """Step and second at which a method's mean first is at a level; NaN if it never is."""
    curves = repeats(run.trained[run.trained["method"] == method])
    mean = curves.groupby("step", as_index=False)[[run.headline, "seconds"]].mean()
    return to_target(mean, run.headline, level - 1e-12)  # a mean of means ends in other bits


def _seconds(value: float) -> str:
    return f"{number(value, 1)}\u00a0s"


def _measured(run: Run, line: pd.Series) -> str:
    return interval(line[run.headline], line[f"{run.headline}_ci95"])
