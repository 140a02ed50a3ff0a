"""What is wrong with a study file, each fault with its place in the file."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong: where, as in ``steps[3].config``, and what, with how to mend it."""

    place: str
    problem: str

    def __str__(self) -> str:
        return f"{self.place}: {self.problem}"


class StudyFileError(ValueError):
    """A study file cannot be read or written; `faults` holds every reason, each with its place."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        self.faults = tuple(faults)
        super().__init__("The study file has faults:\n" + "\n".join(f"- {fault}" for fault in self.faults))
