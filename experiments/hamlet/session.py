"""One play with a human or a language model as one actor; what a play's timeline needs.

Shapes: ``T`` moments until the end, ``N`` actors, ``F`` facts, ``Q`` points.
"""

import sys
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from experiments.hamlet.config import Config
from experiments.hamlet.training import make_production
from jaxswarm import coordination, language
from jaxswarm.envs import theatre
from jaxswarm.systems import hamlet

Ask = Callable[[dict[str, Any]], dict[str, Any]]


def play(config: Config) -> dict[str, Any]:
    """Perform one play; the other actors think slowly and pursue the public goal.

    Returns:
        ``timeline`` and ``audit``, as of :func:`experiments.hamlet.arms.run`.
    """
    production = make_production(config)
    stage = production.stage
    plays = hamlet.stage_plays(
        config.seed, stage, 1, points=config.points, facts=config.facts,
        unfamiliar=config.unfamiliar,
    ).blueprints  # fmt: skip
    backend = coordination.host_backend(
        _player(config, stage), stage.num_actors, num_answers=1 + stage.num_acts
    )
    outside = np.arange(stage.num_actors) == config.actor
    key = jax.random.key(config.seed)
    _, trace = jax.jit(
        lambda k: hamlet.perform(
            k, production, plays, hamlet.fixed("slow"), time_limit=config.moments, backend=backend,
            outside=outside,
        )
    )(key)  # fmt: skip
    trace = jax.tree.map(np.asarray, trace)
    made = timeline(stage, plays, trace)
    for t, clock in enumerate(made["clock"]):
        for i in range(stage.num_actors):
            act = int(made["acts"][t, i])
            if act and not 1 <= act <= stage.num_acts:
                print(f"{clock:6.0f} s  {stage.actors[i]} does what cannot be done")
            elif act:
                fails = "" if made["succeeded"][t, i] else "  (fails)"
                print(f"{clock:6.0f} s  {stage.texts[i][act - 1]}{fails}")
    print("the last point was reached" if made["complete"] else "the play did not reach its end")
    return {"timeline": made, "audit": np.array(hamlet.audit(stage, plays, trace))}


def _player(config: Config, stage: theatre.Stage) -> Ask:
    if not config.endpoint:
        return hamlet.human(stage, write=lambda text: print(text, file=sys.stdout, flush=True))
    model = language.openai_compatible(config.endpoint, config.model, max_new_tokens=16)
    return language.worker_calls(
        model,
        lambda call: hamlet.prompt_text(stage, call),
        lambda text, call: hamlet.read_act(stage, text, call),
    )


def timeline(
    stage: theatre.Stage, plays: theatre.Blueprint, trace: hamlet.Trace
) -> dict[str, np.ndarray]:
    """Arrays of one play until its end, for the figure."""
    length = max(int(trace.infos.running.sum()), 1)
    number = int(trace.final.play)
    facts = np.concatenate([trace.states.facts[:length], trace.states.facts[length:][:1]])
    if len(facts) == length:
        facts = np.concatenate([facts, trace.final.facts[None]])
    made: dict[str, Any] = {
        "facts": facts,
        "clock": trace.states.clock[:length],
        "point": trace.states.point[:length],
        "acts": trace.infos.acts[:length],
        "succeeded": trace.infos.succeeded[:length],
        "effective": trace.infos.effective[:length],
        "prompt": trace.infos.prompt[:length],
        "reached": trace.infos.reached[:length],
        "present": trace.present[:length],
        "flags": np.asarray(plays.flags)[number],
        "scene": np.asarray(plays.scene)[number],
        "end": np.asarray(trace.final.clock),
        "complete": int(trace.final.point) >= np.shape(plays.flags)[1],
    }
    return {name: np.asarray(value) for name, value in made.items()}
