"""Hubs vanish from a Barabási–Albert network: does the loss of links hurt, or the loss of data?

DecAvg on digits: every agent starts from its own random model, averages with its neighbours, then
trains. At round ``at`` a share of the agents disappears with all their links. Arms differ in who
vanishes (the hubs, or as many at random) and in whether the vanished ones held data:

* *connectivity*: they never held any; their share of the data was dealt to the others, so that the
  total is the same; only links are lost;
* *connectivity and data*: they hold the same share as everyone, and it vanishes with them;
* *disproportionate*: they hold four times the share (an extension of the later study).

Neighbourhoods are averaged uniformly: weighing by data would silence data-less hubs
(``--weighting size`` shows it). Different models to start from are the paper's setting and
a confound of its own (averaging independent models kills their variance), so every arm is run again
from one common model. Scores are of the survivors only.

The original code is not public; sizes, rates and rounds are ours. Local training is ten SGD steps a
round at rate 0.3, chosen on other seeds so that the undisturbed network learns in the rounds given
(with five full-batch steps at 0.2 it was still on the plateau of averaged strangers at the end).

References:
    L. Palmieri, C. Boldrini, L. Valerio, A. Passarella, M. Conti, J. Kertész, Exploring the impact
    of disrupted peer-to-peer communications on fully decentralized learning in disaster scenarios,
    2023; Robustness of decentralised learning to nodes and data disruption, 2024 (extensions).
"""

import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

if __name__ == "__main__":  # run as a file: find the packages from the repository root
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from experiments import disrupted_arms as arms_of
from experiments import harness
from experiments.harness import Claim, Paper, claim
from jaxswarm import (
    agents,
    data,
    learning,
    models,
    network,
    plotting,
    rollout,
    statistics,
    topology,
)
from jaxswarm.systems import disrupted

NAME = "disrupted"
TITLE = "Losing hubs costs a network its links far more than its data"
PAPER = Paper(
    "L. Palmieri et al.",
    "Exploring the Impact of Disrupted Peer-to-Peer Communications on Fully Decentralized Learning "
    "in Disaster Scenarios",
    2023,
)

# Fixed before the measured run.
LINKS_OVER_DATA = 3.0  # loss of links, in units of the additional loss of data
RANDOM_SHARE = 0.5  # of the hubs' damage, at most
KEPT = 0.8  # of the undisrupted accuracy, for m = 2 and a tenth of the agents
OVER_LOCAL = 0.05  # accuracy of the giant component over training alone
LATER = -0.01  # a later disaster is never worse by more


@dataclass(frozen=True)
class Config:
    """Sizes; every arm shares them."""

    agents: int = 50
    samples: int = 8  # per agent
    attachments: tuple[int, ...] = (1, 2)  # links of a new node of the Barabási–Albert graph
    shares: tuple[float, ...] = (0.1, 0.2)  # of the agents that vanish
    times: tuple[int, ...] = (5, 20, 40)  # when; the first one for all claims but the last
    rounds: int = 60
    local_steps: int = 10
    batch: int = 8  # drawn with replacement from an agent's own samples
    lr: float = 0.3
    hidden: tuple[int, ...] = (64, 64)
    weighting: str = "uniform"  # or "size"
    data: str = "digits"
    path: Path | None = None  # folder of MNIST-like files, for --data mnist
    every: int = 5
    seeds: int = 5
    seed: int = 0

    def __post_init__(self) -> None:
        if not self.shares or not all(0.0 < share < 1.0 for share in self.shares):
            raise ValueError(f"shares: expected shares in (0, 1), got {self.shares}")
        if len(self.times) < 2 or not all(0 <= at < self.rounds for at in self.times):
            raise ValueError(
                f"times: expected two or more rounds below {self.rounds}, got {self.times}"
            )
        if self.rounds % self.every:
            raise ValueError(f"every: expected a divisor of {self.rounds}, got {self.every}")


SCALES = {
    "smoke": Config(
        agents=16, attachments=(2,), shares=(0.2,), times=(2, 5), rounds=10, hidden=(16,), seeds=2
    ),
    "small": Config(),
    "full": Config(
        agents=1000, shares=(0.1,), times=(5, 15), rounds=30, every=10, seeds=2,
    ),
}  # fmt: skip


def run(config: Config, progress: Callable[[str], None]) -> dict[str, Any]:
    """Accuracy of every agent over rounds, and who survived, for every arm."""
    split = data.load(config.data, path=config.path)
    model = models.functional(
        models.mlp(*config.hidden, split.train.num_classes), split.train.features[:1]
    )
    seeds = range(config.seeds)
    n = config.agents
    samples = data.shards(split.train, data.iid(split.train.labels, 1))
    key = jax.random.key(config.seed)
    keys = jnp.stack([jax.random.fold_in(key, seed) for seed in seeds])
    own = jax.jit(jax.vmap(lambda k: agents.initialize(k, model.init, n)))(keys)
    common = jax.tree.map(lambda leaf: jnp.broadcast_to(leaf[:, :1], leaf.shape), own)

    def one_seed(
        samples: Any, test: data.Dataset, W: Any, doomed: Any, at: Any, deal: Any, params: Any,
        key: jax.Array,
    ) -> jax.Array:  # fmt: skip
        evaluate = learning.evaluation(model, test, chunk=min(n, 250))
        learner = disrupted.decavg(
            learning.classification_loss(model),
            W,
            local=optax.sgd(config.lr),
            local_steps=config.local_steps,
            sample=data.minibatches(config.batch),
            network=network.disaster(doomed, at),
        )
        _, records = rollout(
            learner.step,
            learner.init(params),
            config.rounds,
            key=key,
            inputs=replace(samples, **deal),
            every=config.every,
            evaluate=lambda state: evaluate(state).accuracy,
        )
        return records.evaluation

    many = jax.jit(jax.vmap(one_seed, (None, None, 0, 0, None, 0, 0, 0)))
    nobody = np.zeros((config.seeds, n), bool)
    results: dict[str, Any] = {
        "round": np.arange(config.every, config.rounds + 1, config.every),
        "arms": {},
    }

    def arm(
        name: str, W: Any, doomed: np.ndarray, at: int, deal: Any, params: Any, ids: Any
    ) -> None:
        accuracy = many(
            samples, split.test, W, jnp.asarray(doomed), jnp.int32(at), deal, params, keys
        )
        results["arms"][name] = {
            "accuracy": np.asarray(accuracy),  # [S, R, N]
            "alive": ~doomed,
            "component": ids,
        }

    for m in config.attachments:
        graphs = [topology.barabasi_albert(n, m, seed=config.seed * 1000 + seed) for seed in seeds]
        equal = arms_of.deals(config, split.train, [None] * config.seeds)
        layout = "dense" if n <= 512 else "segment"

        def operators(deal: Any, graphs: Any = graphs, layout: str = layout) -> Any:
            made = [
                disrupted.decavg_mixing(graph, config.weighting, counts, layout=layout)
                for graph, counts in zip(graphs, np.asarray(deal["counts"]), strict=True)
            ]
            return jax.tree.map(lambda *leaves: jnp.stack(leaves), *made)

        def islands(doomed: np.ndarray, graphs: Any = graphs) -> np.ndarray:
            return np.stack(
                [topology.components(g, ~who) for g, who in zip(graphs, doomed, strict=True)]
            )

        W = operators(equal)
        whole = islands(nobody)
        results["degrees"] = results.get("degrees", {}) | {
            f"m={m}": np.stack([np.asarray(g.in_degrees()) for g in graphs])
        }
        first = config.times[0]
        progress(f"m={m}, undisturbed")
        arm(f"m={m} undisturbed", W, nobody, 0, equal, own, whole)
        arm(f"m={m} undisturbed, common start", W, nobody, 0, equal, common, whole)
        arm(f"m={m} alone", arms_of.alone(W), nobody, 0, equal, own, whole)
        for share in config.shares:
            hubs = np.stack([np.asarray(network.hubs(graph, share)) for graph in graphs])
            random = np.stack(
                [
                    np.asarray(network.random_victims(jax.random.fold_in(k, 7), n, share))
                    for k in keys
                ]
            )
            redealt = arms_of.deals(config, split.train, hubs)
            heavy = arms_of.deals(config, split.train, hubs, heavier=4)
            bare = operators(redealt)
            name = f"m={m} q={share:g}"
            progress(name)
            cut = islands(hubs)
            arm(f"{name} links", bare, hubs, first, redealt, own, cut)
            arm(f"{name} links and data", W, hubs, first, equal, own, cut)
            arm(f"{name} random", W, random, first, equal, own, islands(random))
            arm(f"{name} links, common start", bare, hubs, first, redealt, common, cut)
            arm(f"{name} links and data, common start", W, hubs, first, equal, common, cut)
            if share == config.shares[0]:
                arm(f"{name} no removal, hubs bare", bare, nobody, 0, redealt, own, whole)
                arm(f"{name} disproportionate", operators(heavy), hubs, first, heavy, own, cut)
                for at in config.times[1:]:
                    arm(f"{name} links and data, at {at}", W, hubs, at, equal, own, cut)
    results["times"] = np.asarray(config.times)
    results["shares"] = np.asarray(config.shares)
    results["attachments"] = np.asarray(config.attachments)
    return results


def claims(results: dict[str, Any]) -> list[Claim]:
    """The bar, with thresholds fixed before the run."""
    arms = results["arms"]
    ms = [int(m) for m in results["attachments"]]
    shares = [float(q) for q in results["shares"]]
    times = [int(at) for at in results["times"]]

    def final(name: str, who: Any = None) -> np.ndarray:
        """Mean accuracy at the end over the survivors (or over ``who``), per seed."""
        arm = arms[name]
        counted = arm["alive"] if who is None else who
        last = arm["accuracy"][:, -1]
        return np.where(counted, last, 0.0).sum(axis=1) / counted.sum(axis=1)

    def kept_by(name: str, whole: str) -> np.ndarray:
        """The same agents, undisturbed: what the disaster took is not who it took."""
        return final(whole, arms[name]["alive"])

    made = []
    for start in ("", ", common start"):
        note = "from one common model; the confound, reported" if start else ""
        for m in ms:
            whole = f"m={m} undisturbed{start}"
            for q in (q for q in shares if q <= 0.2):
                links = f"m={m} q={q:g} links{start}"
                both = f"m={m} q={q:g} links and data{start}"
                lost = kept_by(links, whole) - final(links)
                more = final(links) - final(both)
                made.append(
                    claim(
                        NAME,
                        f"m={m}, q={q:g}: accuracy lost with the links alone, less three times "
                        "what the data adds",
                        "undisturbed",
                        statistics.summarize(lost - LINKS_OVER_DATA * more),
                        at_least=0.0,
                        note=note,
                    )
                )
    for m in ms:
        whole = f"m={m} undisturbed"
        for q in shares:
            hubs, random = f"m={m} q={q:g} links and data", f"m={m} q={q:g} random"
            harm = kept_by(hubs, whole) - final(hubs)
            chance = kept_by(random, whole) - final(random)
            made.append(
                claim(
                    NAME,
                    f"m={m}, q={q:g}: as many at random do at most half the hubs' harm "
                    "(random minus half)",
                    "the hubs' harm",
                    statistics.summarize(chance - RANDOM_SHARE * harm),
                    at_most=0.0,
                )
            )
    for m in (m for m in ms if m >= 2):
        name = f"m={m} q={min(shares):g} links and data"
        ratio = final(name) / kept_by(name, f"m={m} undisturbed")
        made.append(
            claim(
                NAME,
                f"m={m}, q={min(shares):g}: share of the undisturbed accuracy that survivors keep",
                "undisturbed",
                statistics.summarize(ratio),
                at_least=KEPT,
            )
        )
        giant = _giant(arms[name]["component"])
        made.append(
            claim(
                NAME,
                f"m={m}, q={min(shares):g}: survivors in the giant component over training alone",
                "alone",
                statistics.compare(final(name, giant), final(f"m={m} alone", giant)),
                at_least=OVER_LOCAL,
            )
        )
    for m in ms:
        for q in shares[:1]:
            names = [f"m={m} q={q:g} links and data"]
            names += [f"{names[0]}, at {at}" for at in times[1:]]
            steps = np.diff(np.stack([final(name) for name in names], axis=1), axis=1)
            made.append(
                claim(
                    NAME,
                    f"m={m}, q={q:g}: a later disaster is never worse (smallest mean step over "
                    f"rounds {', '.join(map(str, times))})",
                    "the disaster before",
                    statistics.summarize(steps[:, np.argmin(steps.mean(axis=0))]),
                    at_least=LATER,
                )
            )
    return made


def _giant(component: np.ndarray) -> np.ndarray:
    """``bool[S, N]``: who is in the largest component of the survivors."""
    found = np.zeros(component.shape, bool)
    for seed, labels in enumerate(component):
        found[seed] = labels == np.argmax(np.bincount(labels[labels >= 0]))
    return found


def plot(results: dict[str, Any], path: Path) -> None:
    """Survivors' accuracy over rounds, and what each kind of loss costs."""
    arms, at = results["arms"], float(results["times"][0])
    ms = [int(m) for m in results["attachments"]]
    q = float(results["shares"][0])
    panels = np.ravel(plotting.panels(1, len(ms), width=5.6, height=4.2))

    def curve(name: str, alive: np.ndarray) -> np.ndarray:
        accuracy = arms[name]["accuracy"]
        return np.where(alive[:, None], accuracy, 0.0).sum(-1) / alive.sum(-1)[:, None]

    for ax, m in zip(panels, ms, strict=True):
        name = f"m={m} q={q:g}"
        shown = {
            "undisturbed": f"m={m} undisturbed",
            "random agents": f"{name} random",
            "hubs without data": f"{name} links",
            "hubs with data": f"{name} links and data",
            "hubs with 4x data": f"{name} disproportionate",
            "training alone": f"m={m} alone",
        }
        alive = arms[f"{name} links"]["alive"]
        plotting.curves(
            {
                label: curve(key, arms[key]["alive"] if "random" in key else alive)
                for label, key in shown.items()
            },
            results["round"],
            title=f"m = {m}: {q:.0%} of the agents vanish in round {at:g}",
            ylabel="test accuracy of the survivors",
            ax=ax,
        )
        ax.axvline(at, color="#9A9A9A", linestyle=":", zorder=1)
    plotting.save(panels[0], path)


if __name__ == "__main__":
    harness.main(__name__)
