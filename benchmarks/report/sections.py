"""A run as a document: the answer first, then what it rests on, then how to repeat it."""

from __future__ import annotations

import shlex
from pathlib import Path

import pandas as pd

from benchmarks.convergence.summary import summarise
from benchmarks.report.answer import against_peers, answer, first_to_target, ranking
from benchmarks.report.curves import family_panels, story_panels
from benchmarks.report.document import (
    Block,
    Bullets,
    Code,
    Document,
    Folded,
    Panels,
    Paragraph,
    Section,
)
from benchmarks.report.histograms import histogram_panels
from benchmarks.report.labels import metric
from benchmarks.report.pairs import hardest_pairs
from benchmarks.report.run import Run
from benchmarks.report.tables import (
    every_setting_table,
    methods_table,
    named_values,
    summary_table,
    tried_settings,
    tuning_table,
)

NOTES = (
    "Intervals are Student's 95 % intervals of the mean over the seeds, each seed the mean of its "
    "folds; where there is one seed, over its folds, and then they tell how much the people "
    "matter rather than the luck of training. Folds share training identities, so those "
    "intervals are somewhat too narrow.",
    "Each interval is of one method alone. The best of many is partly the luckiest of many, and "
    "no interval here is corrected for that.",
    "All methods met the same seeds, folds, batches, augmentation and initial weights, so the "
    "difference of two methods repeat by repeat is surer than their two intervals side by side.",
    "Seconds are processor seconds of training: data, network, mining and loss. Evaluation is not "
    "counted. They compare methods of one run on one machine, not machines.",
    "Steps and seconds to the target are those of the first evaluation at or above it, so they "
    "are as fine as the evaluations are frequent; they are averaged only if every repeat got "
    "there.",
)


def compose(run: Run) -> Document:
    """The report of a run.

    Raises:
        ValueError: an optional file of the run holds something else than its name says.
    """
    summary = summarise(run.results, headline=run.headline, target=run.target)
    data = str(run.settings.get("data", "unnamed data"))
    return Document(
        f"Which miner should I use? {len(run.methods)} methods on {data}",
        [
            Section("answer", "The answer", _answer(run, summary)),
            Section("summary", "Where each method ends", [summary_table(run, summary)]),
            Section("convergence", "How fast each family gets there", _families(run)),
            Section("comparisons", "Side by side", _stories(run)),
            Section("distances", "What training does to distances", _histograms(run)),
            Section("pairs", "The hardest pairs", _pairs(run, summary)),
            Section("tuning", "How the settings were chosen", _tuning(run)),
            Section("settings", "Methods and settings", _settings(run)),
            Section("machine", "The machine", _machine(run)),
            Section("reproduce", "How to repeat it", _reproduce(run, summary)),
            Section("notes", "How to read the numbers", [Bullets(NOTES)]),
        ],
    )


def _answer(run: Run, summary: pd.DataFrame) -> list[Block]:
    """What was asked, what came out, and what is not finished."""
    said = run.settings
    folds = int(said.get("folds", 1))
    split = "one split" if folds == 1 else f"{folds}-fold cross-validation"
    asked = (
        f"Asked: which of {len(run.methods)} methods teaches one small network best to tell "
        f"identities of {said.get('data')} apart that it was never trained on, by "
        f"{metric(run.headline)}, in {said.get('steps')} steps of {said.get('p')} identities × "
        f"{said.get('k')} images; {len(run.seeds)} "
        f"{'seed' if len(run.seeds) == 1 else 'seeds'}, {split} of the identities, of which the "
        f"{said.get('held', 'held-out')} side is watched."
    )
    found = Paragraph(" ".join(answer(run, summary)), kind="answer")
    blocks: list[Block] = [Paragraph(asked), found, Paragraph(first_to_target(run, summary))]
    peers = against_peers(run, summary)
    blocks += [Paragraph(peers)] if peers else []
    if run.missing:
        names = [cell.name for cell in run.missing]
        blocks += [
            Paragraph(
                f"Not finished: {len(names)} of {len(run.expected)} cells are missing. Their "
                "methods stand in the tables and pictures with what there is, and are left out "
                "of the answer.",
                kind="warning",
            ),
            Folded("The missing cells", [Bullets([f"`{name}`" for name in names])]),
        ]
    return blocks


def _families(run: Run) -> list[Block]:
    text = (
        f"{metric(run.headline)} on identities never trained on: mean, and its 95 % interval as a "
        "band. A family in colour, all other methods in grey; the ring is where a mean first is "
        "at the target. Seconds are shown as far as the family's own methods take."
    )
    nothing = "No method has been trained yet."
    alt = f"{metric(run.headline)} by step and by second, two panels a family"
    return _pictures(text, Panels("families", alt, family_panels(run), 2), nothing)


def _stories(run: Run) -> list[Block]:
    text = "The same, for methods that differ in one thing."
    nothing = "None of the comparisons has two of its methods in this run."
    alt = f"{metric(run.headline)} by step and by second, two panels a comparison"
    return _pictures(text, Panels("comparisons", alt, story_panels(run), 2), nothing)


def _histograms(run: Run) -> list[Block]:
    text = (
        "Densities of the distances between held-out images, after the last step: blue and solid "
        "within identities, vermilion and dashed between them, hatched what both share, dotted "
        "the threshold of least error. Less overlap and a larger d′ (difference of the means in "
        "units of the spread) are better. One distance axis for all; means of all cells."
    )
    nothing = "No histograms were saved with this run."
    alt = "Histograms of distances within and between identities, a panel a method"
    return _pictures(text, Panels("distances", alt, histogram_panels(run), 3), nothing)


def _pictures(text: str, pictures: Panels, nothing: str) -> list[Block]:
    """Panels under their explanation, or a sentence in their place."""
    return [Paragraph(text), pictures] if pictures.panels else [Paragraph(nothing)]


def _pairs(run: Run, summary: pd.DataFrame) -> list[Block]:
    """Those of the two best methods that have them."""
    named = [str(name) for name in ranking(run, summary)["method"]]
    chosen = [name for name in named if run.files_of("hardest", name)][:2]
    if not chosen:
        return [Paragraph("No hardest pairs were saved with this run.")]
    try:
        sheets = hardest_pairs(run, chosen)
    except (ImportError, ValueError, OSError) as error:
        return [Paragraph(f"The hardest pairs cannot be shown: {error}", kind="warning")]
    text = (
        "What the best two methods are most wrong about, with the distance of each pair: impostors "
        "that look alike, and images of one identity that do not. Wrong labels show here first."
    )
    return [Paragraph(text), *sheets]


def _tuning(run: Run) -> list[Block]:
    if run.tuning is None:
        return [Paragraph("No tuning was saved with this run: the settings are as given below.")]
    table = every_setting_table(run, run.tuning)
    tried = sorted(set(tried_settings(run, run.tuning).groupby("method").size()))
    budget = f"{tried[0]} settings" if len(tried) == 1 else f"{tried[0]} to {tried[-1]} settings"
    folds = run.settings.get("folds", 1)
    own = " Each fold took what did best on its own." if folds > 1 else ""
    return [
        Paragraph(f"{budget} were tried for each method and judged by validation identities.{own}"),
        tuning_table(run, run.tuning),
        Folded(f"All {len(table.rows)} settings", [table]),
    ]


def _settings(run: Run) -> list[Block]:
    return [methods_table(run), named_values(run.settings, "Shared setting")]


def _machine(run: Run) -> list[Block]:
    if not run.machine:
        return [Paragraph("The run does not say what it was timed on.")]
    return [named_values(run.machine, "Part")]


def _reproduce(run: Run, summary: pd.DataFrame) -> list[Block]:
    """The commands typed, and the one that repeats a cell."""
    blocks: list[Block] = [Paragraph("The run does not say by which commands it was made.")]
    if run.commands:
        blocks = [Paragraph("This run was made by:"), Code(run.commands)]
    ranked = ranking(run, summary)
    if ranked.empty:
        return blocks
    cell = next(cell for cell in run.cells if cell.method == ranked["method"].iloc[0])
    file = shlex.quote(f"{_typed(run.path)}/cells/{cell.name}.csv")
    return [
        *blocks,
        Paragraph(
            "One cell trained anew and held against the table, here the best method's first; any "
            "file of `cells/` will do:"
        ),
        Code([f"python -m benchmarks.convergence --reproduce {file}"]),
    ]


def _typed(path: Path) -> str:
    """The run's folder as it is typed from where the report was made."""
    here = Path.cwd()
    inside = path.resolve()
    return (inside.relative_to(here) if inside.is_relative_to(here) else path).as_posix()
