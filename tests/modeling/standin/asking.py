"""Requests as the project writes them, for tests of the stand-in."""

import http.client
from contextlib import closing
from typing import Any

from modeling.prompts.design import Concept, PromptDesign, ScalePoint
from modeling.prompts.rendering import Example, PostText, build_response_format, render

VALUES = PromptDesign(
    purpose="values",
    instructions="Rate the values.",
    concepts=(
        Concept("hedonism", "Hedonism", "Pleasure."),
        Concept("universalism_nature", "Nature", "Care for nature."),
        Concept("face", "Face", "Reputation."),
    ),
    scale=tuple(ScalePoint(number, "") for number in range(7)),
)
WINE = PostText("Delicious wine, cake and a warm bath: what a pleasure")
RIVER = PostText("Clean the river! Plastic kills birds and every forest species on this planet")


def build_body(post: PostText, design: PromptDesign = VALUES, **fields: Any) -> dict[str, Any]:
    reply_format = fields.pop("reply_format", "schema")
    examples: list[Example] = fields.pop("examples", [])
    return {
        "model": "standin-large",
        "messages": render(design, post, examples=examples, reply_format=reply_format),
        "response_format": build_response_format(design, reply_format),
        "temperature": 0,
        **fields,
    }


def mark(fault: str, text: str = "Delicious cake") -> PostText:
    return PostText(f"{text} [[fault:{fault}]]")


def open_connection(url: str) -> http.client.HTTPConnection:
    return http.client.HTTPConnection(url.split("/")[2], timeout=1.5)


def send(url: str, path: str, body: bytes | None = None) -> tuple[int, bytes]:
    """Ask an address of the server that no client knows."""
    with closing(open_connection(url)) as opened:
        opened.request("POST" if body else "GET", path, body)
        answer = opened.getresponse()
        return answer.status, answer.read()
