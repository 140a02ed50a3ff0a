"""A column that holds a vector of measured numbers in one row."""

import struct
from collections.abc import Sequence

from django.db import models


class FloatVectorField(models.BinaryField):
    """A vector of numbers as little-endian 32-bit floats; in Python a tuple. NaN stands for missing."""

    def from_db_value(self, value, expression, connection) -> tuple[float, ...] | None:
        return None if value is None else unpack(bytes(value))

    def get_db_prep_value(self, value, connection, prepared=False):
        if value is not None and not isinstance(value, bytes | memoryview):
            value = pack(value)
        return super().get_db_prep_value(value, connection, prepared)


def pack(vector: Sequence[float]) -> bytes:
    """Return the vector's bytes, each number rounded to 32 bits."""
    return struct.pack(f"<{len(vector)}f", *vector)


def unpack(raw: bytes) -> tuple[float, ...]:
    """Return the vector that `pack` made these bytes from."""
    return tuple(number for (number,) in struct.iter_unpack("<f", raw))
