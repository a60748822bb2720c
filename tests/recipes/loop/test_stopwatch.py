"""What the stopwatch counts, and that it never makes an accelerator wait."""

from __future__ import annotations

import time

import pytest
import torch

from metricface.recipes.loop.stopwatch import KINDS, Stopwatch


def test_on_the_cpu_it_counts_the_processors_seconds() -> None:
    stopwatch = Stopwatch(torch.device("cpu"))
    started = time.process_time()
    with stopwatch.measure("loss"):
        while time.process_time() - started < 0.02:
            pass
        time.sleep(0.1)  # what the processor does not do does not count
    assert 0.015 < stopwatch.seconds["loss"] < 0.09
    assert stopwatch.total == stopwatch.seconds["loss"]
    assert list(stopwatch.seconds) == list(KINDS)


class Events:
    """A device that may lag behind: an event knows its time once the device has passed it."""

    def __init__(self) -> None:
        self.clock = 0.0
        self.waited = 0
        self.passed = 0.0

    def event(self, *, enable_timing: bool) -> Event:
        assert enable_timing
        return Event(self)


class Event:
    def __init__(self, device: Events) -> None:
        self.device = device
        self.at = float("nan")

    def record(self, stream: object = None) -> None:
        self.at = self.device.clock

    def query(self) -> bool:
        return self.at <= self.device.passed

    def synchronize(self) -> None:
        self.device.waited += 1
        self.device.passed = max(self.device.passed, self.at)

    def elapsed_time(self, end: Event) -> float:
        assert self.query(), "its own end is not passed"
        assert end.query(), "the device has not come so far"
        return 1000 * (end.at - self.at)


@pytest.fixture
def device(monkeypatch: pytest.MonkeyPatch) -> Events:
    events = Events()

    def waits(*_: object) -> None:
        events.waited += 1
        events.passed = events.clock

    monkeypatch.setattr(torch.cuda, "Event", events.event)
    monkeypatch.setattr(torch.cuda, "current_stream", lambda _: None)
    monkeypatch.setattr(torch.cuda, "synchronize", waits)
    return events


def spend(stopwatch: Stopwatch, device: Events, kind: str, seconds: float) -> None:
    with stopwatch.measure(kind):
        device.clock += seconds


def test_a_step_on_cuda_waits_for_nothing_until_it_is_read(device: Events) -> None:
    stopwatch = Stopwatch(torch.device("cuda", 0))
    for _ in range(3):
        spend(stopwatch, device, "network", 0.25)
        spend(stopwatch, device, "mining", 0.5)
    assert device.waited == 0
    assert stopwatch.seconds == {"data": 0, "network": 0.75, "mining": 1.5, "loss": 0}
    assert device.waited == 1
    assert stopwatch.total == 2.25
    spend(stopwatch, device, "loss", 1.0)
    assert stopwatch.seconds["loss"] == 1.0
    assert stopwatch.total == 3.25


def test_what_has_come_to_pass_is_not_kept(device: Events) -> None:
    stopwatch = Stopwatch(torch.device("cuda", 0))
    for _ in range(1000):
        spend(stopwatch, device, "data", 0.001)
        device.passed = device.clock  # the device keeps up
    assert len(stopwatch._pending) <= 1
    assert device.waited == 0
    assert stopwatch.total == pytest.approx(1.0)


def test_a_restored_clock_goes_on(device: Events) -> None:
    stopwatch = Stopwatch(torch.device("cuda", 0))
    spend(stopwatch, device, "loss", 7.0)
    stopwatch.seconds = dict.fromkeys(KINDS, 1.0)  # what was measured before is forgotten
    spend(stopwatch, device, "loss", 0.5)
    assert stopwatch.total == 4.5


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
def test_a_real_device_is_timed() -> None:
    stopwatch = Stopwatch(torch.device("cuda", 0))
    x = torch.rand(4096, 4096, device="cuda")
    started = time.perf_counter()
    for _ in range(20):
        with stopwatch.measure("network"):
            x = (x @ x).clamp_(0, 1)
    assert 0 < stopwatch.total <= time.perf_counter() - started + 1e-3
