"""Sphinx settings."""

import metricface

project = "metricface"
author = "The metricface authors"
copyright = "2026, The metricface authors"
version = release = metricface.__version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
]
exclude_patterns = ["_build", "results"]
html_theme = "furo"
html_title = "metricface"

myst_enable_extensions = ["colon_fence", "dollarmath", "deflist"]
myst_heading_anchors = 3

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_default_options = {"members": True, "show-inheritance": True}
autodoc_type_aliases = {"Labels": "Labels", "Reduction": "Reduction"}
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True
