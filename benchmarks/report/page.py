"""A run's sentences, tables and pictures by name, and ``report.j2`` that says them.

Texts are plain, but for two marks that both forms know: ``**strong**`` and, in backticks, code.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from itertools import count
from pathlib import Path
from typing import Any, Literal

import pandas as pd
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from benchmarks.convergence.summary import summarise
from benchmarks.report.answer import against_peers, answer, first_to_target, ranking
from benchmarks.report.curves import family_panels, story_panels
from benchmarks.report.distances import hardest_pairs, histogram_panels
from benchmarks.report.figures import Pairs, Panel, Panels, inline_svg
from benchmarks.report.labels import metric
from benchmarks.report.run import Run
from benchmarks.report.tables import (
    Table,
    choices,
    plain_table,
    summary_table,
    tried_settings,
    tuning_tables,
)


def contents(run: Run) -> dict[str, Any]:
    """All that is shown of a run.

    Raises:
        ValueError: an optional file of the run holds something else than its name says.
    """
    summary = summarise(run.results, headline=run.headline, target=run.target)
    by = f"{metric(run.headline)} by step and by second, two panels a"
    densities = "Histograms of distances within and between identities, a panel a method"
    pairs, problem = _pairs(run, summary)
    rules = (
        (name, said["family"], said["rule"], choices(said["chosen"]))
        for name, said in run.methods.items()
    )
    return {
        "run": run,
        "metric": metric(run.headline),
        "seeds": _seeds(run),
        "answer": " ".join(answer(run, summary)),
        "first_to_target": first_to_target(run, summary),
        "against_peers": against_peers(run, summary),
        "missing": [f"`{cell.name}`" for cell in run.missing],
        "summary": summary_table(run, summary),
        "families": Panels("report-families.png", f"{by} family", family_panels(run), 2),
        "comparisons": Panels("report-comparisons.png", f"{by} comparison", story_panels(run), 2),
        "distances": Panels("report-distances.png", densities, histogram_panels(run), 3),
        "pairs": pairs,
        "pairs_problem": problem,
        "tuning": () if run.tuning is None else tuning_tables(run, tried_settings(run, run.tuning)),
        "methods": plain_table(("Method", "Family", "Rule", "Chosen parameters"), rules),
        "settings": plain_table(("Shared setting", "Value"), run.settings.items()),
        "machines": _machines(run),
        "reproduce": _reproduce(run, summary),
    }


def _seeds(run: Run) -> str:
    counts = sorted({len(seeds) for seeds in run.seeds_of.values()})
    return f"{' or '.join(map(str, counts))} seed{'' if counts == [1] else 's'}"


def _machines(run: Run) -> Table:
    machines = run.written.get("machines", [])
    parts = list(dict.fromkeys(part for machine in machines for part in machine))
    rows = [[machine.get(part, "") for part in parts] for machine in machines]
    return plain_table([part.capitalize() for part in parts], rows)


def _pairs(run: Run, summary: pd.DataFrame) -> tuple[list[Pairs], str]:
    """Those of the two best methods that have them, or why they cannot be shown."""
    ranked = [str(name) for name in ranking(run, summary)["method"]]
    chosen = [name for name in ranked if run.files_of("hardest", name)][:2]
    try:
        return hardest_pairs(run, chosen) if chosen else [], ""
    except (ImportError, ValueError, OSError) as error:
        return [], str(error)


def _reproduce(run: Run, summary: pd.DataFrame) -> str | None:
    """The command that repeats the best method's first cell, as typed from where this runs."""
    best = ranking(run, summary)["method"]
    if best.empty:
        return None
    name = next(cell.name for cell in run.cells if cell.method == best.iloc[0])
    inside, here = run.path.resolve(), Path.cwd()
    path = inside.relative_to(here) if inside.is_relative_to(here) else run.path
    file = shlex.quote(f"{path.as_posix()}/cells/{name}.csv")
    return f"python -m benchmarks.convergence --reproduce {file}"


def render(contents: Mapping[str, Any], form: Literal["html", "markdown"]) -> str:
    """One page that needs nothing else, or a text whose pictures are files beside it."""
    numbers = count(1)

    def svg(panel: Panel) -> Markup:
        return Markup(inline_svg(panel, prefix=f"f{next(numbers)}-"))

    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        undefined=StrictUndefined,
        autoescape=form == "html",
        trim_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["prose"] = html_prose if form == "html" else markdown_prose
    environment.filters["plain"] = markdown_plain
    text = environment.get_template("report.j2").render(contents, form=f"{form}.j2", svg=svg)
    text = text.rstrip("\n") + "\n"
    return _styles_once(text) if form == "html" else text


def _styles_once(page: str) -> str:
    """The styles of pictures as classes: each stands thousands of times in a page."""
    styles: dict[str, str] = {}
    page = re.sub(
        r' style="([^"]*)"',
        lambda found: f' class="{styles.setdefault(found[1], f"s{len(styles)}")}"',
        page,
    )
    rules = "".join(f".{name} {{ {style} }}\n" for style, name in styles.items())
    return page.replace("</style>", f"{rules}</style>", 1)


def html_prose(text: str) -> Markup:
    """Escaped, with the two marks of a report's texts.

    Example:
        >>> str(html_prose("**a** & `b`"))
        '<strong>a</strong> &amp; <code>b</code>'
    """
    marked = re.sub(r"\*\*(.+?)\*\*", r"<strong>\1</strong>", _one_line(escape(text)))
    return Markup(re.sub(r"`(.+?)`", r"<code>\1</code>", marked))


def markdown_prose(text: str) -> str:
    r"""Escaped, but for the two marks of a report's texts, which are Markdown's own.

    Example:
        >>> markdown_prose("**a_b** | `c_d`")
        '**a\\_b** \\| `c_d`'
    """
    parts = re.split(r"(`[^`]+`)", _one_line(text))
    return "".join(part if n % 2 else markdown_plain(part) for n, part in enumerate(parts))


def markdown_plain(text: str) -> str:
    """Escaped, without any mark but strong."""
    text = " ".join(text.split("\n")).replace("&", "&amp;").replace("<", "&lt;")
    return re.sub(r"(?<!\*)\*(?!\*)|[\\_\[\]|>#~`]", lambda found: "\\" + found[0], text)


def _one_line(text: str) -> str:
    return re.sub(r"[ \n]+", " ", text).strip(" ")
