"""Arms of the HAMLET experiment: performances of one company under changed conditions.

All arms of a seed have the same blueprints, plays and random keys, and differ in what their name
says. Policies are trained with the advancer, without it, and without silence, for equally many
steps; an arm without retraining has the policy of the full system.

Shapes: ``S`` seeds, ``T`` moments, ``N`` actors.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from experiments.hamlet import session
from experiments.hamlet.config import Config
from experiments.hamlet.training import (
    FULL,
    NEVER_SILENT,
    NO_ADVANCER,
    Company,
    assemble,
)
from experiments.harness.compile import jit_fast_compile
from jaxswarm import coordination, network
from jaxswarm.envs import theatre
from jaxswarm.systems import hamlet
from jaxswarm.types import Key

LEARNED = -1
"""Instead of a mode: the policy decides."""


class Arm(NamedTuple):
    """A condition.

    Attributes:
        changes: of the settings.
        policy: condition under which the policy was trained.
        mode: of all actors, with the public goal, instead of the policy's choice.
        design: of the blueprints.
        disruption: share of the moments, from the first on, in which one actor acts at random.
        absent: one actor is absent during the second eighth of the moments.
    """

    changes: dict[str, Any] = {}  # noqa: RUF012
    policy: str = FULL
    mode: int = LEARNED
    design: str = "backward, reviewer"
    disruption: float = 0.0
    absent: bool = False


ARMS = {
    "full": Arm(),
    "no advancer": Arm({"advancer": False}),
    NO_ADVANCER: Arm({"advancer": False}, policy=NO_ADVANCER),
    "no broadcast": Arm({"reach": theatre.NONE}),
    "own outcomes only": Arm({"reach": theatre.ITSELF}),
    "always slow": Arm(mode=hamlet.MODES.index("slow")),
    "always fast": Arm(mode=hamlet.MODES.index("fast")),
    NEVER_SILENT: Arm({"modes": ["fast", "slow"]}, policy=NEVER_SILENT),
    "backward, no reviewer": Arm(design="backward, no reviewer"),
    "forward, reviewer": Arm(design="forward, reviewer"),
    "forward, no reviewer": Arm(design="forward, no reviewer"),
    "one random actor": Arm(disruption=1.0),
    "random for a quarter": Arm(disruption=0.25),
    "one absent actor": Arm(absent=True),
    "directed (oracle)": Arm({"roles": "directed"}),
    "directed, one random actor (oracle)": Arm({"roles": "directed"}, disruption=1.0),
    "random actors": Arm({"roles": "random"}),
    "mute actors": Arm({"roles": "mute"}),
}


def run(config: Config, progress: Callable[[str], None]) -> dict[str, Any]:
    """Train, perform all arms, audit.

    Returns:
        ``summary {arm: {field: [S]}}``, ``audit [violations, acts]``, ``reachable {design: [S]}``
        (share of flags), ``faulty {design: [S]}`` (share of blueprints), ``drafts {design: [S]}``,
        ``rewards {condition: [S, iterations]}`` and ``timeline`` of one play.
    """
    if config.play:
        return session.play(config)
    progress("blueprints and training")
    company = assemble(config)
    program = _program(config, company)
    keys = jax.random.split(jax.random.key(config.seed + 1_000_000), config.seeds)
    summaries: dict[str, Any] = {}
    audits = np.zeros(len(hamlet.Audit._fields), int)
    timeline: dict[str, np.ndarray] = {}
    stage = company.production.stage
    for name, arm in ARMS.items():
        progress(name)
        plays = company.plays[arm.design]
        summary, trace = program(keys, company.params[arm.policy], plays, *_inputs(config, arm))
        summaries[name] = {key: np.asarray(x) for key, x in summary._asdict().items()}
        trace = jax.tree.map(np.asarray, trace)
        for seed in range(min(config.seeds, config.audited)):
            own, given = (jax.tree.map(lambda x, s=seed: x[s], tree) for tree in (trace, plays))
            found = hamlet.audit(stage, given, own)
            audits += np.array(found)
            if name == "full" and (not timeline or _is_rich(own, timeline)):
                timeline = session.timeline(stage, given, own)
    return {
        "summary": summaries,
        "audit": audits,
        "reachable": {k: v.mean(axis=(1, 2)) for k, v in company.reachable.items()},
        "faulty": {k: 1.0 - v.all(axis=2).mean(axis=1) for k, v in company.reachable.items()},
        "drafts": {k: v.mean(axis=1) for k, v in company.drafts.items()},
        "rewards": company.rewards,
        "timeline": timeline,
    }


def _program(config: Config, company: Company) -> Any:
    """Performances of all seeds: means of the summaries, and the trace of the first play."""
    production, net = company.production, company.network

    def one_seed(
        key: Key, params: Any, plays: theatre.Blueprint, given: hamlet.Settings,
        mode: jax.Array, disrupted: jax.Array, alive: jax.Array,
    ) -> Any:  # fmt: skip
        policy = hamlet.learned(net, params)

        def decide(key: Key, perceived: jax.Array) -> jax.Array:
            chosen = policy(key, perceived)
            return jnp.where(mode == LEARNED, chosen, jnp.stack([mode, jnp.int32(0)])[None])

        def perform(key: Key, play: jax.Array) -> Any:
            return hamlet.perform(
                key, production, plays, decide, play=play, given=given, time_limit=config.moments,
                alive=alive, disrupted=disrupted,
            )  # fmt: skip

        numbers = jnp.arange(config.plays)
        summary, trace = jax.vmap(perform)(
            jax.random.split(key, config.plays), numbers % config.blueprints
        )
        return jax.tree.map(jnp.mean, summary), jax.tree.map(lambda x: x[0], trace)

    over_seeds = jax.vmap(one_seed, (0, 0, 0, None, None, None, None))
    return jit_fast_compile(over_seeds, level=1, plain=True)


def _inputs(config: Config, arm: Arm) -> tuple[Any, ...]:
    """Settings, mode, disruption and presence of an arm, as arrays."""
    n, moments = config.actors, config.moments
    changes = dict(arm.changes)
    if "roles" in changes:
        changes["roles"] = [changes["roles"]] * n
    given = hamlet.settings(
        n, threshold=config.threshold, period=config.period,
        progress_reward=config.progress_reward, waste_penalty=config.waste_penalty, **changes,
    )  # fmt: skip
    disrupted = np.zeros((moments, n), bool)
    disrupted[: round(arm.disruption * moments), -1] = True
    events = [(moments // 8, "crash", 0), (moments // 4, "recover", 0)] if arm.absent else []
    alive = coordination.availability(network.fault_plan(events, n), moments).alive
    return given, jnp.int32(arm.mode), jnp.asarray(disrupted), alive


def _is_rich(trace: hamlet.Trace, so_far: dict[str, np.ndarray]) -> bool:
    """Whether a play shows more: complete first, then with prompts, then the shorter one."""
    prompts = int((trace.infos.prompt > 0).any(axis=1).sum())
    length = int(trace.infos.running.sum())
    done = int(trace.final.point) >= int(so_far["flags"].shape[0])
    best = (bool(so_far["complete"]), int((so_far["prompt"] > 0).any(axis=1).sum()) > 0)
    return (done, prompts > 0, -length) > (*best, -len(so_far["point"]))
