from __future__ import annotations

import random
import struct
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from annotation.attention.number_image import (
    HEIGHT,
    NUMBERS,
    WIDTH,
    NumberRiddle,
    describe,
    draw_task,
    parse_number,
    render,
)

TENS = ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]
SMALL = [
    *("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven"),
    *("twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen"),
]
DARK = 0x40


def say(number: int) -> str:
    if number < 20:
        return SMALL[number]
    ten = TENS[number // 10 - 2]
    return f"{ten}-{SMALL[number % 10]}" if number % 10 else ten


def decode(png: bytes) -> list[bytes]:
    """The rows of a greyscale PNG of 8 bits per pixel; every checksum is verified."""
    assert png[:8] == b"\x89PNG\r\n\x1a\n"
    chunks: list[tuple[bytes, bytes]] = []
    at = 8
    while at < len(png):
        (length,) = struct.unpack_from(">I", png, at)
        kind, data = png[at + 4 : at + 8], png[at + 8 : at + 8 + length]
        (checksum,) = struct.unpack_from(">I", png, at + 8 + length)
        assert checksum == zlib.crc32(kind + data)
        chunks.append((kind, data))
        at += 12 + length
    assert [kind for kind, _ in chunks] == [b"IHDR", b"IDAT", b"IEND"]
    width, height, depth, colour, *rest = struct.unpack(">IIBBBBB", chunks[0][1])
    assert (width, height, depth, colour, rest) == (WIDTH, HEIGHT, 8, 0, [0, 0, 0])
    pixels = zlib.decompress(chunks[1][1])
    assert len(pixels) == height * (width + 1)
    lines = [pixels[start : start + width + 1] for start in range(0, len(pixels), width + 1)]
    assert {line[0] for line in lines} == {0}  # no filter
    return [line[1:] for line in lines]


def ink_of(rows: list[bytes]) -> set[tuple[int, int]]:
    return {(x, y) for y, row in enumerate(rows) for x, grey in enumerate(row) if grey < DARK}


@pytest.mark.parametrize("number", NUMBERS)
def test_every_number_is_two_separate_digits_well_within_the_frame(number: int) -> None:
    png = render(number, random.Random(number))
    assert len(png) < 6000
    ink = ink_of(decode(png))
    assert min(x for x, _ in ink) >= 20
    assert max(x for x, _ in ink) < WIDTH - 20
    assert min(y for _, y in ink) >= 5
    assert max(y for _, y in ink) < HEIGHT - 5
    columns = {x for x, _ in ink}
    gaps = [x for x in range(min(columns), max(columns)) if x not in columns]
    assert len(gaps) >= 10
    assert gaps == list(range(gaps[0], gaps[-1] + 1))


def test_no_two_numbers_look_alike() -> None:
    """With the same turning and bending, so that only the digits can make the difference."""
    pictures = {number: ink_of(decode(render(number, random.Random(7)))) for number in NUMBERS}
    numbers = list(NUMBERS)
    for position, number in enumerate(numbers):
        for other in numbers[position + 1 :]:
            assert len(pictures[number] ^ pictures[other]) > 1500


@given(st.integers())
def test_the_ink_stays_within_the_frame_whatever_is_drawn(seed: int) -> None:
    rng = random.Random(seed)
    ink = ink_of(decode(render(draw_task(rng).number, rng)))
    assert min(y for _, y in ink) >= 2
    assert max(y for _, y in ink) < HEIGHT - 2
    assert min(x for x, _ in ink) >= 20
    assert max(x for x, _ in ink) < WIDTH - 20


def test_the_same_seed_draws_the_same_image_and_another_seed_another() -> None:
    assert render(47, random.Random(1)) == render(47, random.Random(1))
    assert render(47, random.Random(1)) != render(47, random.Random(2))


def test_tasks_cover_all_numbers_of_two_digits() -> None:
    rng = random.Random(0)
    assert {draw_task(rng).number for _ in range(2000)} == set(range(10, 100))


@given(st.sampled_from(NUMBERS), st.integers())
def test_a_riddle_gives_the_number_from_parts_that_can_be_worded(number: int, seed: int) -> None:
    riddle = describe(number, random.Random(seed))
    assert riddle.start + riddle.change == number
    assert 2 <= abs(riddle.change) <= 5
    assert 5 <= riddle.start <= 99


@given(st.sampled_from(NUMBERS), st.integers())
def test_the_number_stands_nowhere_in_the_wording_of_its_riddle(number: int, seed: int) -> None:
    riddle = describe(number, random.Random(seed))
    wording = f"{say(abs(riddle.change))} more than {say(riddle.start)} {abs(riddle.change)} {riddle.start}"
    assert say(number) not in wording
    assert str(number) not in wording


def test_riddles_go_up_and_down() -> None:
    riddles = {describe(47, random.Random(seed)) for seed in range(200)}
    assert riddles == {NumberRiddle(47 - change, change) for change in (-5, -4, -3, -2, 2, 3, 4, 5)}


@pytest.mark.parametrize("number", [9, 100, -47, 0])
def test_a_number_that_has_not_two_digits_is_refused(number: int) -> None:
    with pytest.raises(ValueError, match="two digits"):
        render(number, random.Random(0))
    with pytest.raises(ValueError, match="two digits"):
        describe(number, random.Random(0))


@pytest.mark.parametrize(
    "text",
    [
        "47",
        " 47 ",
        "\t47\n",
        "047",
        "\uff14\uff17",  # full-width
        "\u0664\u0667",  # Arabic-Indic
        "\u06f4\u06f7",  # Persian
        "\u096a\u096d",  # Devanagari
        "\u200f\u0664\u0667",  # with a mark of the writing direction
        "\u00a047\ufeff",
    ],
)
def test_a_typed_number_is_read_in_the_digits_of_any_script(text: str) -> None:
    assert parse_number(text) == 47


@pytest.mark.parametrize(
    "text",
    ["", " ", "forty-seven", "4 7", "47.", "4.7", "-47", "+47", "47a", "4\u00b2", "\u00bd", "4_7", "1" * 10],
)
def test_what_is_no_number_is_not_read(text: str) -> None:
    assert parse_number(text) is None


@given(st.text())
def test_no_text_breaks_the_reading_of_a_typed_number(text: str) -> None:
    number = parse_number(text)
    assert number is None or number >= 0
