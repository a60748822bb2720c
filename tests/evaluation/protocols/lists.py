"""Small files in each published format, and what reads them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from metricface import evaluation as ev

GALLERY = """TEMPLATE_ID,SUBJECT_ID,FILENAME,SIGHTING_ID,FACE_X,FACE_Y,FACE_WIDTH,FACE_HEIGHT
11,70,img/3.jpg,4,10,20,30,40
11,70,frames/9_01.png,5,,,,
12,80,img/4.jpg,6,1,2,3,4
"""


@dataclass(frozen=True)
class List:
    """A list as it is distributed, and its reader."""

    name: str
    text: str
    read: Callable[[Path], Any]

    def write(self, folder: Path, data: bytes | None = None) -> Path:
        """The list as a file, or other bytes under its name."""
        file = folder / self.name
        file.write_bytes(self.text.encode() if data is None else data)
        return file


def _matches(file: Path) -> ev.TemplatePairs:
    return ev.read_ijb_matches(
        file,
        ev.IjbTemplates(np.array([11, 12]), np.array([70, 80])),
        ev.IjbTemplates(np.array([5]), np.array([80])),
    )


LISTS = (
    List("pairs.txt", "2\t1\nA\t1\t4\nA\t1\tB\t12\nB\t2\t3\nB\t1\tC\t2\n", ev.read_lfw_pairs),
    List("pairs.csv", 'first,second,same\na.png,"b,c.png",1\nc.png,a.png,0\n', ev.read_csv_pairs),
    List("people.txt", "2\n1\nA_Lee\t4\n2\nB\t1\nC\t2\n", ev.read_lfw_people),
    List(
        "splits.txt",
        "split number, first name, second name, is same, is same\n"
        "1, A_Lee/3, A_Lee/1, 1, 1\n2, B/0, A_Lee/3, 0, 0\n",
        ev.read_ytf_pairs,
    ),
    List("ijbc_face_tid_mid.txt", "1.jpg 1 69544\n2.jpg 1 3720\n3.jpg 4 3720\n", ev.read_ijb_faces),
    List("ijbc_template_pair_label.txt", "1 11065 1\n1 11066 0\n171707 9 0\n", ev.read_ijb_pairs),
    List(
        "ijbc_name_5pts_score.txt",
        "1.jpg 46.060 62.026 87.785 60.323 68.851 77.656 52.162 99.875 86.450 98.648 0.999\n"
        "2.jpg 1 2 3 4 5 6 7 8 9 10 0.1\n",
        ev.read_ijb_landmarks,
    ),
    List("ijbc_1N_gallery_G1.csv", GALLERY, ev.read_ijb_templates),
    List("ijbc_11_G1_G2_matches.csv", "11,5\n12,5\n", _matches),
    List(
        "facescrub_features_list.json",
        '{"path": ["Anna/Anna_1.png",\n "Ben/Ben_2.png"],\n "id": ["Anna", "Ben"]}\n',
        ev.read_megaface_list,
    ),
)
