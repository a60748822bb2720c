from __future__ import annotations

import copy
from contextlib import suppress
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from metricface.losses import DeepID2Loss, VerificationSignal
from metricface.losses.verification_signal import RecentValues, least_error_threshold
from metricface.miners import BatchHardMiner
from tests.layouts import Batch, batches, draw_rows
from tests.oracles.losses import balanced_error, least_balanced_error, verification_term
from tests.oracles.mining import reduced, rows

FORMS: list[dict[str, Any]] = [
    {"signal": "l2", "margin": 1.5},
    {"signal": "l2", "margin": 1.1, "normalize": True},
    {"signal": "l2", "margin": 2.5, "squared_margin": True},
    {"signal": "l1", "margin": 3.0},
    {"signal": "l1", "margin": 1.7, "normalize": True},
    {"signal": "cosine"},
]
every_form = pytest.mark.parametrize("form", FORMS, ids=str)
X, LABELS = draw_rows(8, 4, 0), torch.tensor([0, 0, 0, 1, 1, 2, 2, 3])


def make(form: dict[str, Any], **more: Any) -> VerificationSignal:
    signal = VerificationSignal(**form, **more).double()
    if form["signal"] == "cosine":
        torch.nn.init.constant_(signal.slope, 2.5)
        torch.nn.init.constant_(signal.offset, -0.5)
    return signal


def oracle_terms(
    batch: Batch, form: dict[str, Any], positive: Any, negative: Any
) -> list[list[float]]:
    normalize = form.get("normalize", False)
    x = rows(batch.embeddings.numpy(), normalize=normalize).tolist()
    y = rows(batch.reference.numpy(), normalize=normalize).tolist()
    return [
        [
            verification_term(
                x[i],
                y[j],
                form["signal"],
                same=same,
                margin=form.get("margin", 1.0),
                squared=form.get("squared_margin", False),
                slope=2.5,
                offset=-0.5,
            )
            for i, j in pairs
        ]
        for same, pairs in ((True, positive), (False, negative))
    ]


@every_form
@given(batch=batches(), reduction=st.sampled_from(["mean", "nonzero", "sum"]))
@settings(deadline=None, max_examples=25)
def test_all_pairs_agree_with_plain_loops(
    form: dict[str, Any], batch: Batch, reduction: Any
) -> None:
    layout = batch.layout
    pos, neg = oracle_terms(batch, form, list(layout.pairs()), list(layout.impostors()))
    embeddings, labels, ref_emb, ref_labels = batch.arguments
    signal = make(form, reduction=reduction)
    value = signal(embeddings, labels, None, ref_emb, ref_labels, **batch.keywords).detach()
    expected = reduced(pos, reduction) + reduced(neg, reduction)
    assert float(value) == pytest.approx(expected, rel=1e-6, abs=1e-8)
    signal.reduction = "none"
    terms = signal(embeddings, labels, None, ref_emb, ref_labels, **batch.keywords)
    assert terms.tolist() == pytest.approx(pos + neg, rel=1e-6, abs=1e-6)


@every_form
def test_mined_pairs_agree_with_plain_loops_and_mining_inside(form: dict[str, Any]) -> None:
    batch = Batch(X, LABELS.tolist(), None, None, None, None, torch.int64)
    mined = BatchHardMiner()(X, LABELS)
    a, p, n = (t.tolist() for t in mined)
    pos, neg = oracle_terms(batch, form, list(zip(a, p, strict=True)), list(zip(a, n, strict=True)))
    value = make(form, reduction="sum")(X, None, mined).detach()
    assert float(value) == pytest.approx(sum(pos) + sum(neg), rel=1e-6)
    assert make(form, miner=BatchHardMiner(), reduction="sum")(X, LABELS) == value


@every_form
@pytest.mark.parametrize("indices", [None, BatchHardMiner()(X, LABELS)], ids=["all", "mined"])
def test_gradcheck_in_double(form: dict[str, Any], indices: Any) -> None:
    signal = make(form, reduction="sum")
    x = X.clone().requires_grad_()
    inputs = (x, *signal.parameters())
    assert torch.autograd.gradcheck(lambda *_: signal(x, LABELS, indices), inputs)


@every_form
@pytest.mark.parametrize("value", [0.0, 1.0], ids=["zero embeddings", "all alike"])
def test_gradients_are_finite_at_zero_distance(form: dict[str, Any], value: float) -> None:
    for labels in (LABELS, torch.zeros(8, dtype=torch.int64), torch.arange(8)):
        x = torch.full((8, 4), value, requires_grad=True)
        assert torch.autograd.grad(make(form)(x, labels), x)[0].isfinite().all()


@every_form
@pytest.mark.parametrize("labels", [[], [0]], ids=str)
def test_nothing_to_compare_is_zero(form: dict[str, Any], labels: list[int]) -> None:
    x = torch.ones(len(labels), 4, requires_grad=True)
    value = make(form, refresh_every=1)(x, torch.tensor(labels, dtype=torch.int64))
    assert value == 0
    assert (torch.autograd.grad(value, x)[0] == 0).all()


@every_form
def test_half_precision_gives_the_float32_loss(form: dict[str, Any]) -> None:
    signal = make(form).float()
    low = X.bfloat16()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        value = signal(low, LABELS)
    assert value.dtype == torch.float32
    assert value == signal(low.float(), LABELS)


@every_form
@pytest.mark.parametrize("indices", [None, BatchHardMiner()(X, LABELS)], ids=["all", "mined"])
def test_double_references_are_compared_in_double(form: dict[str, Any], indices: Any) -> None:
    signal, single = make(form), X.float()
    value = signal(single, LABELS, indices, X, LABELS)
    assert value.dtype == torch.float64
    assert value == signal(single.double(), LABELS, indices, X, LABELS)


distances = st.lists(st.integers(0, 12), min_size=1, max_size=12)


@given(distances, distances)
@settings(deadline=None, max_examples=150)
def test_the_threshold_has_the_least_balanced_error(
    genuine: list[int], impostor: list[int]
) -> None:
    same, other = [d / 4 for d in genuine], [d / 4 for d in impostor]
    found = float(least_error_threshold(torch.tensor(same), torch.tensor(other)))
    least = least_balanced_error(same, other)
    if least < 0.5:  # else nothing is worth accepting
        assert balanced_error(same, other, found) == pytest.approx(least)
        assert found not in {*same, *other} or found == max(same + other)
    else:
        assert found == min(same + other)


def test_the_threshold_of_one_kind_is_refused() -> None:
    with pytest.raises(ValueError, match="got 1 genuine and 0 impostor pairs"):
        least_error_threshold(torch.ones(1), torch.ones(0))


@given(st.integers(1, 9), st.lists(st.integers(0, 12), max_size=6))
@settings(deadline=None, max_examples=60)
def test_recent_values_are_the_last_ones_pushed(size: int, counts: list[int]) -> None:
    recent, pushed = RecentValues(size), 0
    for count in counts:
        recent.push(torch.arange(pushed, pushed + count).float())
        pushed += count
    expected = list(range(max(0, pushed - size), pushed))
    assert sorted(recent.values.tolist()) == expected


@pytest.mark.parametrize(
    "form", [{"signal": "l2"}, {"signal": "l2", "squared_margin": True}, {"signal": "l1"}], ids=str
)
def test_the_margin_becomes_the_threshold_of_the_recent_pairs(form: dict[str, Any]) -> None:
    kind, power = form["signal"], 2 if form.get("squared_margin") else 1
    signal = VerificationSignal(**form, margin=7.0, refresh_every=100, window=80).double()
    same: list[float] = []
    other: list[float] = []
    for step in range(4):  # 56 ordered pairs each, so the second and the fourth refresh
        x = draw_rows(8, 4, step) + LABELS[:, None]
        before = float(signal.margin)
        gap = x[:, None] - x
        d = (gap.abs().sum(2) if kind == "l1" else gap.norm(dim=2)) ** power
        equal = LABELS[:, None] == LABELS
        same += d[equal & ~torch.eye(8, dtype=torch.bool)].tolist()
        other += d[~equal].tolist()
        signal(x, LABELS)
        if step % 2 == 0:
            assert float(signal.margin) == before
        else:
            found = balanced_error(same[-40:], other[-40:], float(signal.margin))
            assert found == pytest.approx(least_balanced_error(same[-40:], other[-40:]))
            assert float(signal.margin) != before


def test_a_batch_is_judged_by_the_margin_from_before_it() -> None:
    fixed = VerificationSignal(margin=2.0, refresh_every=None).double()
    moving = VerificationSignal(margin=2.0, refresh_every=1).double()
    x = X.clone().requires_grad_()
    first = moving(x, LABELS)
    assert moving.margin != 2.0
    assert first == fixed(x, LABELS)
    ours, theirs = (torch.autograd.grad(loss, x)[0] for loss in (first, fixed(x, LABELS)))
    assert torch.equal(ours, theirs)


def test_one_kind_of_pairs_alone_moves_no_margin() -> None:
    signal = VerificationSignal(margin=2.0, refresh_every=1)
    signal(X, torch.zeros(8, dtype=torch.int64))
    assert signal.margin == 2.0
    signal(X, LABELS)
    assert signal.margin != 2.0


@pytest.mark.parametrize("mode", ["evaluation", "fixed"])
def test_the_margin_rests(mode: str) -> None:
    signal = VerificationSignal(refresh_every=None if mode == "fixed" else 1)
    signal.train(mode == "fixed")(X, LABELS)
    assert signal.margin == 1.0
    assert len(signal.genuine.values) == 0


@pytest.mark.parametrize("signal", ["l2", "cosine"])
def test_a_restored_loss_goes_on_as_the_first(signal: Any) -> None:
    def new() -> DeepID2Loss:
        return DeepID2Loss(4, 4, signal=signal, refresh_every=150, window=60, margin=3.0)

    first, second = new(), new()
    for seed in range(2):
        first(draw_rows(8, 4, seed).float(), LABELS)
    second.load_state_dict(copy.deepcopy(first.state_dict()))
    for seed in range(2, 7):
        x = draw_rows(8, 4, seed).float()
        assert first(x, LABELS) == second(x, LABELS)
    if signal == "l2":
        assert first.verification.margin == second.verification.margin != 3.0


def test_it_is_identification_plus_weighted_verification() -> None:
    loss = DeepID2Loss(4, 4, weight=0.3, margin=2.0).double()
    identification = torch.nn.functional.cross_entropy(loss.identification.logits(X), LABELS)
    verification = VerificationSignal(margin=2.0)(X, LABELS)
    torch.testing.assert_close(loss(X, LABELS), identification + 0.3 * verification)
    mined = BatchHardMiner()(X, LABELS)
    torch.testing.assert_close(
        loss(X, LABELS, mined),
        identification + 0.3 * VerificationSignal(margin=2.0)(X, None, mined),
    )


def test_references_are_verified_against() -> None:
    loss = DeepID2Loss(4, 4, margin=2.0).double()
    ref, ref_labels = draw_rows(5, 4, 3).requires_grad_(), torch.tensor([0, 1, 2, 3, 0])
    value = loss(X, LABELS, None, ref, ref_labels)
    assert torch.autograd.grad(value, ref)[0].abs().sum() > 0


def test_training_separates_the_pairs() -> None:
    torch.manual_seed(0)
    x = torch.nn.Parameter(draw_rows(8, 6, 1).float())
    loss = DeepID2Loss(4, 6, weight=1.0, margin=0.2, normalize=True, refresh_every=500, window=500)
    optimizer = torch.optim.Adam([x, *loss.parameters()], lr=0.05)
    for _ in range(60):
        optimizer.zero_grad()
        loss(x, LABELS).backward()
        optimizer.step()
    d = loss.verification.distance.pairwise(x.detach())
    same = LABELS[:, None] == LABELS
    assert d[same].max() < loss.verification.margin < d[~same].min()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(
    "form",
    [{}, {"squared_margin": True}, {"signal": "l1"}, {"normalize": True}],
    ids=str,
)
@pytest.mark.parametrize("length", [1e18, 1e20, 1e38])
def test_features_of_any_length_leave_the_margin_finite(
    form: dict[str, Any], dtype: torch.dtype, length: float
) -> None:
    """Either it is the right one or an error says why there is none: infinite it would hide."""
    signal = VerificationSignal(**form, refresh_every=1)
    for batch in (X * length, X, X * length):
        with suppress(ValueError):
            signal(batch.to(dtype), LABELS)
        assert signal.margin.isfinite()


def test_a_margin_beyond_float32_is_an_error() -> None:
    signal = VerificationSignal(squared_margin=True, refresh_every=1)
    with pytest.raises(ValueError, match=r"margin would become inf: .*normalize=True"):
        signal(X * 1e20, LABELS)
    assert signal.margin == 1.0


def test_the_middle_of_two_large_distances_is_between_them() -> None:
    threshold = least_error_threshold(torch.tensor([3.0e38]), torch.tensor([3.2e38]))
    assert threshold.isfinite()
    assert 3.0e38 < threshold < 3.2e38


@pytest.mark.parametrize(
    ("keywords", "says"),
    [
        ({"signal": "l3"}, "'l2', 'l1' or 'cosine', got 'l3'"),
        ({"margin": 0.0}, "margin must be above 0 and finite, got 0.0"),
        ({"signal": "l1", "squared_margin": True}, "belongs to 'l2', the signal is 'l1'"),
        ({"refresh_every": 0}, "at least 1 or None, got 0"),
        ({"window": 1}, "at least 2, got 1"),
        ({"weight": -0.1}, "weight must be 0 or above and finite, got -0.1"),
    ],
)
def test_bad_settings_are_described(keywords: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        DeepID2Loss(4, 4, **keywords)


def test_a_ring_without_room_is_refused() -> None:
    with pytest.raises(ValueError, match="size must be at least 1, got 0"):
        RecentValues(0)
