"""Text interface of SwarmBench for language models: observations as prompts, answers as actions.

A :class:`jaxswarm.envs.Policy` around a user's function, for instance a language model, that gets
one prompt per agent and returns one answer each. It runs on the host, round by round, with
:func:`play`; there is no network code here, and none of it runs inside ``jit``.

An answer has a line ``ACTION: UP`` and, if agents can send messages, a line ``MSG: …``. An answer
that cannot be parsed means to stay and to send nothing.

References:
    K. Ruan et al., Benchmarking LLMs' swarm intelligence, 2025 (the fields of the prompt).
"""

import re
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from tqdm import tqdm

from jaxswarm import checks
from jaxswarm.envs.policies import Policy
from jaxswarm.envs.swarmbench.base import SwarmBench
from jaxswarm.envs.swarmbench.codes import DIM_AGENT, MOVES, STAY, SWITCH, SYMBOLS
from jaxswarm.envs.swarmbench.types import SwarmBenchObservation
from jaxswarm.types import ArrayLike, Key, Params, PyTree

MEMORY = 5  # previous views and own actions that a prompt repeats

GOALS = {
    "Pursuit": (
        "Catch the prey P, which runs two cells per round. It is caught when agents or walls stand "
        "on all four sides of it. Each catch earns a point and another prey appears."
    ),
    "Synchronization": (
        "Each agent has a light. A point is earned when all lights are on, the next when all are "
        "off, and so on in turn. The action SWITCH turns your light. Agents shown with $ are off."
    ),
    "Foraging": (
        "Bring food from F to the nest N through the maze, one piece at a time: stand beside F to "
        "pick up, beside N to drop. Each piece earns a point. Agents shown with $ carry nothing."
    ),
    "Flocking": "Stand so that together you form this shape anywhere on the map:\n{shape}",
    "Transport": (
        "A gap in the outer wall is plugged by an obstacle B. Find it, push it out with five "
        "agents or more, then leave the map through the gap; the earlier, the better."
    ),
}
RULES = """Actions: {actions}.
You weigh 1 and push with 2. Things in a row move if those behind push with at least their weight;
B weighs 5. Walls W never move. There is no pulling. Rows grow downward, columns to the right.
Symbols: Y you, a number another agent, . free, * outside the map, ? out of sight."""
MESSAGES = (
    "A message reaches all agents in your view in the next round, without your number, up to {} "
    "characters."
)


def render(view: ArrayLike, numbers: ArrayLike, position: ArrayLike) -> str:
    """Render one agent's view as text, with global row and column numbers.

    Args:
        view: ``int[k, k]`` codes.
        numbers: ``int[k, k]``, ids of agents, −1 for none.
        position: ``int[2]`` of the centre.

    Raises:
        ValueError: for other shapes, floats or codes that do not exist.
    """
    grid: np.ndarray = checks.wholes("view", view, 0, len(SYMBOLS) - 1, shape=(None, None))
    ids: np.ndarray = checks.wholes("numbers", numbers, -1, shape=grid.shape)
    center: np.ndarray = checks.wholes("position", position, -checks.LARGEST, shape=(2,))
    row, column = (int(x) - len(grid) // 2 for x in center)
    lines = ["    " + "".join(f"{column + j:>4}" for j in range(len(grid)))]
    for i, codes in enumerate(grid):
        cells = []
        for code, number in zip(codes, ids[i], strict=True):
            name = SYMBOLS[code] if number < 0 or SYMBOLS[code] == "Y" else str(number)
            cells.append(f"{'$' if code == DIM_AGENT and number >= 0 else ''}{name}")
        lines.append(f"{row + i:>4}" + "".join(f"{cell:>4}" for cell in cells))
    return "\n".join(lines)


class Answer(NamedTuple):
    """A parsed answer: the index of an ``action`` and a ``message``, empty for silence."""

    action: int
    message: str


def parse(answer: str, *, can_switch: bool = False) -> Answer:
    """Parse an answer; the last action in it counts.

    Args:
        answer: any text.
        can_switch: whether SWITCH is an action.

    Example:
        >>> from jaxswarm.envs import swarmbench
        >>> swarmbench.parse("ACTION: LEFT")
        Answer(action=2, message='')

    Raises:
        ValueError: if ``answer`` is no text.
    """
    checks.instance("answer", answer, str)
    names = (*MOVES, "SWITCH") if can_switch else MOVES
    actions = re.findall(r"ACTION\s*:\s*\W*([A-Za-z]+)", answer, flags=re.IGNORECASE)
    action = actions[-1].upper() if actions else "STAY"
    messages = re.findall(r"^\W*MSG\W*?:[ \t]*(.*)$", answer, flags=re.IGNORECASE | re.MULTILINE)
    chosen = names.index(action) if action in names else STAY
    return Answer(chosen, messages[-1].strip().strip("\"'") if messages else "")


def encode(message: str, length: int) -> np.ndarray:
    """Encode ASCII characters as tokens ``int32[length]``; long messages are cut and end in ..."""
    if len(message) > length:
        message = message[: max(length - 3, 0)] + "..."[:length]
    codes = [ord(c) if 0 < ord(c) < 128 else ord("?") for c in message]
    return np.array(codes + [0] * (length - len(codes)), np.int32)


def decode(tokens: ArrayLike) -> str:
    """Decode tokens of :func:`encode`, up to the first zero."""
    return "".join(map(chr, np.asarray(tokens).tolist())).split("\0")[0]


def text_policy(env: SwarmBench, answers: Callable[[list[str]], Sequence[str]]) -> Policy:
    """Build a policy that asks a function for text answers to text prompts.

    Args:
        env: a task; for messages its ``message_length`` is in characters, 120 in the benchmark,
            and its vocabulary is 128.
        answers: ``answers(prompts) -> answers``, one prompt and one answer per agent that is
            present. Record both to replay an episode.

    Returns:
        A policy for :func:`play`; its ``act`` runs on the host.

    Raises:
        ValueError: if ``env`` observes features or its vocabulary is too small for characters; in
            ``act``, if another number of answers is returned.
    """
    checks.instance("env", env, SwarmBench, 'swarmbench.make("pursuit")')
    checks.function("answers", answers)
    if env.as_features:
        raise ValueError("env: expected observations of codes, got as_features=True")
    if env.message_length and env.vocabulary < 128:
        raise ValueError(f"vocabulary: expected 128 tokens for characters, got {env.vocabulary}")
    can_switch = env.num_actions > SWITCH

    def init(obs: SwarmBenchObservation) -> Any:
        del obs
        return [([], []) for _ in range(env.num_agents)]

    def act(key: jax.Array, params: Any, carry: Any, obs: SwarmBenchObservation) -> Any:
        del key, params
        obs = jax.tree.map(np.asarray, obs)
        present = np.flatnonzero(obs.agent_mask).tolist()
        prompts = [_prompt(env, carry[agent], obs, agent) for agent in present]
        replies = list(answers(prompts))
        if len(replies) != len(prompts):
            raise ValueError(f"answers: expected {len(prompts)}, got {len(replies)}")
        action = np.zeros((env.num_agents, 1 + env.message_length), np.int32)
        action[:, 0] = STAY
        for agent, reply in zip(present, replies, strict=True):
            chosen = parse(reply, can_switch=can_switch)
            action[agent, 0] = chosen.action
            action[agent, 1:] = encode(chosen.message, env.message_length)
            names = (*MOVES, "SWITCH")
            carry[agent][1].append(f"{names[chosen.action]} {chosen.message!r}")
        return jnp.asarray(action if env.message_length else action[:, 0]), carry

    return Policy(init, act)


def _prompt(env: SwarmBench, memory: Any, obs: SwarmBenchObservation, agent: int) -> str:
    views, acts = memory
    views.append(render(obs.view[agent], obs.numbers[agent], obs.position[agent]))
    goal = GOALS[type(env).__name__].format(shape=_shape(env))
    names = (*MOVES, "SWITCH") if env.num_actions > SWITCH else MOVES
    parts = [
        f"You are agent {agent} of a team. You only see what is near you.",
        f"Task: {goal}",
        RULES.format(actions=", ".join(names)),
    ]
    if env.observe_round:
        parts.append(f"Round: {int(obs.round[agent])}")
    status = float(obs.status[agent, 0])
    status_text = {
        "Pursuit": f"Score: {status:g}",
        "Synchronization": f"Your light is {'on' if status else 'off'}.",
        "Foraging": f"You carry {'food' if status else 'nothing'}.",
    }
    parts.append(status_text.get(type(env).__name__, ""))
    for back, view in enumerate(reversed(views[-MEMORY:])):
        parts.append(f"{'Your view now' if back == 0 else f'{back} rounds ago'}:\n{view}")
    if env.message_length:
        parts.append(MESSAGES.format(env.message_length))
        received = [decode(message) for message in obs.inbox[agent] if message.any()]
        parts.append("Messages received: " + (" | ".join(received) if received else "none"))
    parts.append("Your previous actions: " + ("; ".join(acts[-MEMORY:]) if acts else "none"))
    parts.append("Answer with a line ACTION: … and, to send a message, a line MSG: …")
    return "\n\n".join(part for part in parts if part)


def _shape(env: SwarmBench) -> str:
    cells = getattr(env, "formation", np.zeros((0, 2), int))
    if not len(cells):
        return ""
    grid = np.full(cells.max(axis=0) + 1, ".")
    grid[tuple(cells.T)] = "A"
    return "\n".join(" ".join(row) for row in grid)


class Episode(NamedTuple):
    """An episode of :func:`play`.

    Attributes:
        states: of all rounds, for ``env.animate``.
        extras: metrics of all rounds.
    """

    states: list[Any]
    extras: list[dict[str, float]]


def play(
    key: Key,
    env: SwarmBench,
    policy: Policy,
    *,
    rounds: int | None = None,
    params: Params = (),
    env_params: PyTree = None,
    progress: bool = True,
) -> Episode:
    """Run one episode on the host, for policies that cannot run inside ``jit``.

    Args:
        key: a typed key.
        env: a task.
        policy: any, for instance of :func:`text_policy`.
        rounds: maximum number of rounds; the time limit by default.
        params: the policy's learned parameters.
        env_params: the environment's physics, the default ones if ``None``.
        progress: show a progress bar.

    Raises:
        ValueError: for ``rounds`` below 1, or another kind of environment or policy.
    """
    checks.key(key)
    checks.instance("env", env, SwarmBench, 'swarmbench.make("pursuit")')
    rounds = env.time_limit if rounds is None else checks.whole("rounds", rounds, 1)
    if not (hasattr(policy, "init") and hasattr(policy, "act")):
        raise ValueError(f"policy: expected a Policy, got {checks.shown(policy)}")
    reset_key, run_key = jax.random.split(key)
    state, timestep = env.reset(reset_key, env_params)
    step, carry = jax.jit(env.step), policy.init(timestep.observation)
    states, extras = [state], []
    with tqdm(total=rounds, desc=type(env).__name__, disable=not progress) as progress_bar:
        for round_number in range(rounds):
            draw = jax.random.fold_in(run_key, round_number)
            action, carry = policy.act(draw, params, carry, timestep.observation)
            state, timestep = step(state, action)
            states.append(state)
            extras.append({name: float(x) for name, x in timestep.extras.items()})
            progress_bar.update()
            progress_bar.set_postfix(score=extras[-1]["score"])
            if bool(timestep.last()):
                break
    return Episode(states, extras)


def message_statistics(
    messages: Sequence[str], embed: Callable[[Sequence[str]], ArrayLike] | None = None
) -> dict[str, float]:
    """The benchmark's measures of the messages sent in one round.

    Args:
        messages: of that round, without silence.
        embed: ``embed(messages) -> [n, D]``, sentence embeddings.

    Returns:
        ``length_mean`` and ``length_std`` in characters, ``questions`` and ``digits`` as shares of
        messages and of characters, and with ``embed`` the ``homogeneity``: the mean cosine
        similarity of two different messages, 1 if all are equal.

    Raises:
        ValueError: if a message is no text, or ``embed`` returns another number of vectors or
            vectors that are zero or not finite.
    """
    if isinstance(messages, str) or not all(isinstance(message, str) for message in messages):
        raise ValueError(f"messages: expected a sequence of texts, got {checks.shown(messages)}")
    lengths = np.array([len(message) for message in messages], float)
    characters = "".join(messages)
    found = {
        "length_mean": float(lengths.mean()) if len(lengths) else 0.0,
        "length_std": float(lengths.std()) if len(lengths) else 0.0,
        "questions": sum("?" in message for message in messages) / max(len(messages), 1),
        "digits": sum(c.isdigit() for c in characters) / max(len(characters), 1),
    }
    if embed is not None:
        checks.function("embed", embed)
        different = sorted(set(messages))
        if len(different) < 2:
            found["homogeneity"] = float(len(messages) > 1)
        else:
            vectors = np.asarray(
                checks.real("embed", embed(different), shape=(len(different), None)), float
            )
            if not np.any(vectors, axis=1).all():
                raise ValueError("embed: expected vectors other than zero")
            vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
            pairs = np.triu_indices(len(different), 1)
            found["homogeneity"] = float((vectors @ vectors.T)[pairs].mean())
    return found
