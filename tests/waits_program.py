"""Runs everything on the pretended accelerator and writes down how often its host has to wait.

Each component does the same on the host, and the answers are compared.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from metricface.classifiers import ArcFace
from metricface.data import MTCNN, orl_faces
from metricface.embeddings import check_embeddings, set_finite_check
from metricface.losses import BatchAllTripletLoss, TripletLoss
from metricface.memory import CrossBatchMemory
from metricface.miners import BatchHardMiner
from tests.cases import CLASSIFIERS, LOSSES, MINERS, OTHER_LOSSES
from tests.layouts import draw_rows
from tests.pretend_device import NAME, caught_up, here, register, there, waits

X, LABELS, IDS = draw_rows(24, 4, 0).float(), torch.arange(24) % 4, torch.arange(24)
REF, REF_LABELS, REF_IDS = draw_rows(30, 4, 1).float(), torch.arange(30) % 4, torch.arange(30) + 12
MISNAMED = torch.where(IDS == 3, 20, IDS)  # an image that is met under two identities
MATRIX = LABELS[:, None] == LABELS
TIED = X.clone()
TIED[5] = TIED[9]
NAN = X.clone()
NAN[7, 2] = torch.nan

#: Embeddings, labels and what comes after the references, and where the labels lie.
LAYOUTS: dict[str, tuple[Tensor, Tensor, dict[str, Tensor]]] = {
    "labels": (X, LABELS, {}),
    "ids": (X, LABELS, {"ids": IDS}),
    "an image twice": (X, LABELS, {"ids": MISNAMED}),
    "ties": (TIED, LABELS, {}),
    "references": (X, LABELS, {"ref_emb": REF, "ref_labels": REF_LABELS}),
    "references and ids": (
        X,
        LABELS,
        {"ids": IDS, "ref_emb": REF, "ref_labels": REF_LABELS, "ref_ids": REF_IDS},
    ),
    "a matrix": (X, MATRIX, {}),
}


def moved(module: nn.Module) -> nn.Module:
    """A module on the device, as ``to`` would have it."""
    for part in module.modules():
        for name, parameter in list(part.named_parameters(recurse=False)):
            part.register_parameter(name, nn.Parameter(there(parameter)))
        for name, buffer in list(part.named_buffers(recurse=False)):
            part.register_buffer(name, there(buffer))
    return module


def counted(make: Callable[[], nn.Module], layout: str, *, labels_there: bool) -> int:
    """How often a call waits, forward and backward; its answer is that of the host."""
    x, labels, beside = LAYOUTS[layout]
    torch.manual_seed(0)
    module, expected_of = make(), x.clone().requires_grad_()
    module_there = moved(_copy(module, make))
    expected = module(expected_of, labels, **beside)
    own = there(x).requires_grad_()
    carry = there if labels_there else _itself
    given = {name: (there if name == "ref_emb" else carry)(each) for name, each in beside.items()}
    with waits() as counter:
        found = module_there(own, carry(labels), **given)
        if isinstance(found, Tensor):
            found.sum().backward()  # type: ignore[no-untyped-call]
    if isinstance(found, Tensor):
        expected.sum().backward()
        torch.testing.assert_close(here(found), expected, rtol=1e-5, atol=1e-5)
        assert own.grad is not None
        torch.testing.assert_close(here(own.grad), expected_of.grad, rtol=1e-4, atol=1e-5)
    else:
        for one, other in zip(found, expected, strict=True):
            assert torch.equal(here(one), other)
    return sum(counter.values())


def _copy(module: nn.Module, make: Callable[[], nn.Module]) -> nn.Module:
    copy = make()
    copy.load_state_dict(module.state_dict())
    return copy


def _itself(what: Any) -> Any:
    return what


def cases() -> Iterator[tuple[str, str, Callable[[], nn.Module], list[str]]]:
    """Family, name, how to make it, and the layouts it takes."""
    every = list(LAYOUTS)
    yield from (("miner", name, make, every) for name, make in MINERS.items())
    yield from (("loss", name, make, every) for name, make in LOSSES.items())
    yield from (("other loss", name, make, ["labels"]) for name, make in OTHER_LOSSES.items())
    for name, of_classes in CLASSIFIERS.items():
        yield "classifier", name, partial(of_classes, 4, 4), ["labels"]


def many_blocks() -> dict[str, int]:
    """Waits where a batch is taken in four blocks of anchors and more."""
    found = {
        name: counted(partial(make, block_bytes=3000), "labels", labels_there=False)
        for name, make in LOSSES.items()
    }
    few = partial(BatchHardMiner, block_bytes=9000)
    return found | {"batch-hard": counted(few, "labels", labels_there=False)}


def short_weights() -> None:
    """Class weights of any length: their gradient is that of the host, who looks at them first."""
    heads = []
    for carry in (_itself, moved):
        torch.manual_seed(0)
        head = ArcFace(4, 4)
        head.weight.data[1:] *= torch.tensor([1e-20, 0.0, 1e20])[:, None]
        heads.append(carry(head))
    expected = heads[0](X, LABELS)
    expected.backward()
    with waits():
        found = heads[1](there(X), LABELS)
        found.backward()
    torch.testing.assert_close(here(found), expected)
    of_host, of_device = heads[0].weight.grad, heads[1].weight.grad
    assert isinstance(of_device, Tensor)
    torch.testing.assert_close(here(of_device), of_host, rtol=1e-4, atol=1e-4)


def memory_waits() -> int:
    """A push with labels of the host and one with labels of the device, and all that is stored."""
    memory = moved(CrossBatchMemory(30, 4))
    assert isinstance(memory, CrossBatchMemory)
    with waits() as counter:
        memory.push(there(X), LABELS)
        memory.push(there(X), there(LABELS), there(IDS))
        stored = memory.reference()
    assert torch.equal(here(stored[0])[-24:], X)
    assert torch.equal(here(stored[1])[-24:], LABELS)
    assert here(stored[2])[:6].tolist() == list(range(-19, -25, -1))
    return sum(counter.values())


def said(call: Callable[[], Any]) -> str:
    try:
        call()
    except ValueError as error:
        return str(error)
    return ""


def finite_checks() -> dict[str, Any]:
    """What is said of bad embeddings, and when."""
    found: dict[str, Any] = {}
    head, good, bad = moved(ArcFace(4, 4)), there(X), there(NAN)
    plain = TripletLoss(0.2)
    one = there(torch.tensor([1, 2]))
    wrong: dict[str, Callable[[], Any]] = {
        "NaN": lambda: head(bad, LABELS),
        "class": lambda: head(good, there(LABELS + 1)),
        "index": lambda: plain(good, None, (one, one, one + 22)),
        "length": lambda: check_embeddings(there(X * 1e19), squared=True),
        "infinity": lambda: check_embeddings(good, there(X / 0)),
    }
    for name, call in wrong.items():
        with waits() as counter:
            at_once = said(call)
            not_yet = said(lambda: head(good, LABELS))
            caught_up()
            later = said(lambda: head(good, LABELS))
            after = said(lambda: head(good, LABELS))
        found[name] = [at_once, not_yet, later, after, sum(counter.values())]
    with waits(), set_finite_check("now"):
        found["now"] = [said(call) for call in wrong.values()]
    with waits(), set_finite_check(False):
        found["off"] = [said(wrong["NaN"])]
        caught_up()
        found["off"].append(said(lambda: head(good, LABELS)))
    with waits():
        found["left"] = said(lambda: _within(wrong["NaN"]))
        found["mined"] = said(lambda: BatchHardMiner()(bad, LABELS))
        found["mined, then"] = said(lambda: BatchAllTripletLoss()(good, LABELS))
    return found


def faces() -> list[list[Any]]:
    """What a detector finds whose networks are on the device, and one on the host."""
    photograph = orl_faces().images[0]
    with waits():
        on_the_device = MTCNN(min_face=40, device=NAME)(photograph)
    found = [*on_the_device, *MTCNN(min_face=40)(photograph)]
    return [[face.box, face.points.tolist(), face.score] for face in found]


def _within(call: Callable[[], Any]) -> None:
    with set_finite_check(True):
        call()


def main(path: Path) -> None:
    register()
    short_weights()
    found: dict[str, Any] = {
        "waits": [],
        "memory": memory_waits(),
        "checks": finite_checks(),
        "blocks": many_blocks(),
        "faces": faces(),
    }
    for family, name, make, layouts in cases():
        for layout in layouts:
            for labels_there in (False, True):
                count = counted(make, layout, labels_there=labels_there)
                found["waits"].append([family, name, layout, labels_there, count])
    path.write_text(json.dumps(found))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
    os._exit(0)  # torch's threads for the device cannot be ended in order
