"""Vanishing variance: averaging independent networks stalls learning; rescaling cures it.

Agents on a random regular graph train a tanh network on digits and average conservatively with
their neighbours after every step. Averaging ``M`` uncorrelated layers divides their weight variance
by about ``M`` and undoes Xavier's initialisation, so learning waits on a plateau until the networks
have become correlated. The cure rescales every averaged layer to its contributors' variance. Two
controls: from one common start the problem is absent, and a server that averages *different* starts
stalls like gossip (federated learning's immunity is its common model, not its server).

What stands in for what: digits and a multi-layer perceptron for MNIST and LeNet-5; all agents step
in lockstep instead of at random ticks.
"""

import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

if __name__ == "__main__":  # run as a file: find the packages from the repository root
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from experiments import harness
from experiments.harness import Claim, Paper, claim
from jaxswarm import agents, data, gossip, learning, models, plotting, rollout, statistics, topology

NAME = "variance_correction"
TITLE = "Averaging uncorrelated networks kills their variance; restoring it restores learning"
PAPER = Paper(
    "Y. Tian et al.",
    "Vanishing Variance Problem in Fully Decentralized Neural-Network Systems",
    2024,
)

TARGET = 0.8
"""Test accuracy whose first tick is timed."""


@dataclass(frozen=True)
class Config:
    """Sizes; every arm shares them."""

    seed: int = 0
    seeds: int = 5
    agents: int = 32
    degree: int = 8  # of the random regular graph
    ticks: int = 400  # one local step and one average each
    self_weight: float = 0.5  # what an agent keeps of its own model
    lr: float = 0.05
    momentum: float = 0.0
    batch: int = 16
    hidden: tuple[int, ...] = (64, 64)
    alpha: float = 0.5  # Dirichlet concentration of the non-IID arms
    data: str = "digits"
    path: Path | None = None  # folder of MNIST-like files, for --data mnist
    every: int = 2  # ticks between two records


SCALES = {
    "smoke": Config(seeds=2, agents=10, degree=4, ticks=60, hidden=(32,), lr=0.2),
    "small": Config(),
    "full": Config(seeds=10, agents=256, ticks=3000, hidden=(128, 128), every=10),
}


class Arm(NamedTuple):
    """One way to average, from one kind of start, on one kind of data."""

    averaging: str  # "plain" or "corrected" over the graph, or "server"
    self_weight: float  # what an agent keeps of its own model
    shared: bool = False
    iid: bool = True


def arms_of(config: Config) -> dict[str, Arm]:
    """The arms by name."""
    keep = config.self_weight
    return {
        "isolated": Arm("plain", 1.0),
        "plain": Arm("plain", keep),
        "corrected": Arm("corrected", keep),
        "plain, one start": Arm("plain", keep, shared=True),
        "server, one start": Arm("server", 1.0 / config.agents, shared=True),
        "server, own starts": Arm("server", 1.0 / config.agents),
        "plain, non-IID": Arm("plain", keep, iid=False),
        "corrected, non-IID": Arm("corrected", keep, iid=False),
    }


def run(config: Config, progress: Callable[[str], None]) -> dict[str, Any]:
    """Accuracy, first-layer variance and pairwise correlation of every arm over ticks."""
    split = data.load(config.data, path=config.path)
    network = models.mlp(
        *config.hidden, split.train.num_classes, activation="tanh", initializer="xavier"
    )
    model = models.functional(network, split.train.features[:1])
    graph = gossip.mixing(topology.random_regular(config.agents, config.degree, seed=config.seed))
    operators = {
        "plain": graph,
        "corrected": graph,
        "server": gossip.everyone(config.agents),
    }
    samples = data.shards(split.train, data.iid(split.train.labels, 1))
    deals = _deals(config, split.train)

    def one_seed(
        averaging: str,
        self_weight: jax.Array,
        samples: data.Shards,
        test: data.Dataset,
        params: Any,
        key: jax.Array,
        deal: dict[str, jax.Array],
    ) -> Any:
        rule = gossip.variance_corrected(
            operators[averaging], self_weight=self_weight, correct=averaging == "corrected"
        )
        learner = learning.decentralized(
            learning.classification_loss(model),
            local=optax.sgd(config.lr, momentum=config.momentum or None),
            gossip=rule,
            sample=data.minibatches(config.batch),
        )
        evaluate = learning.evaluation(model, test)

        def look(state: learning.LearnerState) -> dict[str, jax.Array]:
            kernel = _first_kernel(state.params)
            return {
                "accuracy": jnp.mean(evaluate(state).accuracy),
                "variance": jnp.mean(gossip.layer_variance(kernel)),
                "correlation": _correlation(kernel),
            }

        start = learner.init(params)
        before = look(start)
        _, records = rollout(
            learner.step,
            start,
            config.ticks,
            key=key,
            inputs=replace(samples, **deal),
            every=config.every,
            evaluate=look,
        )
        return jax.tree.map(
            lambda first, rest: jnp.concatenate([first[None], rest]), before, records.evaluation
        )

    results: dict[str, Any] = {
        "tick": np.arange(config.ticks // config.every + 1) * config.every,
        "agents": config.agents,
        "degree": config.degree,
        "self_weight": config.self_weight,
        "arms": {},
    }
    base = jax.random.key(config.seed)
    keys = jax.vmap(lambda seed: jax.random.split(jax.random.fold_in(base, seed)))(
        jnp.arange(config.seeds)
    )
    initialize = jax.jit(jax.vmap(lambda key: agents.initialize(key, model.init, config.agents)))
    own = initialize(keys[:, 0])
    common = jax.tree.map(lambda leaf: jnp.broadcast_to(leaf[:, :1], leaf.shape), own)
    many = jax.jit(jax.vmap(one_seed, (None, None, None, None, 0, 0, 0)), static_argnums=0)
    for name, arm in arms_of(config).items():
        progress(name)
        curves = many(
            arm.averaging,
            jnp.float32(arm.self_weight),
            samples,
            split.test,
            common if arm.shared else own,
            keys[:, 1],
            deals[arm.iid],
        )
        results["arms"][name] = jax.tree.map(np.asarray, curves)
    progress("one average of independent models")

    def shrinkage(kernel: jax.Array) -> jax.Array:
        averaged = gossip.layer_variance(jnp.mean(kernel, axis=0, keepdims=True))[0]
        return averaged / jnp.mean(gossip.layer_variance(kernel))

    seeds = jax.vmap(lambda seed: jax.random.fold_in(base, seed))(jnp.arange(config.seeds))
    kernels = _first_kernel(initialize(seeds))
    results["shrinkage"] = np.asarray(jax.vmap(shrinkage)(kernels))
    return results


def _deals(config: Config, train: data.Dataset) -> dict[bool, dict[str, jax.Array]]:
    """Every seed's own partition, IID and not: ``indices``, ``mask`` ``[S, N, M]``, ``counts``."""
    seeds = [config.seed * 1000 + index for index in range(config.seeds)]
    dealt = {
        True: [data.iid(train.labels, config.agents, seed=seed) for seed in seeds],
        False: [
            data.dirichlet_over_agents(train.labels, config.agents, seed=seed, alpha=config.alpha)
            for seed in seeds
        ],
    }
    width = max(part.capacity for parts in dealt.values() for part in parts)

    def widened(array: Any) -> np.ndarray:
        return np.pad(np.asarray(array), ((0, 0), (0, width - np.shape(array)[1])))

    return {
        iid: {
            "indices": jnp.stack([widened(part.indices) for part in parts]),
            "mask": jnp.stack([widened(part.mask) for part in parts]),
            "counts": jnp.stack([np.asarray(part.counts) for part in parts]),
        }
        for iid, parts in dealt.items()
    }


def _first_kernel(params: Any) -> jax.Array:
    return params["Dense_0"]["kernel"]


def _correlation(kernel: jax.Array) -> jax.Array:
    """Mean correlation of the weights of two different agents, over all pairs, in O(N P)."""
    flat = kernel.reshape(kernel.shape[0], -1)
    flat = flat - jnp.mean(flat, axis=1, keepdims=True)
    unit = flat / jnp.linalg.norm(flat, axis=1, keepdims=True)
    n = kernel.shape[0]
    return (jnp.sum(jnp.square(jnp.sum(unit, axis=0))) - n) / (n * (n - 1))


def claims(results: dict[str, Any]) -> list[Claim]:
    """The bar, with thresholds fixed before the run."""
    arms, tick = results["arms"], results["tick"]
    last = float(tick[-1])

    def ticks(name: str) -> np.ndarray:
        """First tick at the target; the length of the run where it never came."""
        first = statistics.time_to_target(arms[name]["accuracy"], TARGET, tick)
        return np.minimum(first, last)

    def variance(name: str) -> np.ndarray:
        """Relative to the start, over the first 20 ticks, ``[S, T]``."""
        curve = arms[name]["variance"]
        return (curve / curve[:, :1])[:, tick <= 20]

    def ratio(slow: str, fast: str) -> statistics.Summary:
        return statistics.summarize(ticks(slow) / ticks(fast))

    shrunk = np.abs(results["shrinkage"] * results["agents"] - 1.0)
    never = f"ticks to {TARGET:.0%}; a run that never gets there counts as its length, {last:g}"
    return [
        claim(
            NAME,
            "one uniform average of M independent models has 1/M of their variance (rel. error)",
            "initial variance / M",
            statistics.summarize(shrunk),
            at_most=0.1,
        ),
        claim(
            NAME,
            "plain averaging kills the first layer's variance within 20 ticks (share left)",
            "initial variance",
            statistics.summarize(variance("plain").min(axis=1)),
            at_most=0.1,
        ),
        claim(
            NAME,
            "corrected averaging never loses it (smallest share within 20 ticks)",
            "initial variance",
            statistics.summarize(variance("corrected").min(axis=1)),
            at_least=0.8,
        ),
        claim(
            NAME,
            "… nor inflates it (largest share within 20 ticks)",
            "initial variance",
            statistics.summarize(variance("corrected").max(axis=1)),
            at_most=1.25,
        ),
        claim(
            NAME,
            "plain averaging needs so many times the ticks of corrected averaging",
            "corrected",
            ratio("plain", "corrected"),
            at_least=4.0,
            note=never,
        ),
        claim(
            NAME,
            "corrected averaging needs so many times the ticks of a server with a common start",
            "server, one start",
            ratio("corrected", "server, one start"),
            at_most=1.5,
            note=never,
        ),
        claim(
            NAME,
            "the order stands on non-IID data: plain over corrected, ticks",
            "corrected, non-IID",
            ratio("plain, non-IID", "corrected, non-IID"),
            at_least=4.0,
            note=never,
        ),
        claim(
            NAME,
            "from one start plain averaging is as fast as corrected from many (ticks, ratio)",
            "corrected",
            ratio("plain, one start", "corrected"),
            at_most=1.5,
            control=True,
            note=never,
        ),
        claim(
            NAME,
            "a server that averages different starts stalls too (ticks, ratio)",
            "server, one start",
            ratio("server, own starts", "server, one start"),
            at_least=4.0,
            control=True,
            note=never,
        ),
    ]


def plot(results: dict[str, Any], path: Path) -> None:
    """Accuracy and first-layer variance over ticks."""
    arms, tick = results["arms"], results["tick"]
    left, right = np.ravel(plotting.panels(1, 2, width=5.8, height=4.2))
    shown = ("corrected", "server, one start", "plain, one start", "isolated", "plain")
    plotting.curves(
        {name: arms[name]["accuracy"] for name in (*shown, "server, own starts")},
        tick,
        xlabel="tick",
        title="a plateau, and no plateau",
        ylabel="test accuracy, mean over agents",
        ax=left,
    )
    share = {name: arms[name]["variance"] / arms[name]["variance"][:, :1] for name in shown}
    plotting.curves(
        share,
        tick,
        xlabel="tick",
        title="variance of the first layer's weights",
        ylabel="share of the initial variance; dotted: 1/N",
        log=True,
        ax=right,
    )
    right.axhline(1.0 / results["agents"], color="#9A9A9A", linestyle=":", zorder=1)
    plotting.save(left, path)


if __name__ == "__main__":
    harness.main(__name__)
