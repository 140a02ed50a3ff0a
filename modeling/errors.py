"""What can go wrong between stored rows and a report."""


class ModelingError(Exception):
    """Base of everything a researcher can be told in one sentence."""


class NotEnoughData(ModelingError):
    """The study has too few posts, raters or ratings for what was asked."""


class ArtefactDamaged(ModelingError):
    """A fit's file is missing or not the one that was written."""


class NothingServes(ModelingError):
    """A study has no fit that could predict anything."""


class RunUnusable(ModelingError):
    """What an annotator model said in a run cannot be the consensus of a fit."""


class TuningRefused(ModelingError):
    """A model of the consensus cannot be taught as asked; nothing was begun. `faults` says why, by field."""

    def __init__(self, faults: dict[str, str]) -> None:
        super().__init__(" ".join(faults.values()))
        self.faults = faults


class DataChanged(ModelingError):
    """The ratings are no longer those a fit saw."""


class ExclusionRefused(ModelingError):
    """Someone cannot be excluded, or taken back in, as asked."""


class ErasureRefused(ModelingError):
    """What was to be erased cannot be erased as asked; nothing was."""


class ImportRefused(ModelingError):
    """Files to load have faults; nothing was loaded. `faults` holds each with its file and line."""

    def __init__(self, faults: list[str]) -> None:
        self.faults = faults
        super().__init__("\n".join(faults))
