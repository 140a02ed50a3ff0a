"""Which function does which kind of job.

An app writes its handlers in `<app>/handlers.py`. That module is imported when a process first does a
job, so a web process, which only enqueues, never loads an estimator.
"""

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.utils.module_loading import autodiscover_modules

from .errors import UnknownKind
from .parts import Parts

if TYPE_CHECKING:
    from .services import Claim

Effect = Callable[[], Mapping[str, Any] | None]


@dataclass(frozen=True)
class Later:
    """What a handler returns that has to wait for somebody else: it is called again after so many seconds.

    No worker is held meanwhile, and no try is used up. `note` says what is waited for, where progress is shown.
    """

    seconds: float
    note: str = ""


Handler = Callable[["Claim"], Effect | Parts | Later | None]

_handlers: dict[str, Handler] = {}


def handles(kind: str) -> Callable[[Handler], Handler]:
    """Register the decorated function as the handler of `kind`.

    The handler is given a Claim. It computes, for as long as it needs and without writing, and returns
    a function that writes the effect (or None when there is nothing to write). That function is called
    in the transaction which marks the job done; what it returns, a JSON mapping or None, becomes
    `Job.result`.

    Instead of an effect it may return Parts: jobs to be done first, by any worker. It is called again once
    all of them are done, and finds them in `claim.parts`. Or it may return Later, to be called again after a while.

    Raises ValueError when another function already handles `kind`.
    """

    def register(handler: Handler) -> Handler:
        present = _handlers.setdefault(kind, handler)
        if (present.__module__, present.__qualname__) != (handler.__module__, handler.__qualname__):
            raise ValueError(
                f"Jobs of kind {kind!r} are handled by {present.__module__}.{present.__qualname__} already; "
                f"give {handler.__module__}.{handler.__qualname__} another kind."
            )
        return handler

    return register


@functools.cache
def autodiscover() -> None:
    """Import `handlers` of every installed app that has one, once in a process."""
    autodiscover_modules("handlers")


def handler_of(kind: str) -> Handler:
    """Return the handler of `kind`; raises UnknownKind when no installed app has one."""
    autodiscover()
    try:
        return _handlers[kind]
    except KeyError:
        raise UnknownKind(
            f"no handler for jobs of kind {kind!r}; is it decorated in the handlers.py of an installed app, "
            "and does this worker run the newest code?"
        ) from None
