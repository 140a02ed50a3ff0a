"""Programs to begin with: 100 posts ordered by how strongly one person sees a value."""

from string import Template

CURL = Template(
    """\
export PARALLAX_TOKEN=plx_...        # from the study's page API; keep it out of your shell's history

curl --fail-with-body $address/api/v1/values --header "Authorization: Bearer $$PARALLAX_TOKEN"

curl --fail-with-body $address/api/v1/rerank \\
  --header "Authorization: Bearer $$PARALLAX_TOKEN" --json @- <<'JSON'
{"rater": {"pseudonym": "6f1c1d0e-6a53-4d0f-9a0e-3f0f7c9f2b11"},
 "value": "caring",
 "posts": [{"id": "feed-81", "text": "Our neighbours cooked for the whole street tonight."},
           {"id": "feed-82", "text": "Promoted again! Hard work pays."}]}
JSON
"""
)

PYTHON = Template(
    '''\
"""Order posts by how strongly one person sees a value: python rerank.py caring PSEUDONYM < posts.txt

One post a line, 1,000 at most. Needs nothing but Python.
"""

import json
import os
import sys
import time
from urllib.error import HTTPError
from urllib.request import Request, urlopen

ADDRESS = "$address/api/v1/rerank"


def ask(content):
    headers = {"Authorization": "Bearer " + os.environ["PARALLAX_TOKEN"], "Content-Type": "application/json"}
    request = Request(ADDRESS, json.dumps(content).encode(), headers)
    while True:
        try:
            with urlopen(request, timeout=30) as answer:
                return json.load(answer)
        except HTTPError as error:
            if error.code == 429:
                time.sleep(int(error.headers["Retry-After"]))
                continue
            problem = json.load(error)
            lines = [f"{fault['where']}: {fault['what']}; {fault['mend']}" for fault in problem["errors"]]
            sys.exit("\\n".join([f"{problem['title']}. {problem['detail']}", *lines]))


value, pseudonym = sys.argv[1:]
texts = [line.strip() for line in sys.stdin if line.strip()]
found = ask({"rater": {"pseudonym": pseudonym}, "value": value, "posts": [{"text": text} for text in texts]})
for note in found["rater"]["notes"]:
    print("Note:", note, file=sys.stderr)
for post in found["posts"]:
    print(f"{post['rank']:>4}  {post['score']:.2f} [{post['low']:.2f}, {post['high']:.2f}]  {texts[post['index']]}")
'''
)


def write_curl(address: str) -> str:
    """Return commands for a shell that ask the installation at this address."""
    return CURL.substitute(address=address)


def write_python(address: str) -> str:
    """Return a program that asks the installation at this address, with Python's standard library only."""
    return PYTHON.substitute(address=address)
