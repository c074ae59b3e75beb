"""Rendering of the theatre: places as panels with their actors and props, the flag underneath."""

from typing import Any

import numpy as np

from jaxswarm import plotting
from jaxswarm.envs.theatre.stage import Fact, Stage


def draw(stage: Stage, world: Any, params: Any, ax: Any) -> None:
    """Draw one moment of a play."""
    facts = np.asarray(world.facts)
    count = len(stage.places)
    last = np.shape(params.flags)[1] - 1
    point = min(int(world.point), last)
    cast = np.asarray(params.cast)[int(world.play), point]
    for place, name in enumerate(stage.places):
        ax.add_patch(
            _rectangle((place + 0.03, 0.0), 0.94, 1.0, facecolor="#F4F1EA", edgecolor="#999999")
        )
        ax.text(place + 0.5, 0.95, name, ha="center", va="top", fontsize=9, color="#555555")
        here = [i for i in range(stage.num_actors) if facts[stage.at[i, place]]]
        for row, i in enumerate(here):
            y = 0.8 - 0.16 * row
            color = plotting.PALETTE[i % len(plotting.PALETTE)] if cast[i] else "#BBBBBB"
            held = [p for k, p in enumerate(stage.props) if facts[stage.holds[i, k]]]
            text = stage.actors[i] + (f" ({', '.join(held)})" if held else "")
            ax.text(place + 0.5, y, text, ha="center", va="center", fontsize=8.5, color=color)
        lying = [p for k, p in enumerate(stage.props) if facts[stage.inside[k, place]]]
        ax.text(place + 0.5, 0.06, ", ".join(lying), ha="center", fontsize=8, color="#333333")
    flag = stage.named(np.asarray(params.flags)[int(world.play), point])
    title = "the play is over" if int(world.point) > last else f"point {point + 1}"
    met = [facts[stage.facts.index(fact)] for fact in flag]
    lines = [f"{'+' if done else '-'} {words(fact)}" for fact, done in zip(flag, met, strict=True)]
    ax.text(0.03, -0.08, "\n".join([title, *lines]), va="top", fontsize=8)
    ax.set_xlim(0.0, count)
    ax.set_ylim(-0.9, 1.02)
    ax.set_axis_off()


def words(fact: Fact) -> str:
    """A fact as words, such as ``"Ada holds the lamp"``."""
    kind, first, second = fact
    if kind == "at":
        return f"{first} is in the {second}"
    if kind == "in":
        return f"the {first} lies in the {second}"
    if kind == "holds":
        return f"{first} holds the {second}"
    if kind == "is":
        return f"the {first} is {second}"
    return f"{first} knows the {second}"


def _rectangle(*args: Any, **kwargs: Any) -> Any:
    from matplotlib.patches import Rectangle

    return Rectangle(*args, **kwargs)
