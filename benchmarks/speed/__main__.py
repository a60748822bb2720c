"""``python -m benchmarks.speed``: what each part costs, against the floor and the incumbents."""

from __future__ import annotations

import importlib
import sys

WORDS = ("mining", "losses", "classifiers", "detection")


def main(arguments: list[str]) -> int:
    """Hand the arguments to the benchmark named first; without a name, to ``mining``."""
    word, rest = (arguments[0], arguments[1:]) if arguments[:1] else ("mining", [])
    if word.startswith("-"):
        word, rest = "mining", arguments
    if word not in WORDS:
        sys.exit(f"benchmarks.speed: there is {', '.join(WORDS)}, not {word!r}")
    return int(importlib.import_module(f"benchmarks.speed.{word}").main(rest) or 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
