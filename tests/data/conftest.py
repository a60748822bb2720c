"""The full sets, made once per session."""

from __future__ import annotations

import pytest

from metricface.data import ImageSet, glyphs, orl_faces


@pytest.fixture(scope="session")
def characters() -> ImageSet:
    return glyphs()


@pytest.fixture(scope="session")
def faces() -> ImageSet:
    return orl_faces()
