"""The entry point, which tells in one sentence what went wrong."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Sequence
from typing import Any

from metricface.cli.outputs import say


def main(arguments: Sequence[str] | None = None) -> int:
    """Run ``metricface`` with these arguments.

    Args:
        arguments: as typed after the name; those of the process if None.

    Returns:
        The exit code: 0 done, 1 bad input or a missing package (one sentence on the error stream),
        2 arguments that make no sense.

    Example:
        >>> main(["mine", "--help"])  # doctest: +ELLIPSIS
        <BLANKLINE>
        ...
        0
    """
    try:
        from metricface.cli.commands import app

        with warnings.catch_warnings():
            warnings.simplefilter("default", UserWarning)
            warnings.showwarning = _one_line
            code = app(arguments, prog_name="metricface", standalone_mode=False)
    except SystemExit as error:
        # click exits this way when the reader of its help has gone.
        return 0 if isinstance(error.__context__, BrokenPipeError) else int(error.code or 0)
    except (ValueError, TypeError, OSError, ImportError) as error:
        return _fail(str(error) if not _is_typer(error) else _TYPER)
    except Exception as error:
        # typer's own errors (usage, abort) carry an exit code; any other is a fault of ours.
        shown = getattr(error, "show", None)
        if shown is None:
            raise
        shown()
        return int(getattr(error, "exit_code", 2))
    return int(code or 0)


_TYPER = "the metricface command needs typer: pip install 'metricface[cli]'"


def _is_typer(error: BaseException) -> bool:
    return isinstance(error, ImportError) and error.name in ("typer", "click")


def _fail(sentence: str) -> int:
    say(f"metricface: {' '.join(sentence.split())}", sys.stderr)
    return 1


def _one_line(message: Warning | str, *_: Any, **__: Any) -> None:
    say(f"metricface: warning: {message}", sys.stderr)
