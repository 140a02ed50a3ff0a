"""What every test of a running study needs."""

from tests.modeling.watching.people import forget

__all__ = ["forget"]
