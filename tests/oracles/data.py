"""Slow statements of what metricface.data does; nothing here imports the library."""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction


def copied_as_text(data: bytes) -> bytes:
    """A carriage return before every byte 10 that has none, as a Unix-to-DOS copy adds."""
    out = bytearray()
    for byte in data:
        if byte == 10 and out[-1:] != b"\r":
            out += b"\r"
        out.append(byte)
    return bytes(out)


def distinct(pictures: Sequence[Sequence[int]], threshold: Fraction) -> list[int]:
    """Greedy choice over flat pictures in 0 … 255, in exact arithmetic."""
    kept: list[int] = []
    for i, picture in enumerate(pictures):
        mean_squares = [
            Fraction(sum((a - b) ** 2 for a, b in zip(picture, pictures[j], strict=True)))
            / (len(picture) * 255**2)
            for j in kept
        ]
        if all(value > threshold**2 for value in mean_squares):
            kept.append(i)
    return kept


def largest_remainders(percent: Sequence[int], total: int) -> list[int]:
    """Seats by Hamilton's method; what the percentages leave is a last, unreported party."""
    parties = [*percent, 100 - sum(percent)]
    quotas = [Fraction(p * total, 100) for p in parties]
    seats = [math.floor(q) for q in quotas]
    while sum(seats) < total:
        gaps = [q - s for q, s in zip(quotas, seats, strict=True)]
        seats[gaps.index(max(gaps))] += 1
    return seats[:-1]


def affine(
    image: Sequence[Sequence[float]],
    *,
    degrees: float,
    factor: float,
    right: float,
    down: float,
    border: bool = False,
) -> list[list[float]]:
    """Rotate (x towards y), scale about the centre, then move by pixels; bilinear."""
    height, width = len(image), len(image[0])
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))

    def pixel(row: int, column: int) -> float:
        if border:
            row, column = min(max(row, 0), height - 1), min(max(column, 0), width - 1)
        inside = 0 <= row < height and 0 <= column < width
        return image[row][column] if inside else 0.0

    def read(row: float, column: float) -> float:
        top, left = math.floor(row), math.floor(column)
        y, x = row - top, column - left
        upper = (1 - x) * pixel(top, left) + x * pixel(top, left + 1)
        lower = (1 - x) * pixel(top + 1, left) + x * pixel(top + 1, left + 1)
        return (1 - y) * upper + y * lower

    out = []
    for i in range(height):
        line = []
        for j in range(width):
            x, y = j - (width - 1) / 2 - right, i - (height - 1) / 2 - down
            back_x, back_y = (cos * x + sin * y) / factor, (cos * y - sin * x) / factor
            line.append(read(back_y + (height - 1) / 2, back_x + (width - 1) / 2))
        out.append(line)
    return out


def luma(red: int, green: int, blue: int) -> Fraction:
    """Brightness by ITU-R 601."""
    return Fraction(299 * red + 587 * green + 114 * blue, 1000)


def upright(stored: Sequence[Sequence[int]], orientation: int) -> list[list[int]]:
    """A stored picture as the EXIF orientation tag says it is to be seen."""
    rows = [list(row) for row in stored]
    turned = [list(column) for column in zip(*rows, strict=True)]  # mirrored in the diagonal
    return {
        1: rows,
        2: [row[::-1] for row in rows],
        3: [row[::-1] for row in rows[::-1]],
        4: rows[::-1],
        5: turned,
        6: [row[::-1] for row in turned],
        7: [row[::-1] for row in turned[::-1]],
        8: turned[::-1],
    }[orientation]


def area_average(image: Sequence[Sequence[int]], height: int, width: int) -> list[list[Fraction]]:
    """The mean over the area of each new pixel, exactly."""

    def shares(old: int, new: int, i: int) -> list[tuple[int, Fraction]]:
        left, right = Fraction(i * old, new), Fraction((i + 1) * old, new)
        parts = [(j, min(right, Fraction(j + 1)) - max(left, Fraction(j))) for j in range(old)]
        return [(j, part / (right - left)) for j, part in parts if part > 0]

    return [
        [
            sum(
                (
                    down * across * image[row][column]
                    for row, down in shares(len(image), height, i)
                    for column, across in shares(len(image[0]), width, j)
                ),
                Fraction(0),
            )
            for j in range(width)
        ]
        for i in range(height)
    ]


def triangle(
    image: Sequence[Sequence[float]], height: int, width: int, *, widened: bool
) -> list[list[float]]:
    """Bilinear between pixel centres; ``widened`` covers all old pixels when shrinking."""

    def weights(old: int, new: int, i: int) -> list[tuple[int, float]]:
        step = old / new
        reach = max(step, 1.0) if widened else 1.0
        centre = (i + 0.5) * step
        if not widened:  # outside the outer centres the outer pixels go on
            centre = min(max(centre, 0.5), old - 0.5)
        found = [(j, max(0.0, 1 - abs(j + 0.5 - centre) / reach)) for j in range(old)]
        total = sum(weight for _, weight in found)
        return [(j, weight / total) for j, weight in found if weight > 0]

    rows = [weights(len(image), height, i) for i in range(height)]
    columns = [weights(len(image[0]), width, j) for j in range(width)]
    return [
        [
            sum(down * across * image[i][j] for i, down in row for j, across in column)
            for column in columns
        ]
        for row in rows
    ]
