"""The device that a benchmark runs on: found by its name, and waited for."""

from __future__ import annotations

import argparse

import torch

CPU = torch.device("cpu")


def device(name: str) -> torch.device:
    """What ``--device`` names.

    Raises:
        argparse.ArgumentTypeError: it is not on this machine, or no device at all.

    Example:
        >>> device("cpu")
        device(type='cpu')
    """
    try:
        torch.empty(1, device=name)
    except (AssertionError, NotImplementedError, RuntimeError) as error:
        said = str(error).splitlines()[0]
        raise argparse.ArgumentTypeError(f"{name} is not to be had here: {said}") from error
    return torch.device(name)


def wait(device: torch.device) -> None:
    """Return when an accelerator has done what it was given; work on the CPU is done already."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type != "cpu":
        torch.get_device_module(device).synchronize()


def add_device(parser: argparse.ArgumentParser) -> None:
    """Add ``--device`` to a command line."""
    said = "where it runs: cpu, cuda, cuda:1, …; default: cpu"
    parser.add_argument("--device", type=device, default=CPU, metavar="NAME", help=said)
