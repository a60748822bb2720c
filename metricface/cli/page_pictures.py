"""Pictures that stand within a page: drawings that take its colours, and images of a folder."""

from __future__ import annotations

import base64
import io
import re
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from metricface.data.pixels.decoding import read_image, require_pillow
from metricface.plots.palette import FAINT, INK, INTER, INTRA

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_SIDE = 112  # pixels that an image has at most, to the higher side
_COLOURS = {
    INK: "--ink",
    "#000000": "--ink",
    FAINT: "--faint",
    INTRA: "--genuine",
    INTER: "--impostor",
}
_STYLE: dict[Any, Any] = {
    "font.size": 9,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": FAINT,
    "xtick.color": FAINT,
    "ytick.color": FAINT,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "hatch.linewidth": 0.6,
    "svg.fonttype": "none",
    "svg.hashsalt": "metricface",
}


def drawing(draw: Callable[[Axes], object], *, said: str) -> str:
    """A picture as an SVG element whose words are words and whose colours are the page's.

    A legend goes below the picture: beside it, it would take half of a phone's width.

    Args:
        draw: draws on the Axes it is given.
        said: to those who do not see it; stands in the page as it is.

    Raises:
        ImportError: matplotlib is missing.
    """
    import matplotlib as mpl
    from matplotlib.figure import Figure

    buffer = io.StringIO()
    with mpl.rc_context():
        mpl.rcdefaults()  # a user's own style would change the picture
        mpl.rcParams.update(_STYLE)
        figure = Figure(figsize=(4.2, 3.2), layout="constrained")
        ax = figure.subplots()
        draw(ax)
        legend = ax.get_legend()
        if legend is not None:
            legend.remove()
        handles, names = ax.get_legend_handles_labels()
        if handles:
            figure.legend(handles, names, loc="outside lower center", ncols=2, frameon=False)
        unsigned = dict.fromkeys(("Date", "Creator", "Format", "Type"))
        figure.savefig(buffer, format="svg", transparent=True, metadata=unsigned)
    text = buffer.getvalue()
    text = re.sub(r"<metadata>.*?</metadata>", "", text[text.index("<svg") :], flags=re.DOTALL)
    for colour, name in _COLOURS.items():
        text = re.sub(colour, f"var({name})", text, flags=re.IGNORECASE)
    size = re.search(r'viewBox="[^"]*"', text)
    opening = f'<svg role="img" aria-label="{said}" {size[0] if size else ""}>'
    return opening + text[text.index(">") + 1 :]


class Pictures:
    """Images of a folder by row of the embeddings, small, as ``data:`` addresses.

    Args:
        folder: the names are paths within it; that of a photograph is also the name of its crop,
            which ends in ``.png``.
        names: of the embeddings' rows.
        source: the file of the names, for errors.

    Raises:
        ValueError: a name that leads out of the folder, or some without a file (the first is
            named).
        ImportError: Pillow is missing.
    """

    def __init__(self, folder: Path, names: Sequence[str], source: Path) -> None:
        require_pillow()
        if not folder.is_dir():
            raise ValueError(f"--images must be a folder, there is none at {folder}")
        for name in names:
            if Path(name).is_absolute() or ".." in Path(name).parts:
                raise ValueError(f"{source} has the name {name!r}, which leads out of {folder}")
        missing = [name for name in names if not _file(folder, name).is_file()]
        if missing:
            raise ValueError(
                f"{folder} has no image for {len(missing)} of {len(names)} names of {source}, the "
                f"first is {missing[0]!r}: names are paths within the folder of --images"
            )
        self._folder, self._names = folder, names
        self._made: dict[int, str | None] = {}

    def __getitem__(self, row: int) -> str | None:
        """The image of a row, as ``src`` of an ``img`` takes it; None, with a warning, if broken.

        What was computed before is worth more than one image.
        """
        if row not in self._made:
            try:
                self._made[row] = _address(_file(self._folder, self._names[row]))
            except (ValueError, OSError) as error:
                warnings.warn(f"left out of the page: {error}", stacklevel=2)
                self._made[row] = None
        return self._made[row]


def _file(folder: Path, name: str) -> Path:
    """The image of that name, or else its crop."""
    file = folder / name
    return file if file.is_file() or not file.suffix else file.with_suffix(".png")


def _address(file: Path) -> str:
    from PIL import Image

    pixels = read_image(file, colour=True)
    grey = bool((pixels == pixels[..., :1]).all())
    image = Image.fromarray(pixels[..., 0] if grey else pixels)
    image.thumbnail((_SIDE, _SIDE))
    buffer = io.BytesIO()
    image.save(buffer, format="PNG", optimize=True)
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"
