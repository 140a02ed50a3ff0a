"""PURE. The rules that speak of people who may not have answered with care.

A rule gives each person a number, or none where it cannot be had; it never excludes anybody.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

LEAST_POSTS = 5  # a share of fewer readings says little
LEAST_RATINGS = 10
LEAST_GRID = 3  # the same answer to two questions is no pattern
LEAST_ROWS = 5  # of a questionnaire's grid
LEAST_PEOPLE = 11  # nobody can lie 3 SD from the mean of 10 people: |z| is at most (n - 1) / sqrt(n)
LEAST_FOR_SYNONYMS = 20
SYNONYM_CORRELATION = 0.60

VALUE_PORTRAIT = "Han et al. (2025), Value Portrait, arXiv 2505.01015, appendix E"
PROLIFIC = "Prolific's rules for reviewing submissions"
OURS = "our choice"


class Side(StrEnum):
    """On which side of its limit a rule speaks."""

    AT_LEAST = "at least"
    AT_MOST = "at most"
    LOWEST_SHARE = "among the study's lowest"


@dataclass(frozen=True)
class Rule:
    """One rule.

    Attributes
    ----------
    key, name : its name in data and on pages
    number : what a person's number is, in words
    formula : how it is computed
    source : where it was published
    side, limit : from where on it speaks; with `Side.LOWEST_SHARE` the limit is a share of the people
    limit_source : where the limit is from
    lowest, highest : between which a limit makes sense
    undefined : who has no number
    """

    key: str
    name: str
    number: str
    formula: str
    source: str
    side: Side
    limit: float
    limit_source: str
    lowest: float
    highest: float
    undefined: str


RULES = (
    Rule(
        key="attention_checks",
        name="Attention checks failed",
        number="failed attention checks",
        formula="The number of attention checks that were not answered as asked.",
        source=f"{PROLIFIC}; {VALUE_PORTRAIT}, rule 1",
        side=Side.AT_LEAST,
        limit=2,
        limit_source=(
            "Prolific asks for two failed checks in studies of five minutes or more; Value Portrait "
            "excluded from three on."
        ),
        lowest=1,
        highest=100,
        undefined="whoever met no attention check",
    ),
    Rule(
        key="fast_posts",
        name="Read posts too fast",
        number="robust z of the seconds per post",
        formula=(
            "The person's median of log seconds from being given a post to submitting it, minus the "
            "median of these over the people, divided by 1.4826 times their median absolute "
            "deviation."
        ),
        source="Leys et al. (2013), Journal of Experimental Social Psychology 49(4), 764-766",
        side=Side.AT_MOST,
        limit=-3,
        limit_source="Leys et al. call 3 very conservative, 2.5 moderate, 2 poor.",
        lowest=-20,
        highest=0,
        undefined=(
            f"whoever has fewer than {LEAST_POSTS} timed posts, as imported people and simulated raters, and "
            f"everyone while fewer than {LEAST_PEOPLE} people have a number"
        ),
    ),
    Rule(
        key="fast_total",
        name="Finished too fast",
        number="z of the minutes from arrival to the end",
        formula=(
            "Minutes from arrival to the end, minus their mean over the people, divided by their "
            "standard deviation."
        ),
        source=PROLIFIC,
        side=Side.AT_MOST,
        limit=-3,
        limit_source=(
            "Prolific: exceptionally fast is about three standard deviations below the mean. Times "
            "are often so skewed that nobody can be that fast; the other two rules about time are "
            "sharper."
        ),
        lowest=-20,
        highest=0,
        undefined=(
            "imported people and simulated raters, and everyone while fewer than "
            f"{LEAST_PEOPLE} people have a number"
        ),
    ),
    Rule(
        key="below_estimate",
        name="Far below the announced time",
        number="minutes taken, as a share of those announced",
        formula="Minutes from arrival to the end, divided by the study's estimated minutes.",
        source=f"{VALUE_PORTRAIT}, rule 2",
        side=Side.AT_MOST,
        limit=0.3,
        limit_source="Value Portrait excluded below 6 minutes where 20 were expected.",
        lowest=0,
        highest=1,
        undefined="imported people and simulated raters",
    ),
    Rule(
        key="straight_lining",
        name="The same rating all down the page",
        number="share of opened groups rated all the same",
        formula=(
            f"Of the opened groups of {LEAST_GRID} or more values, the share in which every value got "
            "the same rating."
        ),
        source=(
            "Kim, Dykema, Stevenson, Black & Moberg (2019), Social Science Computer Review 37(2), "
            "214-233: simple nondifferentiation"
        ),
        side=Side.AT_LEAST,
        limit=0.8,
        limit_source=OURS,
        lowest=0,
        highest=1,
        undefined=f"whoever opened fewer than {LEAST_POSTS} such groups",
    ),
    Rule(
        key="long_string_posts",
        name="One rating in an endless row, over posts",
        number="longest run of the same rating, as a share of the chosen ratings",
        formula=(
            "Chosen ratings in the order in which they were given; the longest run of the same one, "
            "divided by their number."
        ),
        source="Johnson (2005), Journal of Research in Personality 39(1), 103-129: long string",
        side=Side.AT_LEAST,
        limit=0.5,
        limit_source=(
            "Curran (2016), Journal of Experimental Social Psychology 66, 4-19: half of all answers."
        ),
        lowest=0,
        highest=1,
        undefined=(
            f"whoever read fewer than {LEAST_POSTS} posts or chose fewer than {LEAST_RATINGS} ratings, and "
            "imported people, whose order is unknown"
        ),
    ),
    Rule(
        key="low_variance_posts",
        name="Hardly any difference between ratings",
        number="SD of the chosen ratings, in widths of the scale",
        formula=(
            "Standard deviation of all the person's chosen ratings (n - 1), divided by highest minus "
            "lowest rating."
        ),
        source=(
            "Dunn et al. (2018), Journal of Business and Psychology 33, 105-121: intra-individual "
            "response variability"
        ),
        side=Side.AT_MOST,
        limit=0.05,
        limit_source=OURS,
        lowest=0,
        highest=1,
        undefined=f"whoever read fewer than {LEAST_POSTS} posts or chose fewer than {LEAST_RATINGS} ratings",
    ),
    Rule(
        key="never_opens",
        name="Never opens anything",
        number="share of posts in which no group was opened",
        formula=(
            "Of the posts read, the share in which every value counts as lowest because no group was opened."
        ),
        source=OURS,
        side=Side.AT_LEAST,
        limit=1,
        limit_source="All posts: opening nothing is a fair answer to some.",
        lowest=0,
        highest=1,
        undefined=(
            f"whoever read fewer than {LEAST_POSTS} posts, and everyone where all values are asked at once"
        ),
    ),
    Rule(
        key="identical_questionnaire",
        name="The same answer to a whole questionnaire",
        number="grids answered all the same",
        formula=(
            f"The number of grids of {LEAST_ROWS} or more answered rows in which all answers are the same."
        ),
        source=f"{VALUE_PORTRAIT}, rule 3",
        side=Side.AT_LEAST,
        limit=1,
        limit_source="Value Portrait excluded from one on.",
        lowest=1,
        highest=100,
        undefined=f"whoever answered no grid of {LEAST_ROWS} rows",
    ),
    Rule(
        key="long_string_questionnaire",
        name="One answer in an endless row, in a questionnaire",
        number="longest run of the same answer, as a share of the grid",
        formula=(
            "The longest run of the same answer down a grid, divided by its answered rows; the "
            "largest over the grids."
        ),
        source="Johnson (2005), Journal of Research in Personality 39(1), 103-129: long string",
        side=Side.AT_LEAST,
        limit=0.5,
        limit_source=(
            "Curran (2016), Journal of Experimental Social Psychology 66, 4-19: half of all answers."
        ),
        lowest=0,
        highest=1,
        undefined=f"whoever answered no grid of {LEAST_ROWS} rows",
    ),
    Rule(
        key="low_variance_questionnaire",
        name="Hardly any difference between a questionnaire's answers",
        number="SD of the answers, in widths of the scale",
        formula=(
            "Standard deviation of the answers to a grid (n - 1), divided by highest minus lowest "
            "answer; the smallest over the grids."
        ),
        source=(
            "Dunn et al. (2018), Journal of Business and Psychology 33, 105-121: intra-individual "
            "response variability"
        ),
        side=Side.AT_MOST,
        limit=0.05,
        limit_source=OURS,
        lowest=0,
        highest=1,
        undefined=f"whoever answered no grid of {LEAST_ROWS} rows with numbers",
    ),
    Rule(
        key="even_odd",
        name="The halves of the scales disagree",
        number="even-odd consistency",
        formula=(
            "Each scale of a scored questionnaire is split into its odd and its even items; the "
            "halves' means are correlated over the scales and stepped up by Spearman-Brown; the "
            "smallest over the questionnaires."
        ),
        source=(
            "Jackson's individual reliability, in Johnson (2005), Journal of Research in Personality "
            "39(1), 103-129"
        ),
        side=Side.AT_MOST,
        limit=0.3,
        limit_source="Jackson, as Johnson gives it.",
        lowest=-1,
        highest=1,
        undefined=(
            "whoever answered no questionnaire with three scored scales, or gave all halves the same answer"
        ),
    ),
    Rule(
        key="synonyms",
        name="Related questions answered apart",
        number="correlation over pairs of related items",
        formula=(
            f"Items that correlate above {SYNONYM_CORRELATION:.2f} over the study's people are pairs; "
            "within the person, the answers to their first and second items are correlated."
        ),
        source=(
            "Meade & Craig (2012), Psychological Methods 17(3), 437-455: psychometric synonyms; "
            f"{VALUE_PORTRAIT}, rule 4"
        ),
        side=Side.LOWEST_SHARE,
        limit=0.05,
        limit_source=(
            "Value Portrait excluded about 5 % by this. It always speaks of somebody: look at the "
            "number, not at the flag."
        ),
        lowest=0,
        highest=0.5,
        undefined=(
            "whoever answered fewer than three such pairs, and everyone while fewer than "
            f"{LEAST_FOR_SYNONYMS} people have a number"
        ),
    ),
    Rule(
        key="training_tries",
        name="Many tries in the practice",
        number="tries per practice post",
        formula="Answers given in the practice, divided by its posts.",
        source=OURS,
        side=Side.AT_LEAST,
        limit=3,
        limit_source=OURS,
        lowest=1,
        highest=100,
        undefined="whoever met no practice",
    ),
    Rule(
        key="gate_errors",
        name="Passed the gate narrowly",
        number="share of the gate's posts answered wrong",
        formula="Wrong answers to posts of a gate, divided by all answers to them.",
        source=OURS,
        side=Side.AT_LEAST,
        limit=0.5,
        limit_source=OURS,
        lowest=0,
        highest=1,
        undefined="whoever met no gate",
    ),
)
BY_KEY: Mapping[str, Rule] = {rule.key: rule for rule in RULES}


def check_limits(limits: Mapping[str, float]) -> dict[str, float]:
    """Return a limit for every rule: those given, the usual one for the others.

    Raises
    ------
    ValueError
        Naming each unknown rule, and each limit that is no number or makes no sense for its rule.
    """
    faults = [
        f"there is no rule '{key}'; the rules are {', '.join(BY_KEY)}" for key in limits if key not in BY_KEY
    ]
    for key, limit in limits.items():
        rule = BY_KEY.get(key)
        if rule and not rule.lowest <= limit <= rule.highest:  # false for NaN too
            faults.append(
                f"{key}: the limit must lie between {rule.lowest:g} and {rule.highest:g}, not {limit:g}"
            )
    if faults:
        raise ValueError("; ".join(faults))
    return {rule.key: float(limits.get(rule.key, rule.limit)) for rule in RULES}
