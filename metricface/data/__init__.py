"""Images with identities from files, arrays, face sets; faces in them; splits; augmentation."""

from metricface.data.alignment.align import Aligned, align
from metricface.data.alignment.folders import AlignedFolder, align_folder
from metricface.data.alignment.landmarks import read_landmarks
from metricface.data.alignment.similarity import similarity_transform
from metricface.data.alignment.templates import CropTemplate
from metricface.data.detection.mtcnn import MTCNN, Detection
from metricface.data.images.image_files import ImageFiles
from metricface.data.images.image_set import ImageSet
from metricface.data.images.typeface_set import TypefaceSet
from metricface.data.layouts.arrays import image_array
from metricface.data.layouts.class_folders import image_folder
from metricface.data.layouts.csv_list import image_list
from metricface.data.records.record_file import ImageRecords, record_file
from metricface.data.records.verification_set import VerificationSet, verification_bin
from metricface.data.sets.glyphs import glyphs
from metricface.data.sets.han import han
from metricface.data.sets.orl import orl_faces
from metricface.data.sets.scikit_learn import lfw, olivetti
from metricface.data.splits import identity_folds, identity_split
from metricface.data.transforms.augment import affine_jitter, random_crop, random_erase, random_flip
from metricface.data.transforms.degradations import jpeg_quality, pixel_count

__all__ = [
    "MTCNN",
    "Aligned",
    "AlignedFolder",
    "CropTemplate",
    "Detection",
    "ImageFiles",
    "ImageRecords",
    "ImageSet",
    "TypefaceSet",
    "VerificationSet",
    "affine_jitter",
    "align",
    "align_folder",
    "glyphs",
    "han",
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
    "read_landmarks",
    "record_file",
    "similarity_transform",
    "verification_bin",
]
