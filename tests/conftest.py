"""Settings of every test run."""

from __future__ import annotations

import os

import torch
from hypothesis import settings

from tests.shaking import pytest_addoption, pytest_collection_modifyitems, pytest_configure

__all__ = ["pytest_addoption", "pytest_collection_modifyitems", "pytest_configure"]

# The runner uses a process for each core; more threads would only wait for one another.
torch.set_num_threads(1)

# The same examples on every run of continuous integration, new ones at a developer's desk.
settings.register_profile("ci", derandomize=True, deadline=None)
if os.environ.get("CI"):
    settings.load_profile("ci")
