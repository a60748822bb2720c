"""The public names and what they take, as text; ``python -m tests.surface`` writes them down.

It refuses where a name has vanished, or takes other arguments, and CHANGELOG.md does not name it
under Unreleased.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import re
import sys
from pathlib import Path
from types import ModuleType

import metricface

ROOT = Path(__file__).parent.parent
RECORDED = ROOT / "tests" / "public_surface.txt"
INNER = {
    *("cli", "eager", "files", "given", "progress"),
    *("refusals", "splitmix", "torch_func", "transfers"),
}
"""Commands, which are not imported; the others are only of use to the package itself."""


def surface() -> dict[str, str]:
    """Arguments and defaults of every public name, and of the methods of classes."""
    found = {}
    for part in pkgutil.iter_modules(metricface.__path__):
        if part.name in INNER or part.name.startswith("_"):
            continue
        module = importlib.import_module(f"metricface.{part.name}")
        for name in public_names(module):
            value = getattr(module, name)
            found[f"{part.name}.{name}"] = _arguments(value)
            if inspect.isclass(value):
                found |= _methods(f"{part.name}.{name}", value)
    return found


def recorded() -> dict[str, str]:
    """What was written down."""
    lines = RECORDED.read_text(encoding="utf-8").splitlines()
    split = (line.partition(" ") for line in lines)
    return {name: arguments for name, _, arguments in split}


def unannounced() -> list[str]:
    """Names that have vanished or take other arguments, of which the changelog does not tell."""
    now = surface()
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    coming = text.split("## [Unreleased]", 1)[-1].split("\n## [", 1)[0]
    told = set(re.findall(r"\w+", " ".join(re.findall(r"`([^`]+)`", coming))))
    gone = [name for name, arguments in recorded().items() if now.get(name) != arguments]
    return [name for name in gone if name.rsplit(".", 1)[-1] not in told]


def public_names(module: ModuleType) -> list[str]:
    """What a module exports, sorted."""
    listed = getattr(module, "__all__", None)
    if listed is not None:
        return sorted(listed)
    own = vars(module).items()
    return sorted(
        name
        for name, value in own
        if not name.startswith("_") and getattr(value, "__module__", None) == module.__name__
    )


def _methods(owner: str, kind: type) -> dict[str, str]:
    """Of the class itself and of those of ours that it comes from."""
    found = {}
    for name, value in inspect.getmembers(kind):
        defined = next((each for each in kind.__mro__ if name in vars(each)), kind)
        if name.startswith("_") or not defined.__module__.startswith("metricface"):
            continue
        if callable(value):
            found[f"{owner}.{name}"] = _arguments(value)
    return found


def _arguments(value: object) -> str:
    """Names, kinds and plain defaults; annotations are left out, they are mypy's."""
    try:
        signature = inspect.signature(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):  # no function: a type alias, a constant
        return ""
    bare = [
        each.replace(annotation=inspect.Parameter.empty, default=_plain(each.default))
        for each in signature.parameters.values()
    ]
    return str(inspect.Signature(bare)).replace("'<", "<").replace(">'", ">")


def _plain(default: object) -> object:
    if default is inspect.Parameter.empty or isinstance(
        default, int | float | str | bool | tuple | type(None)
    ):
        return default
    return f"<{type(default).__name__}>"


def main() -> int:
    """Write down what there is now."""
    if RECORDED.exists() and (missing := unannounced()):
        print(
            f"not in CHANGELOG.md under Unreleased: {', '.join(missing)}: say what became of them",
            file=sys.stderr,
        )
        return 1
    lines = [f"{name} {arguments}".rstrip() for name, arguments in sorted(surface().items())]
    RECORDED.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
