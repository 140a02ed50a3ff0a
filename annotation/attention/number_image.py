"""A two-digit number to be read off an image, and the same number as a small sum in words.

The check asks whether somebody looks at the page at all. So the image is easy for people: two large digits of
our own drawing, a little turned and bent, a few thin lines across. It is no wall against machines that read
images; it only keeps the number out of the page's text, where a script that fills in forms would look.

Someone who cannot see the image needs another way to the same number. A plain text alternative would stand in
the page for every script, and a recording would leave out people who neither see nor hear well. So the
alternative is a sum of two small parts, to be worded by the page ('three more than twenty-one'): quick to work
out for a person with a screen reader, while the number itself stands nowhere, neither in digits nor as a word.
`NumberRiddle` carries the parts and no words, so that every language can word them.

Nothing is kept here: the caller stores the number and passes the same seeded `rng`, and gets the same image
and sum again when the page is loaded again.
"""

from __future__ import annotations

import itertools
import math
import random
import re
import struct
import unicodedata
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

NUMBERS = range(10, 100)
WIDTH, HEIGHT = 600, 240  # pixels, to be shown at half of that: sharp on dense screens too

_BACKGROUND, _THIN, _EDGE, _INK = 0xF6, 0xA8, 0x80, 0x1C  # grey levels
_DIGIT_WIDTH, _DIGIT_HEIGHT = 88, 136
_STROKE_RADIUS = 9
_CENTERS_X = (216, 384)
_MARGIN = 10  # pixels that stay empty at each side
_CHANGES = range(2, 6)  # of the sum: small enough to do in one's head

Point = tuple[float, float]


@dataclass(frozen=True)
class NumberTask:
    """The number that one person is asked to read."""

    number: int


@dataclass(frozen=True)
class NumberRiddle:
    """A number as a sum: it is `change` more than `start`, or less where `change` is negative.

    `start` runs from 5 to 99, `change` from -5 to -2 and from 2 to 5: these are the words a page needs.
    """

    start: int
    change: int


def draw_task(rng: random.Random) -> NumberTask:
    """Draw a number of two digits, each as likely."""
    return NumberTask(rng.choice(NUMBERS))


def parse_number(text: str) -> int | None:
    """The number that a person typed, None when it is not a whole number without a sign.

    Digits of any script count, and space around them or invisible marks of the writing direction do not.
    """
    visible = "".join(sign for sign in text if unicodedata.category(sign) != "Cf").strip()
    return int(visible) if re.fullmatch(r"\d{1,9}", visible) else None


def describe(number: int, rng: random.Random) -> NumberRiddle:
    """Draw a sum that gives the number. Raises ValueError for a number that has not two digits.

    A round number is always approached from below: the word for twenty also stands in that for twenty-three.
    """
    _check_number(number)
    change = rng.choice(_CHANGES)
    may_come_from_above = number % 10 != 0 and number + change in NUMBERS
    if may_come_from_above and rng.random() < 0.5:
        change = -change
    return NumberRiddle(start=number - change, change=change)


def render(number: int, rng: random.Random) -> bytes:
    """Draw the number as a PNG, greyscale, `WIDTH` x `HEIGHT` pixels, below 6 kB.

    Raises ValueError for a number that has not two digits.
    """
    _check_number(number)
    rows = [bytearray([_BACKGROUND]) * WIDTH for _ in range(HEIGHT)]
    for _ in range(3):
        _stamp(rows, _thin_line(rng), radius=2, grey=_THIN)
    points = [
        point
        for digit, center_x in zip(str(number), _CENTERS_X, strict=True)
        for point in _place_digit(int(digit), center_x, rng)
    ]
    _stamp(rows, points, radius=_STROKE_RADIUS + 1, grey=_EDGE)  # a grey rim makes the edges look smooth
    _stamp(rows, points, radius=_STROKE_RADIUS, grey=_INK)
    _stamp(rows, _thin_line(rng), radius=1, grey=_THIN)
    return _encode_png(rows)


def _check_number(number: int) -> None:
    if number not in NUMBERS:
        raise ValueError(f"the number is {number!r}; it must have two digits, 10 to 99")


def _arc(center: Point, radii: Point, start_degrees: int, end_degrees: int) -> list[Point]:
    """Points on an ellipse; 0 degrees is to the right, 90 degrees down."""
    n_points = max(2, abs(end_degrees - start_degrees) // 10 + 1)
    angles = [
        math.radians(start_degrees + (end_degrees - start_degrees) * step / (n_points - 1))
        for step in range(n_points)
    ]
    return [
        (center[0] + radii[0] * math.cos(angle_rad), center[1] + radii[1] * math.sin(angle_rad))
        for angle_rad in angles
    ]


_SIX = (
    _arc((0.90, 0.68), (0.80, 0.66), 262, 180),
    _arc((0.50, 0.68), (0.40, 0.32), 180, 540),
)

# Each digit as strokes, each stroke as corners, in a box of width and height 1 whose y runs down.
_DIGITS: tuple[tuple[list[Point], ...], ...] = (
    (_arc((0.5, 0.5), (0.42, 0.5), 0, 360),),
    ([(0.18, 0.24), (0.55, 0.0), (0.55, 1.0)], [(0.2, 1.0), (0.9, 1.0)]),
    ([*_arc((0.5, 0.29), (0.4, 0.29), 190, 390), (0.08, 1.0), (0.94, 1.0)],),
    (
        [
            *_arc((0.46, 0.25), (0.38, 0.25), 200, 450),
            *_arc((0.46, 0.75), (0.42, 0.25), 270, 520),
        ],
    ),
    ([(0.68, 1.0), (0.68, 0.0), (0.04, 0.68), (0.96, 0.68)],),
    ([(0.86, 0.0), (0.2, 0.0), (0.14, 0.46), *_arc((0.47, 0.68), (0.42, 0.32), 220, 500)],),
    _SIX,
    ([(0.06, 0.0), (0.94, 0.0), (0.14, 1.0)],),
    (_arc((0.5, 0.25), (0.36, 0.25), 90, 450), _arc((0.5, 0.75), (0.42, 0.25), 270, 630)),
    tuple([(1 - x, 1 - y) for x, y in stroke] for stroke in _SIX),
)


def _place_digit(digit: int, center_x: int, rng: random.Random) -> Iterator[Point]:
    """The points of a digit on the image, close enough to one another to be stamped as a line."""
    scale = rng.uniform(0.92, 1.06)
    shear = rng.uniform(-0.12, 0.12)
    angle_rad = math.radians(rng.uniform(-9, 9))
    shift_x = center_x + rng.uniform(-10, 10)
    shift_y = HEIGHT / 2 + rng.uniform(-8, 8)
    wave_x, wave_y = rng.uniform(2, 5), rng.uniform(2, 5)
    phase_x, phase_y = rng.uniform(0, math.tau), rng.uniform(0, math.tau)
    cos, sin = math.cos(angle_rad), math.sin(angle_rad)
    for stroke in _DIGITS[digit]:
        corners = [((x - 0.5) * _DIGIT_WIDTH * scale, (y - 0.5) * _DIGIT_HEIGHT * scale) for x, y in stroke]
        for x, y in _fill_in(corners):
            sheared = x + shear * y
            turned_x, turned_y = cos * sheared - sin * y, sin * sheared + cos * y
            yield (
                shift_x + turned_x + wave_x * math.sin(turned_y / 30 + phase_x),
                shift_y + turned_y + wave_y * math.sin(turned_x / 30 + phase_y),
            )


def _thin_line(rng: random.Random) -> list[Point]:
    """A gently bent line from the left to the right of the image."""
    start_y, end_y = rng.uniform(30, HEIGHT - 30), rng.uniform(30, HEIGHT - 30)
    bend, phase = rng.uniform(4, 12), rng.uniform(0, math.tau)
    left, right = _MARGIN + 2, WIDTH - _MARGIN - 3
    return [
        (x, start_y + (end_y - start_y) * (x - left) / (right - left) + bend * math.sin(x / 60 + phase))
        for x in range(left, right + 1, 2)
    ]


def _fill_in(corners: list[Point], step: float = 2.0) -> Iterator[Point]:
    """Points along a line through the corners, at most `step` pixels apart."""
    yield corners[0]
    for (x0, y0), (x1, y1) in itertools.pairwise(corners):
        n_steps = max(1, math.ceil(math.hypot(x1 - x0, y1 - y0) / step))
        for number in range(1, n_steps + 1):
            yield x0 + (x1 - x0) * number / n_steps, y0 + (y1 - y0) * number / n_steps


def _stamp(rows: list[bytearray], points: Iterable[Point], radius: int, grey: int) -> None:
    """Draw a disc at every point. Whole runs of a row are set at once: pixel by pixel would take seconds."""
    runs = [(dy, round(math.sqrt(radius**2 - dy**2))) for dy in range(-radius, radius + 1)]
    ink = bytes([grey]) * (2 * radius + 1)
    for x, y in points:
        column, line = round(x), round(y)
        for dy, half in runs:
            rows[line + dy][column - half : column + half + 1] = ink[: 2 * half + 1]


def _encode_png(rows: list[bytearray]) -> bytes:
    """A greyscale PNG of 8 bits per pixel (ISO/IEC 15948), without any text in it."""
    header = struct.pack(">IIBBBBB", WIDTH, len(rows), 8, 0, 0, 0, 0)
    pixels = zlib.compress(b"".join(b"\x00" + row for row in rows), level=9)
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + _chunk(b"IDAT", pixels) + _chunk(b"IEND", b"")


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
