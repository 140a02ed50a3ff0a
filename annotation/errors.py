"""What can go wrong on a rater's way. Views turn these, and no others, into pages."""


class AnnotationError(Exception):
    """Base of everything that a page can explain."""


class EntryError(AnnotationError):
    """The recruitment link lacks a parameter or carries a malformed one."""


class StudyClosed(AnnotationError):
    """The study takes nobody in at present."""


class StudyPaused(StudyClosed):
    """The study takes nobody in just now, and will again."""


class NotEnrolled(AnnotationError):
    """This browser carries no enrollment in this study."""


class Unfinished(AnnotationError):
    """A rehearsal came to a step that the researcher has not finished; `faults` says what it lacks."""

    def __init__(self, faults: list[str]) -> None:
        super().__init__(" ".join(faults))
        self.faults = faults


class Refused(AnnotationError):
    """A request that does not fit where the rater is; nothing was stored."""


class AlreadySubmitted(AnnotationError):
    """Another request closed the assignment first."""


class LastOwner(AnnotationError):
    """Whoever is to lose their role is the only one left who can give others access."""
