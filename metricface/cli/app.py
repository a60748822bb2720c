"""The application to which every command's file adds its own."""

from __future__ import annotations

from typing import Annotated

import typer

import metricface
from metricface.cli.outputs import say

app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False)


def _tell_version(asked: bool) -> None:  # noqa: FBT001
    if asked:
        say(f"metricface {metricface.__version__}")
        raise typer.Exit


@app.callback()
def about(
    version: Annotated[  # noqa: FBT002
        bool,
        typer.Option(
            "--version", callback=_tell_version, is_eager=True, help="Say the version and end."
        ),
    ] = False,
) -> None:
    """What embeddings are worth, and which of them are hard."""
