"""The closed loop of planner, generator and critic, and the open loop that it is compared with.

One step of the closed loop is one call of the generator from the *actual* state. A clip that the
critic rejects is discarded and generated anew, at most ``retries`` times; then the least bad one is
what happened, and the planner plans a correction from there. Nothing is ever moved to where the
plan wanted it.

Shapes: ``T`` frames, ``J`` joints, ``E`` calls at most.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxswarm import checks
from jaxswarm.envs import scenes
from jaxswarm.systems.fantasy_hsi._critic import Critic, geometric_critic
from jaxswarm.systems.fantasy_hsi._figure import NUM_JOINTS, pose_of, relative_pose
from jaxswarm.systems.fantasy_hsi._generator import Generate
from jaxswarm.systems.fantasy_hsi._graph import (
    ACCEPTED,
    CORRECTIVE,
    DEVIATED,
    REJECTED,
    MotionGraph,
    append,
    motion_graph,
)
from jaxswarm.systems.fantasy_hsi._planner import Action, Goals, Plan, Planner, grammar_planner
from jaxswarm.systems.fantasy_hsi._realism import Realism, realism
from jaxswarm.systems.fantasy_hsi._walker import NUM_FRAMES, STOP
from jaxswarm.types import Key


class Episode(NamedTuple):
    """State of one figure that pursues its goals.

    Attributes:
        body: ``float32[J, 3]``, the figure now.
        progress: ``int32[]``, goals reached.
        node: ``int32[]``, node of the present state.
        tries: ``int32[]``, rejected clips since it was reached.
        deviates: ``bool[]``, whether it was reached by a clip that the critic had rejected.
        best: ``float32[T, J, 3]``, the least bad of the rejected clips.
        best_badness: ``float32[]``, its badness; ``inf`` if there is none.
        best_edge: ``int32[]``, its edge.
        best_reached: ``bool[]``, whether its goal was reached.
        graph: states and actions so far.
        calls: ``int32[]``, calls of the generator.
        segments: ``int32[]``, clips that happened.
        realism: sums over these, the largest one of ``depth``.
    """

    body: jax.Array
    progress: jax.Array
    node: jax.Array
    tries: jax.Array
    deviates: jax.Array
    best: jax.Array
    best_badness: jax.Array
    best_edge: jax.Array
    best_reached: jax.Array
    graph: MotionGraph
    calls: jax.Array
    segments: jax.Array
    realism: Realism


class StepInfo(NamedTuple):
    """What one call did.

    Attributes:
        frames: ``float32[T, J, 3]``, the generated clip.
        action: the planned action.
        accepted: ``bool[]``, whether the critic accepted the clip.
        happened: ``bool[]``, whether the state changed, by this clip or by an earlier try.
        active: ``bool[]``, false once all goals are reached or the calls are spent.
    """

    frames: jax.Array
    action: Action
    accepted: jax.Array
    happened: jax.Array
    active: jax.Array


def start(body: jax.Array, capacity: int) -> Episode:
    """The first state of an episode with room for ``capacity`` edges."""
    zero, no = jnp.zeros((), jnp.int32), jnp.zeros((), bool)
    number = jnp.zeros(())
    return Episode(
        body, zero, zero, zero, no, jnp.zeros((NUM_FRAMES, NUM_JOINTS, 3)), jnp.asarray(jnp.inf),
        zero - 1, no, motion_graph(pose_of(body), capacity), zero, zero, Realism(*[number] * 5),
    )  # fmt: skip


def closed_loop(
    generate: Generate,
    *,
    planner: Planner | None = None,
    critic: Critic | None = None,
    retries: jax.Array | int = 3,
):
    """The step of the closed loop, ``step(key, episode, scene, fields, goals, budget)``.

    The step returns ``(Episode, StepInfo)`` of one figure; ``vmap`` it over many.

    Args:
        generate: the motion generator.
        planner: :func:`grammar_planner` by default.
        critic: :func:`geometric_critic` by default. A clip that is not finite counts as rejected
            whatever it says.
        retries: new tries after a rejected clip before the least bad one counts, at least 0;
            may be traced.

    Raises:
        ValueError: for what is no function or a negative number of retries.
    """
    checks.function("generate", generate)
    planner = grammar_planner() if planner is None else checks.function("planner", planner)
    critic = geometric_critic() if critic is None else checks.function("critic", critic)
    checks.wholes("retries", retries, 0, shape=())

    def step(
        key: Key,
        state: Episode,
        scene: scenes.Scene,
        fields: jax.Array,
        goals: Goals,
        budget: jax.Array,
    ) -> tuple[Episode, StepInfo]:
        plan_key, motion_key, critic_key = jax.random.split(key, 3)
        pose = pose_of(state.body)
        action = planner(plan_key, scene, fields, goals, pose, state.progress)
        active = (action.verb != STOP) & (state.calls < budget)
        offset = relative_pose(pose, action.target)
        frames = generate(motion_key, scene, state.body, jnp.minimum(action.verb, STOP - 1), offset)
        verdict = critic(critic_key, scene, action, state.body, frames)
        finite = jnp.isfinite(frames).all()
        accepted = verdict.accept & finite
        reached = verdict.reached & action.completes
        kind = jnp.where(state.deviates, CORRECTIVE, ACCEPTED)
        graph, edge = append(
            state.graph, state.node, pose_of(frames[-1]), action.verb,
            jnp.where(accepted, kind, REJECTED), active,
        )  # fmt: skip
        badness = jnp.where(finite, verdict.badness, jnp.inf)
        is_best = accepted | (badness < state.best_badness)
        best = jnp.where(is_best, frames, state.best)
        best_badness = jnp.where(is_best, badness, state.best_badness)
        best_edge = jnp.where(is_best, edge, state.best_edge)
        best_reached = jnp.where(is_best, reached, state.best_reached)
        spent = state.tries >= retries
        happened = active & (accepted | (spent & jnp.isfinite(best_badness)))
        marked = graph.kind.at[jnp.where(happened & ~accepted, best_edge, len(graph.kind))].set(
            DEVIATED, mode="drop"
        )
        measured = realism(scene, state.body, best, action.seconds)
        total = Realism(*(a + b for a, b in zip(state.realism, measured, strict=True)))
        total = total._replace(depth=jnp.maximum(state.realism.depth, measured.depth))
        over = accepted | spent
        after = Episode(
            body=jnp.where(happened, best[-1], state.body),
            progress=state.progress + (happened & best_reached),
            node=jnp.where(happened, best_edge + 1, state.node),
            tries=jnp.where(over, 0, state.tries + 1),
            deviates=jnp.where(happened, ~accepted, state.deviates),
            best=best,
            best_badness=jnp.where(over, jnp.inf, best_badness),
            best_edge=best_edge,
            best_reached=best_reached & ~over,
            graph=graph._replace(kind=marked),
            calls=state.calls + 1,
            segments=state.segments + happened,
            realism=jax.tree.map(lambda a, b: jnp.where(happened, a, b), total, state.realism),
        )
        after = jax.tree.map(lambda new, old: jnp.where(active, new, old), after, state)
        return after, StepInfo(frames, action, accepted & active, happened, active)

    return step


class OpenOutcome(NamedTuple):
    """What came of a plan that was not corrected.

    Attributes:
        body: ``float32[J, 3]``, the figure at the end.
        reached: ``int32[]``, goals whose predicate held at their last action.
        segments: ``int32[]``, clips that happened.
        realism: sums over these, the largest one of ``depth``.
        frames: ``float32[L, T, J, 3]``, the clips.
    """

    body: jax.Array
    reached: jax.Array
    segments: jax.Array
    realism: Realism
    frames: jax.Array


def open_loop(
    generate: Generate,
    *,
    critic: Critic | None = None,
    candidates: int = 1,
    knows_heading: jax.Array | bool = False,
):
    """Carry out a plan without feedback, ``run(key, body, scene, plan) -> OpenOutcome``.

    Each action is commanded as the plan's displacement from the end of the action before, in the
    frame of the figure, wherever it really is.

    Args:
        generate: the motion generator.
        critic: judges predicates, and chooses among candidates; :func:`geometric_critic` by
            default.
        candidates: clips of each action, of which the critic's least bad one is taken, measured
            against the plan's absolute target; the commands stay those of the plan. At least 1.
        knows_heading: whether displacements are turned by the figure's actual heading, so that
            errors of position add up but those of direction do not; may be traced.

    Raises:
        ValueError: for what is no function, or fewer than one candidate.
    """
    checks.function("generate", generate)
    critic = geometric_critic() if critic is None else checks.function("critic", critic)
    candidates = checks.whole("candidates", candidates, 1)
    checks.mask("knows_heading", knows_heading, ())

    def run(key: Key, body: jax.Array, scene: scenes.Scene, plan: Plan) -> OpenOutcome:
        def step(carry, inputs):
            body, planned, reached, segments, total, failed = carry
            key, action = inputs
            motion_key, critic_key = jax.random.split(key)
            offset = relative_pose(planned, action.target)
            seen = jnp.append(planned[:2], pose_of(body)[2])
            offset = jnp.where(knows_heading, relative_pose(seen, action.target), offset)
            verb = jnp.minimum(action.verb, STOP - 1)
            clips = jax.vmap(lambda k: generate(k, scene, body, verb, offset))(
                jax.random.split(motion_key, candidates)
            )
            verdicts = jax.vmap(lambda clip: critic(critic_key, scene, action, body, clip))(clips)
            best = jnp.argmin(verdicts.badness)
            frames = clips[best]
            active = (action.verb != STOP) & ~failed
            failed = failed | (active & ~jnp.isfinite(frames).all())
            active = active & ~failed
            measured = realism(scene, body, frames, action.seconds)
            more = Realism(*(a + b for a, b in zip(total, measured, strict=True)))
            more = more._replace(depth=jnp.maximum(total.depth, measured.depth))
            carry = (
                jnp.where(active, frames[-1], body),
                jnp.where(active, action.target, planned),
                reached + (active & action.completes & verdicts.reached[best]),
                segments + active,
                jax.tree.map(lambda a, b: jnp.where(active, a, b), more, total),
                failed,
            )
            return carry, frames

        zero = jnp.zeros((), jnp.int32)
        carry = (
            body, pose_of(body), zero, zero, Realism(*[jnp.zeros(())] * 5), jnp.zeros((), bool),
        )  # fmt: skip
        keys = jax.random.split(key, len(plan.actions.verb))
        (body, _, reached, segments, total, _), frames = jax.lax.scan(
            step, carry, (keys, plan.actions)
        )
        return OpenOutcome(body, reached, segments, total, frames)

    return run
