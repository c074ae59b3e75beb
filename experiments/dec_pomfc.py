"""Steering a swarm by decision rules: learnt with the mean field in sight, executed without it.

One policy sees the mean field of a simulated swarm and chooses, in every step, a decision rule for
all agents; PPO trains it. What it chose for one reference swarm is then a fixed sequence of rules,
which fresh swarms execute, each agent knowing its own observation only. Baselines learn one policy
for all agents directly in the finite swarm: IPPO, and a MAPPO-like variant whose critic sees the
mean field. All learners get the same environment steps, epochs and minibatches.

Arms that differ by a number share a program: the histogram rule is the kernel rule with vanishing
bandwidth (a law of the tests), IPPO is MAPPO with a mean field of zeros. Step sizes and λ were
chosen on other seeds, from six pairs for the upper level and four for the baselines. Swarms begin
within ±0.8 π: from perfect disorder the limit stays disordered, and no rule has a limit to reach.

References:
    K. Cui, S. Hauck, C. Fabian, H. Koeppl, Learning decentralized partially observable mean field
    control for artificial collective behavior, 2024. Its experiment section was not at hand: tasks'
    numbers and budgets are ours.
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
from jaxswarm import agents, collective, errors, plotting, rl, statistics
from jaxswarm.rollout import rollout

NAME = "dec_pomfc"
TITLE = "Decentralised partially observable mean-field control"
PAPER = Paper(
    "K. Cui, S. Hauck, C. Fabian, H. Koeppl",
    "Learning decentralized partially observable mean field control",
    2024,
)

ARMS = ("kernel", "histogram", "IPPO", "MAPPO")
NARROW = 1e-3  # a bandwidth in which the kernel rule is a histogram
GAIN = 1.5  # of the fixed rule whose swarms of all sizes are compared with the limit


@dataclass(frozen=True)
class Config:
    """Sizes; every learner of a task shares them."""

    tasks: tuple[str, ...] = ("kuramoto",)
    agents: int = 64  # N in training
    steps: int = 50  # T of an episode, and of one iteration's collection
    envs: int = 8
    iterations: int = 80
    epochs: int = 2
    minibatches: int = 4
    points: int = 5  # of a decision rule, per dimension of the observation
    bandwidth: float = 0.6
    hidden: int = 32
    lr: float = 5e-3
    upper_lambda: float = 0.3
    agent_lambda: float = 0.9
    discount: float = 0.97  # in training; returns are reported with 0.99
    width: float = 0.8  # of the headings at the start
    radius: float = 0.25
    swarms: int = 64  # executions per seed that a return is averaged over
    sizes: tuple[int, ...] = (8, 16, 32, 64, 128, 256)  # of the fixed rule
    chaos_radius: float = 0.35
    transfer: tuple[int, ...] = (16, 256)  # besides N
    seeds: int = 5
    seed: int = 0

    def __post_init__(self) -> None:
        for name in self.tasks:
            if name not in TASKS:
                raise errors.unknown("task", name, TASKS)
        if not self.tasks or len(self.sizes) < 2 or self.seeds < 2:
            raise ValueError(
                f"tasks, sizes, seeds: expected one, two and two at least, got {self.tasks}, "
                f"{self.sizes}, {self.seeds}"
            )


TASKS: dict[str, Callable[[Config, int], collective.SwarmTask]] = {
    "kuramoto": lambda c, n: collective.kuramoto(
        n, parameters=collective.HeadingParameters(width=c.width), radius=c.radius
    ),
    "vicsek": lambda c, n: collective.vicsek(
        n, parameters=collective.HeadingParameters(width=c.width, speed=0.03), radius=c.radius
    ),
    "aggregation": lambda c, n: collective.aggregation(n),
}

SCALES = {
    "smoke": Config(
        agents=8,
        steps=8,
        envs=2,
        iterations=2,
        points=3,
        hidden=8,
        swarms=4,
        sizes=(4, 8),
        transfer=(),
        seeds=2,
    ),
    "small": Config(),
    "full": Config(
        tasks=("kuramoto", "vicsek", "aggregation"),
        agents=200,
        iterations=150,
        envs=4,
        sizes=(8, 16, 32, 64, 128, 256, 512),
        transfer=(2, 8, 32, 1024),
    ),
}


def run(config: Config, progress: Callable[[str], None]) -> dict[str, Any]:
    """Returns of every task and arm, ``[seeds]``, and the fixed rule's in swarms of all sizes."""
    key = jax.random.key(config.seed)
    progress("propagation of chaos")
    results: dict[str, Any] = {"chaos": chaos(jax.random.fold_in(key, 0), config)}
    keys = agents.keys(jax.random.fold_in(key, 1), config.seeds)
    for name in config.tasks:
        task = TASKS[name](config, config.agents)
        progress(f"{name}: decision rules")
        upper = _upper(config, task, keys)
        progress(f"{name}: independent learners")
        flat = _agents(config, task, keys)
        progress(f"{name}: execution")
        returns = {}
        for n in sorted({config.agents, *config.transfer}):
            made = TASKS[name](config, n)
            carried = _program(lambda x, k, made=made: _execute(config, made, x, k))
            returns[str(n)] = carried(upper["numbers"], keys)
        results[name] = {
            "agents": config.agents,
            "curves": upper["curves"] | flat["curves"],
            "oracle": upper["oracle"],
            "returns": returns[str(config.agents)] | flat["returns"],
            "transfer": returns,
        }
    return jax.tree.map(np.asarray, results)


def chaos(key: jax.Array, config: Config) -> dict[str, Any]:
    """``bias [sizes, seeds]``: mean return of the fixed rule less that of infinitely many agents.

    Kuramoto on a disc; the limit is the density pushed forward, nothing is sampled.
    """
    physics = collective.HeadingParameters(width=config.width)

    def make(n: int) -> collective.SwarmTask:
        return collective.kuramoto(n, parameters=physics, radius=config.chaos_radius)

    rule = collective.kernel_rule(make(1), points=config.points)
    numbers = rule.numbers_of(lambda y: GAIN * y[1:], 0.1)
    limit = _program(
        lambda: collective.kuramoto_limit(rule, numbers, config.steps, physics, cells=512).returns
    )()
    runs = collective.convergence(
        make,
        rule,
        numbers,
        key,
        config.sizes,
        config.seeds * config.swarms,
        num_steps=config.steps,
        jit=_program,
    )
    means = {n: np.asarray(r).reshape(config.seeds, -1).mean(axis=1) for n, r in runs.items()}
    bias = np.stack([means[n] - float(limit) for n in config.sizes])
    return {"sizes": np.array(config.sizes), "bias": bias, "limit": float(limit)}


def _train(config: Config, env: Any, network: rl.Network, lam: float, key: jax.Array) -> Any:
    """One seed of PPO; returns parameters and the mean episode return of eight stretches."""
    algorithm = rl.ppo(
        env,
        network,
        num_envs=config.envs,
        num_steps=config.steps,
        epochs=config.epochs,
        minibatches=config.minibatches,
        parameters=rl.PPOParameters(lr=config.lr, gae_lambda=lam, discount=config.discount),
    )
    params = rl.initialize(jax.random.fold_in(key, 0), network, env.num_agents, shared=True)
    state = algorithm.init(params, jax.random.fold_in(key, 1))
    state, records = rollout(
        algorithm.step, state, config.iterations, key=jax.random.fold_in(key, 2)
    )
    return state.params, records.info.finished.episode_return.mean(axis=1)


def _upper(config: Config, task: collective.SwarmTask, keys: jax.Array) -> dict[str, Any]:
    """Train the upper level with both rules; the open-loop sequences it ends with."""
    rule = collective.kernel_rule(task, points=config.points)
    problem = collective.MeanFieldControl(task, rule, time_limit=config.steps)
    network = rl.network_for(problem, widths=(config.hidden,), initial_std=0.5)

    def one(bandwidth: jax.Array, key: jax.Array) -> tuple[jax.Array, ...]:
        rule = collective.kernel_rule(task, points=config.points, bandwidth=bandwidth)
        env = problem.with_rule(rule)
        params, curve = _train(config, env, network, config.upper_lambda, key)
        acts = rl.policy(network, shared=True, deterministic=True)
        again = agents.keys(jax.random.fold_in(key, 3), 8)
        chosen = jax.vmap(lambda k: collective.open_loop(env, acts, k, params=params))(again)
        oracle = chosen.rewards @ _discounts(config)
        return chosen.numbers[0], curve, oracle.mean()

    widths = jnp.array([config.bandwidth, NARROW])
    train = _program(jax.vmap(jax.vmap(one, (None, 0)), (0, None)))
    numbers, curves, oracle = train(widths, keys)
    return {
        "numbers": numbers,
        "curves": dict(zip(ARMS[:2], curves, strict=True)),
        "oracle": dict(zip(ARMS[:2], oracle, strict=True)),
    }


def _agents(config: Config, task: collective.SwarmTask, keys: jax.Array) -> dict[str, Any]:
    """Train one policy for all agents, critics without and with the mean field; evaluate it."""
    whole = collective.kernel_features(task)
    swarm = collective.FiniteSwarm(task, mean_field=whole, time_limit=config.steps)
    network = rl.network_for(swarm, widths=(config.hidden,), initial_std=0.5, critic="global")

    def one(sees: jax.Array, key: jax.Array) -> tuple[jax.Array, jax.Array]:
        seen = collective.MeanField(whole.size, lambda state: sees * whole.of(state))
        env = swarm.with_mean_field(seen)
        params, curve = _train(config, env, network, config.agent_lambda, key)
        acts = rl.policy(network, shared=True, deterministic=True)
        returns = rl.evaluate(
            env, acts, jax.random.fold_in(key, 4), config.swarms, params=params, discount=0.99
        )
        return curve, returns[:, 0].mean()

    train = _program(jax.vmap(jax.vmap(one, (None, 0)), (0, None)))
    curves, returns = train(jnp.array([0.0, 1.0]), keys)
    return {
        "curves": dict(zip(ARMS[2:], curves, strict=True)),
        "returns": dict(zip(ARMS[2:], returns, strict=True)),
    }


def _execute(
    config: Config, task: collective.SwarmTask, numbers: jax.Array, keys: jax.Array
) -> dict[str, Any]:
    """Fresh swarms of this size carry out the sequences, and one that does nothing."""

    def one(bandwidth: jax.Array, sequence: jax.Array, key: jax.Array) -> jax.Array:
        rule = collective.kernel_rule(task, points=config.points, bandwidth=bandwidth)
        swarms = agents.keys(jax.random.fold_in(key, 5), config.swarms)
        once = jax.vmap(lambda k: collective.execute(task, rule, sequence, k).returns)
        return once(swarms).mean()

    rule = collective.kernel_rule(task, points=config.points)
    idle = rule.numbers_of(lambda y: jnp.zeros(len(task.action_bounds[0])), 0.0)
    idle = jnp.broadcast_to(idle, numbers.shape[1:])
    widths = jnp.array([config.bandwidth, NARROW, config.bandwidth])
    every = jnp.concatenate([numbers, idle[None]])
    found = jax.lax.map(lambda x: jax.vmap(one, (None, 0, 0))(*x, keys), (widths, every))
    return dict(zip((*ARMS[:2], "uncontrolled"), found, strict=True))


def _program(fn: Callable[..., Any]) -> Callable[..., Any]:
    """``jit`` that compiles in half the time; on a CPU the result runs as fast."""
    quick = {"xla_backend_optimization_level": 1} if jax.default_backend() == "cpu" else None
    return jax.jit(fn, compiler_options=quick)


def _discounts(config: Config) -> jax.Array:
    return 0.99 ** jnp.arange(config.steps)


def scores(found: dict[str, Any], returns: dict[str, Any]) -> dict[str, np.ndarray]:
    """0 for the swarm left alone, 1 for the optimum (which no start from disorder reaches).

    The best reward of all three tasks is 0.
    """
    idle = np.asarray(found["returns"]["uncontrolled"])
    return {arm: 1.0 - np.asarray(value) / idle for arm, value in returns.items()}


def slopes(results: dict[str, Any]) -> np.ndarray:
    """``[seeds]``: exponents of the bias in the swarm's size."""
    x, bias = np.log(results["chaos"]["sizes"]), np.abs(results["chaos"]["bias"])
    return np.array([np.polyfit(x, np.log(bias[:, s]), 1)[0] for s in range(bias.shape[1])])


def claims(results: dict[str, Any]) -> list[Claim]:
    """Propagation of chaos, kernels against bins, learning by rules against agents' own."""
    bias = np.abs(results["chaos"]["bias"])
    sizes = results["chaos"]["sizes"]
    exponent = statistics.summarize(slopes(results))
    left = statistics.summarize(bias[-1] / bias[0])
    limit = "the density's return"
    made = [
        claim(NAME, "the bias of J^N falls at least as N^-0.4", limit, exponent, at_most=-0.4),
        claim(NAME, "the bias of J^N falls at most as N^-1.1", limit, exponent, at_least=-1.1),
        claim(
            NAME,
            f"the bias at N = {sizes[-1]} is a quarter of that at {sizes[0]} or less",
            limit,
            left,
            at_most=0.25,
        ),
    ]
    for name, found in results.items():
        if name == "chaos":
            continue
        score = scores(found, found["returns"])
        oracle = scores(found, found["oracle"])["kernel"]
        made += [
            claim(
                NAME,
                f"{name}: kernel rules earn no less than histogram rules",
                "histogram",
                statistics.compare(score["kernel"], score["histogram"]),
                at_least=0.0,
                note="share of the way from uncontrolled to the optimum",
            ),
            *(
                claim(
                    NAME,
                    f"{name}: {arm} rules are twice as near to the optimum as no control",
                    "uncontrolled",
                    statistics.summarize(score[arm]),
                    at_least=0.5,
                    note="share of the way from uncontrolled to the optimum",
                )
                for arm in ARMS[:2]
            ),
            *(
                claim(
                    NAME,
                    f"{name}: decision rules earn 0.9 of {arm} or more",
                    f"0.9 of {arm}",
                    statistics.compare(score["kernel"], 0.9 * score[arm]),
                    at_least=0.0,
                    note="share of the way from uncontrolled to the optimum",
                )
                for arm in ARMS[2:]
            ),
            claim(
                NAME,
                f"{name}: without the mean field, rules keep 0.9 of what they earn with it",
                "0.9 of the policy that sees the mean field",
                statistics.compare(score["kernel"], 0.9 * oracle),
                at_least=0.0,
                control=True,
                note="the policy that sees it is an oracle",
            ),
        ]
    return made


def plot(results: dict[str, Any], path: Path) -> None:
    """Bias against size; learning curves; returns of the sequences in swarms of other sizes."""
    names = [name for name in results if name != "chaos"]
    grid = plotting.panels(1, 1 + 2 * len(names), width=5.2, height=4.0)
    sizes, bias = results["chaos"]["sizes"], np.abs(results["chaos"]["bias"])
    ax = plotting.curves(
        {"measured": bias.T},
        sizes,
        title=f"A fixed rule's bias falls as N^{slopes(results).mean():.2f}",
        xlabel="swarm size N",
        ylabel="|mean return − return of the limit|",
        log=True,
        band=(0.0, 100.0),
        ax=grid[0, 0],
    )
    ax.plot(sizes, bias[0].mean() * sizes[0] / sizes, "--", color="#9A9A9A", linewidth=1.2)
    ax.annotate("1/N", (sizes[-1], bias[0].mean() * sizes[0] / sizes[-1]), color="#666666")
    ax.set_xscale("log", base=2)
    for column, name in enumerate(names):
        found = results[name]
        idle = float(found["returns"]["uncontrolled"].mean())
        plotting.curves(
            {arm: found["curves"][arm] for arm in ARMS},
            xlabel="iteration",
            ylabel="episode return in training, median and quartiles of seeds",
            title=f"{name}: four learners, one budget",
            ax=grid[0, 1 + 2 * column],
        )
        ax = grid[0, 2 + 2 * column]
        series = {}
        numbers = sorted(int(n) for n in found["transfer"])
        for arm in (*ARMS[:2], "uncontrolled"):
            series[arm] = np.stack([found["transfer"][str(n)][arm] for n in numbers], axis=1)
        n = int(found["agents"])
        title = f"{name}: rules learnt at N = {n} carry over to other sizes"
        plotting.curves(
            series,
            np.array(numbers),
            xlabel="swarm size N",
            ylabel="discounted return, agents without the mean field",
            title=title,
            ax=ax,
        )
        ax.set_xscale("log", base=2)
        for arm, mark, color in (("IPPO", "s", 2), ("MAPPO", "D", 3)):
            value = float(found["returns"][arm].mean())
            ax.plot([n], [value], mark, color=plotting.PALETTE[color], label=arm, markersize=7)
        ax.axhline(0.5 * idle, color="#9A9A9A", linewidth=1.0, linestyle=(0, (4, 3)))
        ax.legend(*_marks(ax), frameon=False, fontsize=10, loc="center left")
    plotting.save(grid[0, 0], path)


def _marks(ax: Any) -> tuple[list[Any], list[str]]:
    handles, labels = ax.get_legend_handles_labels()
    chosen = [(h, label) for h, label in zip(handles, labels, strict=True) if "PPO" in label]
    return [h for h, _ in chosen], [label for _, label in chosen]


if __name__ == "__main__":
    harness.main(__name__)
