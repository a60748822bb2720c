"""The photographs of these tests, made of ORL faces; nothing here imports the library."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Pixels = npt.NDArray[np.uint8]

BORDER = 70


def portrait(face: Pixels) -> Pixels:
    """One face in the middle of a photograph of 252 x 232."""
    return np.pad(face, BORDER, mode="edge")


def group(faces: npt.NDArray[np.uint8]) -> Pixels:
    """Four people side by side, of whom the last two stand nearer."""
    one, two, three, four = (np.pad(faces[i], 30, mode="edge") for i in (0, 100, 200, 300))
    far = np.concatenate([one, two], 1)
    near = np.concatenate([three, four], 1).repeat(2, 0).repeat(2, 1)
    photograph = np.full((len(far) + len(near), near.shape[1]), 128, np.uint8)
    photograph[: len(far), : far.shape[1]] = far
    photograph[len(far) :] = near
    return photograph


def windows(faces: npt.NDArray[np.uint8], side: int) -> npt.NDArray[np.float32]:
    """Three faces and a cheek in false colours as the networks get them: ``[4, 3, side, side]``."""
    rows, columns = (np.linspace(0, end, side).astype(int) for end in (111, 91))
    grey = [faces[i][rows][:, columns] for i in (0, 100, 200)]
    grey.append(faces[0, 50 : 50 + side, 10 : 10 + side])
    planes = [np.stack([f, f // 2 + 40, 255 - f // 3]) for f in grey]
    return ((np.stack(planes) - 127.5) / 128).astype(np.float32)
