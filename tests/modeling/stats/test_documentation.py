"""The page on the statistics is a notebook: its examples run, one after the other."""

import re
from pathlib import Path

PAGE = Path(__file__).resolve().parents[3] / "docs/statistics.md"


def test_the_examples_of_the_page_run_in_their_order():
    examples = re.findall(
        r"^```python\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
    )
    assert len(examples) > 20
    room: dict[str, object] = {}
    for example in examples:
        exec(compile(example, f"{PAGE.name}: {example.splitlines()[0]}", "exec"), room)  # noqa: S102
