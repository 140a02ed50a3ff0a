"""PURE. What encoders say of how they were taught, in words and as a table. Pages import it: it loads nothing heavy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .tables import Column, Measures, Table, count, name_values

NOTHING_LEARNT = "nothing was learnt beyond each value's average"
DEVICES = {"cpu": "the processor", "cuda": "a graphics card (CUDA)"}


def describe_teaching(
    name: str,
    facts: Mapping[str, Any],
    *,
    n_taught: int,
    untaught_values: Sequence[int],
    values: Sequence[tuple[str, str]],
) -> dict[str, Any]:
    """Return what one encoder says of its teaching, ready for JSON.

    Parameters
    ----------
    name : of the encoder
    facts : of a transformer its facts, of a linear encoder what was chosen; empty where nothing is known
    n_taught : posts it was given
    untaught_values : places of the values that none of these posts has a label of
    values : key and name of each value, in order
    """
    losses = facts.get("losses") or []
    best_pass = facts.get("best_pass", facts.get("n_epochs"))
    if "dev_loss" in facts:
        best_loss = facts["dev_loss"]
    else:
        best_loss = losses[best_pass] if best_pass is not None and best_pass < len(losses) else None
    return {
        "name": name,
        "encoder": facts.get("encoder"),
        "device": facts.get("device"),
        "n_taught": facts.get("n_taught", n_taught),
        "n_dev": facts.get("n_dev"),
        "n_cut": facts.get("n_cut"),
        "best_pass": best_pass,
        "losses": losses,
        "best_loss": best_loss,
        "penalty": facts.get("penalty"),
        "untaught_values": [values[place][0] for place in facts.get("untaught_values", untaught_values)],
    }


def say_teaching(measures: Measures) -> list[tuple[str, str]]:
    """Return what the encoder that was kept says of its teaching: each with its heading; empty where nothing is known.

    >>> known = {"n_taught": 50, "n_dev": 9, "n_cut": 2, "best_pass": 0, "untaught_values": []}
    >>> known |= {"losses": [1.5, 1.75], "best_loss": 1.5}
    >>> for heading, told in say_teaching({"values": [], "teaching": [known]}):
    ...     print(f"{heading}: {told}")
    Posts taught: 50, and 9 to tell when to stop
    Texts cut: 2 texts were longer than the encoder reads
    Passes: 1 made, none kept: nothing was learnt beyond each value's average
    Loss: 1.500 before any pass, 1.500 as kept, on posts held apart
    """
    if not measures.get("teaching"):
        return []
    found = measures["teaching"][0]
    told = []
    if found.get("encoder"):
        device = DEVICES.get(found["device"], found["device"])
        told.append(("Begun from", f"{found['encoder']}; taught on {device}"))
    taught = f"{found['n_taught']:,}"
    if found.get("n_dev") is not None:
        taught += (
            f", and {found['n_dev']:,} to tell when to stop"
            if found["n_dev"]
            else "; none to tell when to stop"
        )
    told.append(("Posts taught", taught))
    if found.get("n_cut") is not None:
        cut = count(found["n_cut"], "text was", "texts were")
        told.append(("Texts cut", f"{cut} longer than the encoder reads" if found["n_cut"] else "none"))
    if found.get("best_pass") is not None:
        told.append(("Passes", _say_passes(found)))
    losses = [loss for loss in found.get("losses") or [] if loss is not None]
    if found.get("best_loss") is not None:
        before = f"{losses[0]:.3f} before any pass, " if losses else ""
        told.append(("Loss", f"{before}{found['best_loss']:.3f} as kept, on posts held apart"))
    if found.get("penalty") is not None:
        told.append(("Weights drawn to zero", f"with strength {found['penalty']:g}"))
    if found["untaught_values"]:
        names = name_values(measures)
        listed = "; ".join(names[key] for key in found["untaught_values"])
        told.append(("Without any label", f"{listed}: an even distribution is given, which says nothing"))
    return told


def has_learnt_nothing(measures: Measures) -> bool:
    """Return whether the encoder that was kept is the one before any pass."""
    return bool(measures.get("teaching")) and measures["teaching"][0].get("best_pass") == 0


def tabulate_teaching(measures: Measures) -> Table | None:
    """Return what every encoder of a training says of its teaching; None where nothing is known."""
    rows = [
        [
            found["name"],
            found["n_taught"],
            found.get("n_dev"),
            found.get("n_cut"),
            found.get("best_pass"),
            next(iter(found.get("losses") or []), None),
            found.get("best_loss"),
            found.get("penalty"),
            NOTHING_LEARNT if found.get("best_pass") == 0 else "",
        ]
        for found in measures.get("teaching") or ()
    ]
    if not rows:
        return None
    columns = (
        Column("encoder", "Encoder", "text"),
        Column("taught", "Posts taught", "count"),
        Column("dev", "To tell when to stop", "count"),
        Column("cut", "Texts cut", "count"),
        Column("kept_pass", "Pass kept", "count"),
        Column("loss_before", "Loss before"),
        Column("loss_kept", "Loss as kept"),
        Column("penalty", "Strength of the penalty"),
        Column("note", "Note", "text"),
    )
    caption = (
        "Every encoder of this training: the one that was kept first, then those it is compared with, then those that "
        "were not taught a fold and read it. Losses are of posts held apart to tell when to stop."
    )
    return Table("encoder_teaching", "How each encoder was taught", caption, columns, rows)


def _say_passes(found: Mapping[str, Any]) -> str:
    kept, losses = found["best_pass"], found.get("losses") or []
    made = f"{len(losses) - 1} made, " if losses else ""
    if kept == 0:
        return f"{made}none kept: {NOTHING_LEARNT}"
    if not made:
        return f"{kept} over the posts"
    return f"{made}the state after pass {kept} kept"
