"""Everything that decides what a cell computes, apart from its method and its seed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

Held = Literal["test", "validation"]
"""Which unseen identities are evaluated: validation while choosing settings, test to report."""

Padding = Literal["zeros", "border"]

Chosen: TypeAlias = dict[str, list[dict[str, float]]]
"""The values of each method's parameters: by its name, one for each fold."""


@dataclass(frozen=True)
class Settings:
    """What every cell of a run shares; a run folder belongs to one of these.

    Attributes:
        data: ``"glyphs"``, ``"han"``, ``"orl"``, ``"olivetti"``, ``"lfw"``, or a folder of images
            by class.
        held: which unseen identities are evaluated.
        folds: 1 for one split of the identities, else identity-disjoint cross-validation.
        steps: optimizer steps per cell.
        eval_every: steps between evaluations (and checkpoints).
        p: identities per batch.
        k: images of each.
        dim: length of the embedding.
        network: which of :data:`~benchmarks.convergence.network.NETWORKS` is trained.
        identities: how many identities are trained on; None is all there are.
        quality: JPEG quality of the held-out images; None leaves them as they are.
        pixels: pixels the held-out images are reduced to; None leaves them as they are.
        degrees: largest rotation of the augmentation.
        scale: largest relative change of size.
        shift: largest shift, as a part of the image's side.
        padding: what the jitter draws in from outside: black, or the border's pixel.
        jitter_held: jitter the held-out images too, once and the same for every method.
        device: where the network and the images live.
        broken: ``"skip"`` leaves out files of a folder that are no images; None ends the run.

    Example:
        >>> Settings("glyphs", steps=600).p
        32
    """

    data: str
    held: Held = "test"
    folds: int = 1
    steps: int = 600
    eval_every: int = 50
    p: int = 32
    k: int = 4
    dim: int = 128
    network: Literal["small", "strided"] = "small"
    identities: int | None = None
    quality: int | None = None
    pixels: int | None = None
    degrees: float = 10.0
    scale: float = 0.1
    shift: float = 0.08
    padding: Padding = "zeros"
    jitter_held: bool = True
    device: str = "cpu"
    broken: Literal["skip"] | None = None

    def __post_init__(self) -> None:
        """Counts must be counts."""
        for name in ("folds", "steps", "eval_every", "p", "k", "dim", "identities", "pixels"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"{name} must be at least 1, got {value}")
        if self.held not in ("test", "validation"):
            raise ValueError(f"held must be 'test' or 'validation', got {self.held!r}")
        if self.quality is not None and not 1 <= self.quality <= 95:
            raise ValueError(f"quality must be from 1 to 95, got {self.quality}")


DEFAULTS = {
    "glyphs": Settings("glyphs"),
    "han": Settings("han", steps=5000, eval_every=500, p=64, identities=5000, network="strided"),
    "orl": Settings(
        "orl", folds=5, steps=200, eval_every=25, p=16, padding="border", jitter_held=False
    ),
    "olivetti": Settings(
        "olivetti", folds=5, steps=200, eval_every=25, p=16, padding="border", jitter_held=False
    ),
    "lfw": Settings("lfw", padding="border", jitter_held=False),
}
"""The settings of each data set unless the command line says otherwise.

Glyphs are drawn to fill their square, so undisturbed ones are all in place and pixels alone find
most of them; jittered, they have to be recognised. Faces differ enough as they are.
"""

HEADLINES = {
    "glyphs": ("recall_at_1", 0.80),
    "han": ("map_at_r_unseen_typefaces", 0.50),
    "orl": ("tar_at_0.01", 0.55),
}
"""The metric that tells methods apart on each data set, and a target worth reaching.

For han it is MAP@R among images of characters never seen in families of typefaces never seen.

Recall@1 of the ORL faces is near 1 for raw pixels, so there it is the true accept rate at FAR 1e-2.
"""


def defaults(data: str) -> Settings:
    """The settings of a data set; a folder's are those of LFW."""
    return DEFAULTS.get(data, Settings(data, padding="border", jitter_held=False))


def headline(data: str) -> tuple[str, float]:
    """The metric and the target of a data set; of other faces than ORL those of ORL."""
    return HEADLINES.get(data, HEADLINES["orl"])
