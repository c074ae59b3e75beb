"""SybilWall: a Sybil attacker on a geometric network, against rules that only see neighbours.

40 honest agents with very unlike data train softmax regression on digits and gossip. One attacker
trains a poisoned model and tells it from as many identities as it takes to reach the given density
``φ`` of attack edges (edges to Sybils per honest agent). Label flipping calls 0 a 1 and 1 a 0; the
backdoor calls everything with a stamped corner a 1. The score of an attack is the share of the
attacked test samples that honest agents give the attacker's label.

The attacker takes the plain average of what its victims tell it. To flip labels it holds a share of
the data like everyone's and all samples of both classes; for the backdoor the whole training set,
half of it stamped. (A pilot gave it the whole set for both, which drowned the flipped classes: that
attack did nothing to anybody.)

Scenarios are members of one batch of graphs, so that each rule is one program for all attacks,
densities and seeds. ``--history displacement`` compares movements instead of models
(:mod:`jaxswarm.systems.sybilwall`); for linear models that start from zero both agree.

References:
    T. Werthenbach, J. Pouwelse, Towards Sybil resilience in decentralized learning, 2023.
"""

import functools
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

if __name__ == "__main__":  # run as a file: find the packages from the repository root
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from experiments import harness
from experiments.harness import Claim, Paper, claim
from jaxswarm import (
    agents,
    data,
    errors,
    gossip,
    learning,
    models,
    plotting,
    rollout,
    statistics,
    sweep,
    topology,
)
from jaxswarm.gossip import robust
from jaxswarm.systems import sybilwall

NAME = "sybilwall"
TITLE = "Histories that travel let neighbours recognise a Sybil's copies"
PAPER = Paper(
    "T. Werthenbach and J. Pouwelse", "Towards Sybil Resilience in Decentralized Learning", 2023
)

# Fixed before the first run.
OF_AVERAGING = 0.5  # SybilWall's mean attack score, as a share of averaging's
COST = 0.05  # accuracy without attack, below averaging's
BLIND = 1.5  # without travelling histories the score at density 1 is this many times as high

ATTACKS = ("label flip", "backdoor")
RULES = (
    "averaging",
    "median",
    "krum",
    "multi-krum",
    "foolsgold",
    "sybilwall, no travel",
    "sybilwall",
)


@dataclass(frozen=True)
class Config:
    """Sizes; every arm shares them."""

    honest: int = 40
    radius: float = 0.22  # of the geometric graph in the unit square
    degree: int = 6  # at most, and at most as many victims of one Sybil
    densities: tuple[float, ...] = (0.5, 1.0, 2.0)  # attack edges per honest agent
    alpha: float = 0.1  # Dirichlet concentration of every class over the agents
    rounds: int = 40
    local_steps: int = 5
    batch: int = 8
    lr: float = 0.1
    patch: int = 3  # side of the backdoor's square
    history: str = "model"
    traveled: int = 32  # slots for records of non-neighbours
    rules: tuple[str, ...] = RULES
    data: str = "digits"
    path: Path | None = None  # folder of MNIST-like files, for --data mnist
    seeds: int = 5
    seed: int = 0

    def __post_init__(self) -> None:
        for rule in self.rules:
            if rule not in RULES:
                raise errors.unknown("rule", rule, RULES)
        if not {"averaging", "sybilwall"} <= set(self.rules):
            raise ValueError(f"rules: expected averaging and sybilwall among them: {self.rules}")
        if 1.0 not in self.densities or any(density <= 0 for density in self.densities):
            raise ValueError(
                "densities: expected positive numbers, 1 among them (the ablation's), got "
                f"{self.densities}"
            )


SCALES = {
    "smoke": Config(
        honest=12, radius=0.4, densities=(1.0,), rounds=4, traveled=8, seeds=2,
        rules=("averaging", "sybilwall"),
    ),
    "small": Config(),
    "full": Config(honest=1000, radius=0.05, densities=(0.5, 1.0, 2.0), seeds=2),
}  # fmt: skip


def scenarios(config: Config) -> dict[str, sybilwall.SybilSwarm]:
    """The same honest graph under every density, and density 1 on a quarter of the victims."""
    graph = topology.random_geometric(
        config.honest, config.radius, max_degree=config.degree, seed=config.seed, repair=True
    )
    few = np.unique(np.linspace(0, config.honest - 1, max(config.honest // 4, 1)).astype(int))
    wanted: dict[str, tuple[float, Any]] = {"no attack": (0.0, None)}
    wanted |= {f"φ={density:g}": (density, None) for density in config.densities}
    wanted["φ=1, few victims"] = (1.0, few)

    def make(total: int | None = None) -> dict[str, sybilwall.SybilSwarm]:
        return {
            name: sybilwall.with_sybils(
                graph, density, max_degree=config.degree, victims=victims, total=total
            )
            for name, (density, victims) in wanted.items()
        }

    return make(max(swarm.topology.num_agents for swarm in make().values()))


def rules(
    config: Config, graphs: topology.Topology, W: gossip.Mixing, member: Any
) -> dict[str, Any]:
    """Every rule on the batch of graphs, for the member of this run."""
    one = jnp.asarray(member) * 0 + 1  # traced: some degrees are below what Krum's theory asks

    def on(rule: gossip.GossipTransformation) -> gossip.GossipTransformation:
        def mix(key: Any, params: Any, state: Any, round: Any, **extra: Any) -> Any:
            return rule.mix(key, params, state, round._replace(index=member), **extra)

        return gossip.GossipTransformation(rule.init, mix)

    wall = {"traveled": config.traveled, "history": config.history, "member": member}
    return {
        "averaging": lambda: on(gossip.averaging(W)),
        "median": lambda: on(robust.median(graphs)),
        "krum": lambda: on(robust.krum(graphs, one)),
        "multi-krum": lambda: on(robust.multi_krum(graphs, one, 3)),
        "foolsgold": lambda: robust.foolsgold(graphs, member=member),
        "sybilwall": lambda: sybilwall.sybilwall(graphs, **wall),
        "sybilwall, no travel": lambda: sybilwall.sybilwall(graphs, gossip_histories=False, **wall),
    }


def run(config: Config, progress: Callable[[str], None]) -> dict[str, Any]:
    """``score`` and ``accuracy`` of the honest: rule -> ``[attacks, scenarios, seeds]``."""
    split = data.load(config.data, path=config.path)
    classes = split.train.num_classes
    model = models.functional(models.logistic(classes), split.train.features[:1])
    swarms = scenarios(config)
    graphs = topology.stack([swarm.topology for swarm in swarms.values()])
    W = gossip.mixing(graphs, "uniform", connected=False)
    n = graphs.num_agents
    sybil = np.arange(n) >= config.honest
    touched = np.stack(
        [np.isin(np.arange(n), swarm.attack_edges[:, 0]) for swarm in swarms.values()]
    )
    samples, deals = _deals(config, split.train, n)
    side = round(split.train.features.shape[1] ** 0.5)
    patch = data.square_patch(side, side, config.patch)
    flip = data.flip_pair(0, 1)
    stamp = data.backdoor(patch, 1, share=0.5)
    stamped = data.stamp(split.test.features, patch)

    def sample(which: jax.Array) -> Any:
        honest = data.minibatches(config.batch)
        flipped = data.poisoned(honest, flip, sybil)
        backdoored = data.poisoned(honest, stamp, sybil)

        def draw(key: jax.Array, shards: Any, **options: Any) -> Any:
            return jax.tree.map(
                lambda a, b: jnp.where(which == 0, a, b),
                flipped(key, shards, **options),
                backdoored(key, shards, **options),
            )

        return draw

    def cell(make: Any, which: Any, member: Any, seed: Any, samples: Any, deal: Any) -> Any:
        learner = learning.decentralized(
            learning.classification_loss(model),
            local=optax.sgd(config.lr),
            gossip=gossip.one_attacker(
                make(member), jnp.asarray(sybil), jnp.asarray(touched)[member]
            ),
            local_steps=config.local_steps,
            sample=sample(which),
        )
        key = jax.random.fold_in(jax.random.key(config.seed), seed)
        deal = jax.tree.map(lambda leaf: leaf[which], deal)
        params = agents.initialize(key, model.init, n, shared=True)
        state, _ = rollout(
            learner.step,
            learner.init(params),
            config.rounds,
            key=jax.random.fold_in(key, 1),
            inputs=data.Shards(samples.features, samples.labels, **deal),
            every=config.rounds,
        )
        honest = jax.tree.map(lambda leaf: leaf[: config.honest], state.params)
        said = jnp.argmax(jax.vmap(lambda p: model.apply(p, split.test.features))(honest), axis=-1)
        fooled = jnp.argmax(jax.vmap(lambda p: model.apply(p, stamped))(honest), axis=-1)
        labels = jnp.asarray(split.test.labels)
        pair = (
            data.attack_score(said, split.test.labels, 0, 1)
            + data.attack_score(said, split.test.labels, 1, 0)
        ) / 2
        other = (labels != 1).astype(jnp.float32)
        hit = (fooled == 1).astype(jnp.float32) @ other / jnp.sum(other)
        return {
            "score": jnp.mean(jnp.where(which == 0, pair, hit)),
            "accuracy": jnp.mean(said == labels[None, :]),
        }

    names = list(swarms)

    @functools.partial(jax.jit, static_argnums=0)
    def table(make: Any, samples: data.Shards, deals: Any) -> Any:
        def one(which: Any, member: Any, world: Any) -> Any:
            seed, deal = world
            return cell(make, which, member, seed, samples, deal)

        # Records of a thousand agents do not fit side by side.
        at_once = 1 if n > 200 else None
        worlds = (jnp.arange(config.seeds), deals)
        kinds = (jnp.arange(len(ATTACKS)), jnp.arange(len(names)))
        return sweep(one, *kinds, worlds, at_once=at_once)

    results: dict[str, Any] = {"scenarios": np.asarray(names), "score": {}, "accuracy": {}}
    arms: dict[str, Any] = {
        name: (lambda member, name=name: rules(config, graphs, W, member)[name]())
        for name in config.rules
    }
    for name, make in arms.items():
        progress(name)
        found = table(make, samples, deals)
        for part in ("score", "accuracy"):
            results[part][name] = np.asarray(found[part])
    return results


def _deals(config: Config, train: data.Dataset, n: int) -> tuple[data.Shards, dict[str, Any]]:
    """The data set, and every seed's deal for each attack: leaves ``[S, A, N, ...]``."""
    samples = data.shards(train, data.iid(train.labels, 1))
    labels = np.asarray(train.labels)
    everything = np.arange(train.num_samples)
    share = everything[:: config.honest]
    of_both = np.union1d(share, np.flatnonzero(labels <= 1))
    parts = []
    for index in range(config.seeds):
        deal = data.dirichlet_over_agents(
            train.labels, config.honest, alpha=config.alpha, seed=config.seed * 1000 + index
        )
        rows = [deal.rows(agent) for agent in range(config.honest)]
        for held in (of_both, everything):
            mine = [held] * (n - config.honest)
            parts.append(data.from_rows(rows + mine, train.num_samples, overlap=True))
    width = train.num_samples

    def stacked(field: str) -> jax.Array:
        leaves = [np.asarray(getattr(part, field)) for part in parts]
        if leaves[0].ndim == 2:
            leaves = [np.pad(leaf, ((0, 0), (0, width - leaf.shape[1]))) for leaf in leaves]
        both = np.stack(leaves)
        return jnp.asarray(both.reshape(config.seeds, len(ATTACKS), *both.shape[1:]))

    return samples, {field: stacked(field) for field in ("indices", "mask", "counts")}


def claims(results: dict[str, Any]) -> list[Claim]:
    """The bar, with thresholds fixed before the run."""
    names = [str(name) for name in results["scenarios"]]
    score, accuracy = results["score"], results["accuracy"]
    spread_out = [i for i, name in enumerate(names) if name.startswith("φ") and "few" not in name]
    densest, few = names.index("φ=1"), names.index("φ=1, few victims")
    attacked = {rule: cells[:, spread_out].mean(axis=(0, 1)) for rule, cells in score.items()}
    swing = {
        rule: np.ptp(cells[:, spread_out].reshape(-1, cells.shape[-1]), axis=0)
        for rule, cells in score.items()
    }
    mine = "sybilwall"
    made = [
        claim(
            NAME,
            "a: mean attack score over densities and attacks, as a share of averaging's",
            "averaging",
            statistics.summarize(attacked[mine] / np.maximum(attacked["averaging"], 1e-6)),
            at_most=OF_AVERAGING,
        )
    ]
    for rule in (r for r in ("foolsgold", "krum", "multi-krum", "median") if r in score):
        made.append(
            claim(
                NAME,
                f"a: mean attack score less that of {rule}",
                rule,
                statistics.compare(attacked[mine], attacked[rule]),
                at_most=0.0,
            )
        )
    calm = names.index("no attack")
    made.append(
        claim(
            NAME,
            "b: accuracy lost without attack",
            "averaging",
            statistics.compare(
                accuracy["averaging"][:, calm].mean(axis=0), accuracy[mine][:, calm].mean(axis=0)
            ),
            at_most=COST,
        )
    )
    others = np.min([swing[r] for r in score if not r.startswith(mine)], axis=0)
    made.append(
        claim(
            NAME,
            "c: the attack score varies least over scenarios (spread less the next smallest)",
            "the steadiest other rule",
            statistics.summarize(swing[mine] - others),
            at_most=0.0,
        )
    )
    sees = score[mine][:, densest].mean(axis=0)
    if "sybilwall, no travel" in score:
        blind = score["sybilwall, no travel"][:, densest].mean(axis=0)
        made.append(
            claim(
                NAME,
                "d: without travelling histories the score at φ=1 is so many times as high",
                mine,
                statistics.summarize(blind / np.maximum(sees, 1e-6)),
                at_least=BLIND,
            )
        )
    made.append(
        claim(
            NAME,
            "e: with as many attack edges, one Sybil per victim scores at least what four do",
            "φ=1, few victims",
            statistics.compare(sees, score[mine][:, few].mean(axis=0)),
            at_least=0.0,
        )
    )
    return made


def plot(results: dict[str, Any], path: Path) -> None:
    """Attack score of every rule in every scenario, for both attacks, and accuracy."""
    names = [str(name) for name in results["scenarios"]]
    order = list(results["score"])
    panels = np.ravel(plotting.panels(1, 3, width=4.6, height=4.4))
    for index, attack in enumerate(ATTACKS):
        plotting.heatmap(
            np.stack([results["score"][rule][index].mean(axis=-1) for rule in order]),
            order if index == 0 else [""] * len(order),
            names,
            limits=(0.0, 1.0),
            cmap="Reds",
            title=f"{attack}: share fooled (less is better)",
            ax=panels[index],
        )
    plotting.heatmap(
        np.stack([results["accuracy"][rule].mean(axis=(0, 2)) for rule in order]),
        [""] * len(order),
        names,
        limits=(0.0, 1.0),
        title="accuracy of the honest",
        ax=panels[2],
    )
    plotting.save(panels[0], path)


if __name__ == "__main__":
    harness.main(__name__)
