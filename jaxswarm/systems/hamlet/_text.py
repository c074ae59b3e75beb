"""Texts for humans and language models who play an actor, and the acts that they mean.

``human`` makes ``ask`` of ``coordination.host_backend`` for a terminal; ``prompt_text`` and
``read_act`` are what ``language.worker_calls`` needs for a model behind the OpenAI protocol.

Shapes: ``M`` acts of an actor, ``F`` facts.
"""

import re
import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from jaxswarm import checks
from jaxswarm.envs import theatre


def view(stage: theatre.Stage, call: Mapping[str, Any]) -> dict[str, Any]:
    """What a call says, with names: beliefs, both goals, possible acts and the prompt.

    Args:
        stage: facts and verbs.
        call: of ``coordination.host_backend``, made by :func:`hamlet.perform`.
    """
    theatre.check_stage(stage)
    f = stage.num_facts
    numbers = np.asarray(call["demand"])
    beliefs, flag, private = (numbers[k * f : (k + 1) * f] > 0.5 for k in range(3))
    possible = np.flatnonzero(numbers[4 * f : 4 * f + stage.num_acts] > 0.5) + 1
    return {
        "actor": stage.actors[call["worker"]],
        "beliefs": stage.named(beliefs),
        "flag": stage.named(flag),
        "missing": stage.named(flag & ~beliefs),
        "private": stage.named(private),
        "possible": {int(k): stage.texts[call["worker"]][k - 1] for k in possible},
        "prompt": int(numbers[-1]),
    }


def prompt_text(stage: theatre.Stage, call: Mapping[str, Any]) -> str:
    """The prompt for a language model that plays the actor of a call."""
    seen = view(stage, call)
    who = seen["actor"]
    lines = [
        f"You play {who} in an improvised play.",
        f"You believe: {_sentence(seen['beliefs'])}.",
        f"Together the actors want: {_sentence(seen['flag'])}.",
        f"You alone want: {_sentence(seen['private']) or 'nothing'}.",
    ]
    if seen["prompt"]:
        lines.append(f"The director asks you: {stage.texts[call['worker']][seen['prompt'] - 1]}.")
    lines.append("You may do one of these:")
    lines += [
        f"{number}: {text}" for number, text in ({0: "say nothing"} | seen["possible"]).items()
    ]
    lines.append("Reply with the number alone.")
    return "\n".join(lines)


def read_act(stage: theatre.Stage, text: str, call: Mapping[str, Any]) -> int | None:
    """The act that a reply names, by number or in its own words; ``None`` if it names none.

    Example:
        >>> from jaxswarm.envs import theatre
        >>> from jaxswarm.systems import hamlet
        >>> stage = theatre.default_stage(2, 2, 1, 1)
        >>> hamlet.read_act(stage, "I choose 2.", {"worker": 0})
        2
        >>> hamlet.read_act(stage, "Ada goes to the garden", {"worker": 0})
        2
        >>> hamlet.read_act(stage, "I fly away", {"worker": 0}) is None
        True
    """
    theatre.check_stage(stage)
    said = checks.instance("text", text, str).strip().lower()
    for number, words in enumerate(stage.texts[call["worker"]], start=1):
        if words and words.lower() in said:
            return number
    found = re.search(r"-?\d+", said)
    if found is None:
        return None
    number = int(found.group())
    return number if 0 <= number <= stage.num_acts else None


def human(
    stage: theatre.Stage,
    *,
    read: Callable[[str], str] = input,
    write: Callable[[str], None] = print,
) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """Make ``ask`` of ``coordination.host_backend`` for a human at a terminal.

    An empty line or the end of the input is silence; words that name no act are a failed act.

    Args:
        stage: facts and verbs.
        read: asks for a line.
        write: shows a line.
    """
    theatre.check_stage(stage)
    checks.function("read", read)
    checks.function("write", write)

    def ask(call: dict[str, Any]) -> dict[str, Any]:
        write(f"\n--- moment {call['event'] + 1} ---")
        write(prompt_text(stage, call).replace("Reply with the number alone.", "").rstrip())
        began = time.perf_counter()
        try:
            said = read("your act (empty for silence): ")
        except EOFError:
            said = ""
        answer = read_act(stage, said, call) if said.strip() else 0
        seconds = {"latency": 1000.0 * (time.perf_counter() - began)}
        return seconds if answer is None else seconds | {"answer": answer}

    return ask


def _sentence(facts: list[theatre.Fact]) -> str:
    return "; ".join(theatre.words(fact) for fact in facts)
