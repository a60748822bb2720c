"""Images with identities, identity-disjoint splits, and augmentation."""

from metricface.data.augment import affine_jitter
from metricface.data.glyphs import glyphs
from metricface.data.images import ImageSet
from metricface.data.orl import orl_faces
from metricface.data.splits import identity_folds, identity_split

__all__ = ["ImageSet", "affine_jitter", "glyphs", "identity_folds", "identity_split", "orl_faces"]
