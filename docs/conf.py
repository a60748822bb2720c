"""Sphinx settings."""

import importlib
import inspect
import re
import sys
from pathlib import Path
from types import ModuleType

from sphinx.application import Sphinx

import metricface

sys.path.insert(0, str(Path(__file__).parents[1]))
from tests.surface import public_names

project = "metricface"
author = "The metricface authors"
copyright = "2026, The metricface authors"
version = release = metricface.__version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
]
exclude_patterns = ["_build", "results"]
html_theme = "furo"
html_title = "metricface"

myst_enable_extensions = ["colon_fence", "dollarmath", "deflist"]
myst_heading_anchors = 3

autosummary_generate = False
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_default_options = {"members": True, "show-inheritance": True}
autodoc_type_aliases = {"Labels": "Labels", "Reduction": "Reduction"}
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True


def begin_with_a_table(
    app: object, what: str, name: str, module: object, options: object, lines: list[str]
) -> None:
    """Add, to what a module says of itself, a table of the classes and functions it offers."""
    if isinstance(module, ModuleType):
        found = {
            each: value
            for each, value in vars(module).items()
            if not each.startswith("_") and (inspect.isclass(value) or inspect.isfunction(value))
        }
        own = [each for each, value in found.items() if value.__module__ == name]
        rows = [f"   {each}" for each in getattr(module, "__all__", own) if each in found]
        lines += ["", ".. autosummary::", "   :nosignatures:", "", *rows, ""]


def begin_with_a_summary(app: object, name: str, source: list[str]) -> None:
    """Put a row for each package, with all its public names, in place of a page's {summary}."""
    if name != "reference":
        return
    rows = ["| package | | public names |", "|---|---|---|"]
    for part in re.findall(r"^reference/(\w+)$", source[0], re.MULTILINE):
        module = importlib.import_module(f"metricface.{part}")
        about = (module.__doc__ or "").splitlines()[0].rstrip(".")
        names = ", ".join(f"`{each}`" for each in public_names(module))
        rows.append(f"| [{part}](reference/{part}.md) | {about} | {names} |")
    source[0] = source[0].replace("{summary}", "\n".join(rows))


def setup(app: Sphinx) -> None:
    """Called by Sphinx."""
    app.connect("autodoc-process-docstring", begin_with_a_table)
    app.connect("source-read", begin_with_a_summary)
