"""The laptop's queue: kombu's folder of message files, written so that no reader meets half a message.

kombu creates a message's file under its final name and then writes into it. A worker that looks in
between reads an empty message, takes that for a fatal error and stops. Here the file gets its name when
it is complete.
"""

import uuid
from pathlib import Path
from time import monotonic_ns
from typing import Any

from kombu.transport import filesystem
from kombu.utils.json import dumps


class Channel(filesystem.Channel):
    """A channel whose messages appear whole or not at all."""

    def _put(self, queue: str, payload: Any, **kwargs: Any) -> None:
        folder = Path(self.data_folder_out)
        name = f"{monotonic_ns():020d}_{uuid.uuid4()}.{queue}.msg"
        unfinished = folder / f".{name}"  # begins with a dot: no queue's readers look at it
        unfinished.write_text(dumps(payload))
        unfinished.replace(folder / name)


class Transport(filesystem.Transport):
    """kombu's filesystem transport with whole messages."""

    Channel = Channel
