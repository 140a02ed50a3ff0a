"""Columns that hold a whole vector of numbers in one row."""

import struct
from base64 import b64decode, b64encode
from collections.abc import Sequence

from django.core.exceptions import ValidationError
from django.db import models

MISSING = -32768


class IntVectorField(models.BinaryField):
    """A short vector of small integers, one row per vector on every database.

    Stored as little-endian 16-bit integers, so NumPy reads a column without a loop. In Python it is
    a tuple; None stands for a missing entry. Numbers go from -32767 to 32767.
    """

    def from_db_value(self, value, expression, connection) -> tuple[int | None, ...] | None:
        return None if value is None else unpack(bytes(value))

    def to_python(self, value):
        if value is None or isinstance(value, tuple):
            return value
        if isinstance(value, bytes | memoryview | bytearray):
            return unpack(bytes(value))
        if isinstance(value, str):  # from a fixture
            return unpack(b64decode(value))
        return tuple(value)

    def value_to_string(self, obj) -> str:
        return b64encode(pack(self.value_from_object(obj))).decode("ascii")

    def get_db_prep_value(self, value, connection, prepared=False):
        if value is not None and not isinstance(value, bytes | memoryview):
            value = pack(value)
        return super().get_db_prep_value(value, connection, prepared)


def pack(vector: Sequence[int | None]) -> bytes:
    """Return the vector's bytes. Raises ValidationError for a number that does not fit."""
    numbers = [MISSING if number is None else number for number in vector]
    try:
        if MISSING in vector:
            raise struct.error("the number that stands for a missing entry")
        return struct.pack(f"<{len(numbers)}h", *numbers)
    except struct.error as error:
        raise ValidationError(f"A vector holds integers from -32767 to 32767; got {vector!r}.") from error


def unpack(raw: bytes) -> tuple[int | None, ...]:
    """Return the vector that `pack` made these bytes from."""
    return tuple(None if number == MISSING else number for (number,) in struct.iter_unpack("<h", raw))
