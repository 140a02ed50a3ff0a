"""PURE. Which people an export holds."""

EVERYONE = "everyone"  # but rehearsals; whoever does not count is marked
INCLUDED = "included"  # only those whom the measures count
SCOPES = (EVERYONE, INCLUDED)
