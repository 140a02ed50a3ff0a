"""What was counted a moment ago, kept in this process so that many who ask at once cost as one."""

import threading
import time
from collections.abc import Callable, Hashable
from typing import Any, TypeVar

Value = TypeVar("Value")


class Memory:
    """Values that are good for some seconds. Whoever asks while one is computed waits for it."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._values: dict[Hashable, tuple[float, Any]] = {}
        self._locks: dict[Hashable, threading.Lock] = {}

    def get(self, key: Hashable, seconds: float, compute: Callable[[], Value]) -> Value:
        """Return what is kept under a key, computing it when it is not there or is older than `seconds`.

        An error of `compute` goes to the caller and keeps nothing.
        """
        with self._locks.setdefault(key, threading.Lock()):
            computed_at, value = self._values.get(key, (None, None))
            if computed_at is None or self._clock() - computed_at >= seconds:
                value = compute()
                self._values[key] = self._clock(), value
            return value

    def clear(self) -> None:
        """Forget everything."""
        self._values.clear()
