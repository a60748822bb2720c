"""Images with identities from files, arrays and face sets; splits; augmentation; degradations."""

from metricface.data.array_layout import image_array
from metricface.data.augment import affine_jitter, random_crop, random_erase, random_flip
from metricface.data.class_folders import image_folder
from metricface.data.csv_list import image_list
from metricface.data.degradations import jpeg_quality, pixel_count
from metricface.data.glyphs import glyphs
from metricface.data.image_files import ImageFiles
from metricface.data.images import ImageSet
from metricface.data.orl import orl_faces
from metricface.data.scikit_learn import lfw, olivetti
from metricface.data.splits import identity_folds, identity_split

__all__ = [
    "ImageFiles",
    "ImageSet",
    "affine_jitter",
    "glyphs",
    "identity_folds",
    "identity_split",
    "image_array",
    "image_folder",
    "image_list",
    "jpeg_quality",
    "lfw",
    "olivetti",
    "orl_faces",
    "pixel_count",
    "random_crop",
    "random_erase",
    "random_flip",
]
