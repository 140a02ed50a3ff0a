"""What other rooms may want to know of."""

from django.dispatch import Signal

answers_erased = Signal()
"""Someone's answers were erased; sent inside the transaction that erases them.

With `study`, `began_at`: when they had come, and `completed_at`: when they had completed it, None when they had not.
"""
