"""Settings of every test run."""

from __future__ import annotations

import os
import tempfile

import torch
from hypothesis import settings

from tests.shaking import pytest_addoption, pytest_collection_modifyitems, pytest_configure

__all__ = ["pytest_addoption", "pytest_collection_modifyitems", "pytest_configure"]

# torch 2.13 keeps what it has compiled under a name that does not tell for which instructions: code
# for AVX-512 run as AVX2 gives wrong numbers. So each has a cache of its own.
os.environ["TORCHINDUCTOR_CACHE_DIR"] = os.path.join(
    tempfile.gettempdir(),
    f"metricface-compiled-{getattr(os, 'getuid', int)()}-{torch.backends.cpu.get_cpu_capability()}",
)

# The runner uses a process for each core; more threads would only wait for one another.
torch.set_num_threads(1)

# The same examples on every run of continuous integration, new ones at a developer's desk.
settings.register_profile("ci", derandomize=True, deadline=None)
if os.environ.get("CI"):
    settings.load_profile("ci")
