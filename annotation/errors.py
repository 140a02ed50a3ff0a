"""What can go wrong on a rater's way. Views turn these, and no others, into pages."""


class AnnotationError(Exception):
    """Base of everything that a page can explain."""


class EntryError(AnnotationError):
    """The recruitment link lacks a parameter or carries a malformed one."""


class StudyClosed(AnnotationError):
    """The study takes nobody in at present."""


class NotEnrolled(AnnotationError):
    """This browser carries no enrollment in this study."""


class Refused(AnnotationError):
    """A request that does not fit where the rater is; nothing was stored."""


class AlreadySubmitted(AnnotationError):
    """Another request closed the assignment first."""
