"""Five tasks of swarm coordination: what sight and talk are worth, and who plays them well.

The benchmark scores language models zero-shot; there is none here. Its subjects are policies of
three kinds: random, scripted (a map in the head and shortest ways, see
``jaxswarm.envs.swarmbench.scripted``), and learnt (a recurrent network with a head for messages,
trained by PPO and a dense reward of ours, told nothing but its view). None stands in for a language
model. What is tested is the benchmark: that local sight and messages limit what a swarm can do,
that five must push together, and that how a swarm moves says more about its score than how much it
talks.

Synchronisation is the exception: whoever can count needs neither sight nor talk, since everybody
begins in the same round. The table reports it as a control. Its scripted policy therefore has no
memory, and counts only if it hears somebody, itself included.

References:
    K. Ruan, M. Huang, J. Wen, H. Sun, Benchmarking LLMs' swarm intelligence, 2025.
"""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

if __name__ == "__main__":  # run as a file: find the packages from the repository root
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from experiments import harness
from experiments.harness import Claim, Paper, claim
from experiments.programs import program
from jaxswarm import agents, envs, plotting, rl, rollout, statistics
from jaxswarm.envs import swarmbench
from jaxswarm.envs.swarmbench import SwarmBenchParams

NAME = "swarmbench"
TITLE = "SwarmBench: five tasks, local sight, anonymous talk"
PAPER = Paper("K. Ruan, M. Huang, J. Wen, H. Sun", "Benchmarking LLMs' swarm intelligence", 2025)

# Fixed before the first run.
SIGHT = 1.3  # score with the widest view over that with the narrowest
TALK = 1.5  # synchronisation with messages over without
CLOCK = 0.9  # points per round of whoever can count
LEARNT = ("synchronization", "pursuit", "foraging")
MOTION = ("directional_entropy", "stillness", "dominant_action", "polarization",
          "moving_distance", "structure", "pushes")  # fmt: skip
SPEECH = ("messages", "message_length")


@dataclass(frozen=True)
class Config:
    """Sizes; scores are of whole episodes."""

    agents: int = 10
    size: int = 10
    rounds: int = 100
    view: int = 9
    sights: tuple[int, ...] = (1, 2, 4)
    seeds: int = 20
    learners: int = 5
    learner_view: int = 5
    envs: int = 8
    horizon: int = 50
    iterations: int = 30
    epochs: int = 2
    minibatches: int = 4
    width: int = 64
    lr: float = 1e-3
    seed: int = 0

    def __post_init__(self) -> None:
        if self.agents < 5:
            raise ValueError(f"agents: expected at least 5 to push the box, got {self.agents}")
        if len(self.sights) < 2 or 2 * max(self.sights) + 1 > self.view:
            raise ValueError(f"sights: expected two or more within the view, got {self.sights}")


SCALES = {
    "smoke": Config(
        rounds=12, sights=(1, 2), view=5, seeds=6, learners=2, envs=2, horizon=6, iterations=1,
        epochs=1, minibatches=1, width=8, agents=6, size=8,
    ),
    "small": Config(),
    "full": Config(seeds=100, learners=5, envs=32, iterations=300, horizon=100),
}  # fmt: skip


def run(config: Config, progress: Callable[[str], None]) -> dict[str, Any]:
    """Scores ``{task: {policy: [seeds]}}``, measures of every episode, and of the learners."""
    keys = agents.keys(jax.random.key(config.seed), config.seeds)
    results: dict[str, Any] = {}
    for task in swarmbench.TASKS:
        progress(f"{task}: scripted")
        results[task] = _scripted(config, task, keys)
    progress("who can count")
    results["counting"] = _counting(config, keys)
    results["box"] = _box(config)
    for task in LEARNT:
        progress(f"{task}: learnt")
        results[task] |= _learnt(config, task)
    return jax.tree.map(np.asarray, results)


def _options(config: Config) -> dict[str, Any]:
    return {
        "num_agents": config.agents,
        "size": config.size,
        "time_limit": config.rounds,
        "observe_round": False,
    }


def conditions(config: Config) -> list[tuple[int, bool, bool]]:
    """``(sight, hearing, random)`` of the arms of one program."""
    heard = [(sight, True, False) for sight in config.sights]
    deaf = [(sight, False, False) for sight in config.sights]
    return [*heard, *deaf, (max(config.sights), True, True)]


def _scripted(config: Config, task: str, keys: jax.Array) -> dict[str, Any]:
    """All arms of a task over all seeds: ``scores [arms, S]``, ``measures {name: [arms, S]}``."""
    env = swarmbench.make(task, view=config.view, message_length=2, **_options(config))
    clever, dice = swarmbench.scripted_policy(env), envs.random_policy(env.action_spec)

    def episode(sight: jax.Array, hearing: jax.Array, random: jax.Array, key: jax.Array) -> Any:
        def act(key: jax.Array, params: Any, carry: Any, seen: Any) -> Any:
            planned, carry = clever.act(key, params, carry, seen)
            return jnp.where(random, dice.act(key, (), (), seen)[0], planned), carry

        physics = SwarmBenchParams(sight, hearing, jnp.float32(0.0))
        policy = envs.Policy(clever.init, act)
        _, done = envs.unroll(env, policy, key, config.rounds, physics=physics)
        extras = done.timestep.extras
        return extras["score"][-1], {name: jnp.mean(extras[name]) for name in (*MOTION, *SPEECH)}

    sight, hearing, random = (jnp.array(x) for x in zip(*conditions(config), strict=True))
    over_seeds = jax.vmap(episode, (None, None, None, 0))
    arms = program(jax.vmap(over_seeds, (0, 0, 0, None)))
    scores, measures = arms(sight, hearing.astype(jnp.float32), random, keys)
    return {"scores": scores, "measures": measures}


def _counting(config: Config, keys: jax.Array) -> jax.Array:
    """Points per round of agents who count in silence and cannot see, ``[S]``."""
    env = swarmbench.make("synchronization", view=1, **_options(config))

    def act(key: jax.Array, params: Any, count: jax.Array, seen: Any) -> Any:
        want = count % 2 == 0
        lit = seen.status[:, 0] > 0
        return jnp.where(lit != want, 5, 4), count + 1

    policy = envs.Policy(lambda seen: jnp.int32(0), act)

    def episode(key: jax.Array) -> jax.Array:
        _, done = envs.unroll(env, policy, key, config.rounds)
        return done.timestep.extras["score"][-1] / config.rounds

    return program(jax.vmap(episode))(keys)


def _box(config: Config) -> np.ndarray:
    """Cells the box moves for 1 to 6 agents in a block behind its flat side, ``[6]``."""
    env = swarmbench.Transport(num_agents=6, size=12, time_limit=config.rounds)
    step = jax.jit(env.step)
    state, _ = env.reset(jax.random.key(0))
    task = state.world.task._replace(box=jnp.int32(0))
    terrain = jnp.asarray(env.layouts[1][0], jnp.int32)
    spots = jnp.array([[8, 6], [9, 6], [10, 6], [8, 5], [9, 5], [10, 5]])
    state = state._replace(world=state.world._replace(task=task, terrain=terrain, position=spots))
    moved = []
    for pushers in range(1, 7):
        after, _ = step(state, jnp.where(jnp.arange(6) < pushers, 3, 4))
        moved.append(int(jnp.sum(jnp.abs(after.world.task.shift))))
    return np.array(moved)


def _learnt(config: Config, task: str) -> dict[str, Any]:
    """Scores of the learners on fresh episodes, ``learnt [L]``, and their rewards ``[L, I]``."""
    env = swarmbench.make(
        task, view=config.learner_view, message_length=1, vocabulary=4, as_features=True,
        **_options(config),
    )  # fmt: skip
    network = rl.network_for(env, widths=(config.width,), memory=config.width)
    learner = rl.ppo(
        env,
        network,
        num_envs=config.envs,
        num_steps=config.horizon,
        epochs=config.epochs,
        minibatches=config.minibatches,
        parameters=rl.PPOHyperparameters(lr=config.lr, entropy=0.01, discount=0.97),
    )
    acting = rl.policy(network, shared=True)
    shaped = SwarmBenchParams(jnp.int32(1_000), jnp.float32(1.0), jnp.float32(1.0))

    def one(key: jax.Array) -> Any:
        init_key, start_key, run_key, test_key = jax.random.split(key, 4)
        params = rl.initialize(init_key, network, config.agents, shared=True)
        state = learner.init(params, start_key, shaped)
        state, records = rollout(learner.step, state, config.iterations, key=run_key)

        def test(key: jax.Array) -> jax.Array:
            _, done = envs.unroll(env, acting, key, config.rounds, params=state.params)
            return done.timestep.extras["score"][-1]

        scores = jax.vmap(test)(jax.random.split(test_key, 4))
        return jnp.mean(scores), records.info.reward

    keys = agents.keys(jax.random.key(config.seed + 1), config.learners)
    learnt, reward = program(lambda keys: jax.lax.map(one, keys))(keys)
    return {"learnt": learnt, "reward": reward}


def _arm(config: Config, found: dict[str, Any], sight: int, *, hearing: bool) -> np.ndarray:
    return found["scores"][conditions(config).index((sight, hearing, False))]


def explained(results: dict[str, Any], names: tuple[str, ...]) -> np.ndarray:
    """``[tasks]``: adjusted R² of the scores of all episodes of a task by some measures."""
    shares = []
    for task in swarmbench.TASKS:
        score = results[task]["scores"].ravel()
        x = np.stack([results[task]["measures"][name].ravel() for name in names], axis=1)
        x = x[:, x.std(axis=0) > 1e-9]
        if score.std() < 1e-9 or not x.shape[1]:
            shares.append(0.0)
            continue
        design = np.column_stack([np.ones(len(score)), (x - x.mean(0)) / x.std(0)])
        residual = score - design @ np.linalg.lstsq(design, score, rcond=None)[0]
        share = 1 - residual.var() / score.var()
        shares.append(1 - (1 - share) * (len(score) - 1) / (len(score) - x.shape[1] - 1))
    return np.array(shares)


def claims(results: dict[str, Any]) -> list[Claim]:
    """Sight, talk, five to push, who plays well, and what explains the scores."""
    config = _config_of(results)
    near, far = min(config.sights), max(config.sights)
    made = []
    for task in ("pursuit", "foraging"):
        wide, narrow = (_arm(config, results[task], s, hearing=True) for s in (far, near))
        made.append(
            claim(
                NAME,
                f"{task}: a view of {2 * far + 1} earns {SIGHT} times that of {2 * near + 1}",
                f"{SIGHT} × view {2 * near + 1}",
                statistics.compare(wide, SIGHT * narrow),
                at_least=0.0,
                judge="interval",
            )
        )
    talk, mute = (
        _arm(config, results["synchronization"], 2, hearing=hearing) for hearing in (True, False)
    )
    made += [
        claim(
            NAME,
            f"synchronization: without memory, messages earn {TALK} times as much",
            f"{TALK} × no messages",
            statistics.compare(talk, TALK * mute),
            at_least=0.0,
            judge="interval",
        ),
        claim(
            NAME,
            "synchronization: whoever can count needs neither sight nor messages, nor the round",
            "one point per round",
            statistics.summarize(results["counting"]),
            at_least=CLOCK,
            control=True,
        ),
        claim(
            NAME, "transport: random moves earn nothing", "0",
            statistics.summarize(results["transport"]["scores"][-1]), at_most=0.0,
        ),
        claim(
            NAME, "transport: four behind the box do not move it", "0 cells",
            float(results["box"][:4].max()), at_most=0.0,
        ),
        claim(
            NAME, "transport: five do", "1 cell", float(results["box"][4]), at_least=1.0,
        ),
    ]  # fmt: skip
    for task in swarmbench.TASKS:
        scripted = _arm(config, results[task], far, hearing=True)
        made.append(
            claim(
                NAME,
                f"{task}: the script beats chance",
                "random moves",
                statistics.compare(scripted, results[task]["scores"][-1]),
                at_least=0.0,
                judge="interval",
                control=True,
            )
        )
    for task in LEARNT:
        learnt = results[task]["learnt"]
        arms = {"random moves": results[task]["scores"][-1]}
        arms["the script with the same view"] = _arm(config, results[task], 2, hearing=True)
        for name, arm in arms.items():
            made.append(
                claim(
                    NAME,
                    f"{task}: the trained network beats {name}",
                    name,
                    statistics.compare(learnt, np.full_like(learnt, arm.mean())),
                    at_least=0.0,
                    judge="interval",
                    note="against the mean of all seeds",
                )
            )
    difference = explained(results, MOTION) - explained(results, SPEECH)
    made.append(
        claim(
            NAME,
            "how the swarm moves explains more of its score than how much it talks",
            "adjusted R² of the amount of talk",
            statistics.summarize(difference),
            at_least=0.0,
            judge="interval",
            note="over the five tasks; what is said is not looked at",
        )
    )
    return made


def _config_of(results: dict[str, Any]) -> Config:
    """Which of the scales these results are of, by their arms and seeds."""
    arms, seeds = results["pursuit"]["scores"].shape
    return next(c for c in SCALES.values() if len(conditions(c)) == arms and c.seeds == seeds)


def plot(results: dict[str, Any], path: Path) -> None:
    """Scores against sight for each task, with and without messages, and where learners end."""
    config = _config_of(results)
    views = np.array([2 * sight + 1 for sight in config.sights])
    grid = plotting.panels(2, 3, width=4.6, height=3.8)
    titles = {
        "pursuit": "Pursuit: sight pays",
        "synchronization": "Synchronization: counting aloud is all",
        "foraging": "Foraging: sight pays",
        "flocking": "Flocking: sight is not needed",
        "transport": "Transport: sight pays, talk helps the blind",
    }
    for column, task in enumerate(swarmbench.TASKS):
        found = results[task]
        series = {
            name: np.stack([_arm(config, found, s, hearing=hearing) for s in config.sights], axis=1)
            for name, hearing in (("with messages", True), ("without", False))
        }
        ax = plotting.curves(
            series,
            views,
            title=titles[task],
            xlabel="cells in view, k of k × k",
            ylabel="score of an episode, median and quartiles",
            ax=grid[divmod(column, 3)],
        )
        ax.set_xticks(views)
        chance = found["scores"][-1].mean()
        ax.axhline(chance, color="#9A9A9A", linestyle=(0, (4, 3)))
        ax.annotate("random moves", (views[0], chance), color="#666666", va="bottom", fontsize=9)
        if "learnt" in found:
            x = np.full(len(found["learnt"]), config.learner_view)
            color = plotting.PALETTE[3]
            ax.plot(x, found["learnt"], "D", color=color, markersize=5)
            ax.annotate("  trained", (x[0], found["learnt"].max()), color=color, va="center")
    ax = grid[1, 2]
    place = np.arange(len(swarmbench.TASKS))
    for shift, (name, names) in enumerate((("motion", MOTION), ("amount of talk", SPEECH))):
        ax.barh(
            place + 0.38 * shift - 0.19,
            explained(results, names),
            height=0.36,
            color=plotting.PALETTE[shift],
            label=name,
        )
    ax.set_yticks(place, list(swarmbench.TASKS))
    ax.invert_yaxis()
    ax.set_title("How they move explains the scores", loc="left", fontsize=13)
    ax.set_xlabel("adjusted R² over all episodes")
    ax.legend(frameon=False, fontsize=9)
    plotting.save(grid[0, 0], path)


if __name__ == "__main__":
    harness.main(__name__)
