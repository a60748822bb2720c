"""Cells side by side: one process for each, one thread in each."""

from __future__ import annotations

import multiprocessing
import os
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path

import torch
from tqdm import tqdm

from benchmarks.convergence.cell import Task, run_cell
from benchmarks.convergence.folds import Fold, load, make_folds
from benchmarks.convergence.methods import METHODS
from benchmarks.convergence.run_folder import Cell, RunFolder
from benchmarks.convergence.settings import Settings

_folds: list[Fold] = []


def run_cells(
    tasks: Sequence[Task],
    folds: Sequence[Fold],
    settings: Settings,
    folder: RunFolder,
    *,
    jobs: int,
    description: str,
) -> None:
    """Run cells, several at a time; each is on disk as soon as it is finished.

    Args:
        tasks: what to run.
        folds: by number.
        settings: shared by all.
        folder: where they go.
        jobs: processes; 1 runs them here, one after the other, and shows each one's progress.
        description: of the bar.
    """
    with tqdm(total=len(tasks), desc=description, unit="cell", disable=not tasks) as bar:
        if jobs == 1 or len(tasks) < 2:
            for task in tasks:
                run_cell(task, folds[task.cell.fold], settings, folder)
                bar.update()
            return
        with ProcessPoolExecutor(
            min(jobs, len(tasks)),
            mp_context=multiprocessing.get_context("spawn"),
            initializer=_begin,
            initargs=(settings, os.getpid()),
        ) as pool:
            sent = map(_plain, tasks)
            running = [pool.submit(_run, *plain, settings, folder.path) for plain in sent]
            try:
                for done in as_completed(running):
                    done.result()
                    bar.update()
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise


def _begin(settings: Settings, parent: int) -> None:
    """A worker's start: one thread, its own copy of the data, and no life without its parent."""
    torch.set_num_threads(1)
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    _folds[:] = make_folds(load(settings.data, broken=settings.broken), settings)


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(0.5)
    os._exit(1)  # what it had not finished, the next run takes up from its checkpoint


def _plain(task: Task) -> tuple[str, dict[str, float], Cell]:
    """What can be sent to a process: a method goes by its name."""
    return task.method.name, dict(task.values), task.cell


def _run(name: str, values: dict[str, float], cell: Cell, settings: Settings, path: Path) -> None:
    task = Task(METHODS[name], values, cell)
    run_cell(task, _folds[cell.fold], settings, RunFolder(path), progress=False)
