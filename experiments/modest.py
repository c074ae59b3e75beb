"""MoDeST: sampled trainers and aggregators without a server, against a server and against D-SGD.

100 nodes hold digits. MoDeST trains ten of them a round, chosen by hash from views that travel with
the models. *FL* is the same sampling with a server that knows who is online; *D-SGD* trains every
node in every round and exchanges over the one-peer exponential graph; *gossip learning* lets every
node hear one random other. Bytes are counted as they are sent: models, views, pings, membership. An
accuracy is that of the model that is there: MoDeST's aggregate, the server's, the mean over nodes.

Crash arms lose 80 of 100 nodes before round 40, for good. “Between rounds” the models of round 39
were handed over first; “in flight” they were on their way, and a round whose sample is lost stalls
for good, as published. A join arm has one node come in round 20.

Learning rate 0.5 was chosen on other seeds so that all methods reach the target; everything else is
the paper's default or the bar's.

References:
    M. de Vos, S. Farhadkhani, R. Guerraoui, A.-M. Kermarrec, R. Pires, R. Sharma, Decentralized
    learning made easy with decentralized client sampling (MoDeST), 2023.
"""

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
    gossip,
    learning,
    models,
    network,
    plotting,
    rollout,
    statistics,
    topology,
)
from jaxswarm.systems.modest import always_online, federated, membership, modest

NAME = "modest"
TITLE = "Sampling without a server: as fast as federated learning, for a fraction of D-SGD's bytes"
PAPER = Paper(
    "M. de Vos et al.",
    "Decentralized Learning Made Easy with Decentralized Client Sampling (MoDeST)",
    2023,
)

# Fixed before the first run.
AS_FAST = 1.15  # rounds to the target, over FL's
FRUGAL = 1 / 3  # bytes to the target, over D-SGD's
NEAR_FL = 0.03  # final accuracy after the crash, below FL on the survivors
FORGOTTEN = 0.01  # failed pings, as a share of all, once the dead have aged out
NEWS = 0.95  # of the live views know a joiner after 20 rounds


@dataclass(frozen=True)
class Config:
    """Sizes; every arm shares them."""

    agents: int = 100
    sample: int = 10  # s, nodes that train in a round
    aggregators: tuple[int, ...] = (1, 2, 5)
    rounds: int = 120
    target: float = 0.9  # test accuracy
    alpha: float = 0.5  # Dirichlet concentration of the non-IID arms
    local_steps: int = 2
    batch: int = 20
    lr: float = 0.5
    hidden: tuple[int, ...] = (32,)
    crash: int = 40  # before which round
    crashed: float = 0.8  # of the nodes
    success: float = 0.5  # sf, in the crash arms
    inactivity: int = 50  # Δk
    join: int = 20  # when a node joins
    data: str = "digits"
    path: Path | None = None  # folder of MNIST-like files, for --data mnist
    every: int = 2
    seeds: int = 5
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 < self.crash < self.rounds - 1 or not 0 <= self.join < self.rounds - 1:
            raise ValueError(
                f"crash, join: expected rounds within {self.rounds}, got {self.crash}, {self.join}"
            )
        if not 0.0 < self.crashed < 1.0:
            raise ValueError(f"crashed: expected a share in (0, 1), got {self.crashed}")
        if not self.aggregators or self.rounds % self.every:
            raise ValueError("expected aggregators, and every to divide rounds")


SCALES = {
    "smoke": Config(
        agents=16, sample=4, aggregators=(2,), rounds=12, target=0.3, crash=4, inactivity=4, join=2,
        seeds=2,
    ),
    "small": Config(),
    # Who is not sampled for Δk rounds is forgotten: Δk grows with agents / sample.
    "full": Config(agents=1000, sample=40, rounds=160, inactivity=100, every=10, seeds=2),
}  # fmt: skip


def run(config: Config, progress: Callable[[str], None]) -> dict[str, Any]:
    """Accuracy, bytes and what the protocol did, for every arm: ``[S, R]`` or ``[S, T]``."""
    split = data.load(config.data, path=config.path)
    classes = split.train.num_classes
    model = models.functional(models.mlp(*config.hidden, classes), split.train.features[:1])
    loss = learning.classification_loss(model)
    n, rounds = config.agents, config.rounds
    samples = data.shards(split.train, data.iid(split.train.labels, 1))
    deals = _deals(config, split.train)
    base = jax.random.key(config.seed)
    keys = jax.vmap(lambda seed: jax.random.fold_in(base, seed))(jnp.arange(config.seeds))
    victims = np.stack(
        [
            np.asarray(network.random_victims(jax.random.fold_in(key, 3), n, config.crashed))
            for key in keys
        ]
    )
    calm = always_online(rounds, n)
    common = {
        "local": optax.sgd(config.lr),
        "local_steps": config.local_steps,
        "sample": data.minibatches(config.batch),
    }

    def play(algorithm: Any, look: Any, single: bool) -> Any:
        """All seeds of one algorithm, jitted; the schedule is an argument."""

        def one(key: jax.Array, deal: Any, schedule: Any, samples: Any, test: Any) -> Any:
            shards = data.Shards(samples.features, samples.labels, **deal)
            first = model.init(jax.random.fold_in(key, 0))
            params = first if single else agents.broadcast(first, n)
            inputs = (shards, schedule) if single else shards

            def score(params: Any) -> jax.Array:
                said = jnp.argmax(model.apply(params, test.features), axis=-1)
                return jnp.mean(said == jnp.asarray(test.labels))

            _, records = rollout(
                algorithm.step,
                algorithm.init(params),
                rounds,
                key=jax.random.fold_in(key, 1),
                inputs=inputs,
                every=config.every,
                evaluate=lambda state: look(state, score),
            )
            return records.info, records.evaluation

        over_seeds = jax.vmap(one, (0, 0, 0, None, None))
        compiled = jax.jit(over_seeds)
        return lambda deal, schedules: compiled(keys, deal, schedules, samples, split.test)

    def repeated(schedule: Any) -> Any:
        return jax.tree.map(lambda leaf: jnp.stack([leaf] * config.seeds), schedule)

    def crash(in_flight: bool) -> Any:
        made = [
            membership(
                network.fault_plan(
                    [(config.crash, "crash", int(v)) for v in np.flatnonzero(dead)], n
                ),
                rounds,
                in_flight=in_flight,
            )
            for dead in victims
        ]
        return jax.tree.map(lambda *leaves: jnp.stack(leaves), *made)

    def protocol(a: int, success: float, present: Any = None) -> Any:
        def look(state: Any, score: Any) -> Any:
            held = state.aggregator >= 0
            scores = jax.vmap(score)(state.aggregates)
            holders = jnp.sum(held)
            accuracy = jnp.sum(jnp.where(held, scores, 0.0)) / jnp.maximum(holders, 1)
            live = state.views.joined
            return {
                "accuracy": accuracy,
                "bytes": state.sent.total,
                "kinds": jnp.stack(state.sent),
                "disagreement": jnp.mean(jnp.var(live.astype(jnp.float32), axis=0)),
                "knows": live[:, -1],
                "seen": jnp.max(state.views.last_active, axis=0),  # [N], by anybody
                "round": state.round,
            }

        made = modest(
            loss, n, sample_size=config.sample, aggregators=a, success=success,
            inactivity=config.inactivity, present=present, **common,
        )  # fmt: skip
        return play(made, look, True)

    arms: dict[str, Any] = {}

    def record(name: str, found: Any) -> None:
        info, seen = found
        arms[name] = {key: np.asarray(value) for key, value in seen.items()}
        for field in ("stalled", "pings", "failures", "completed", "sampled"):
            if hasattr(info, field):
                arms[name][field] = np.asarray(getattr(info, field))

    for a in config.aggregators:
        progress(f"modest, a={a}")
        started = protocol(a, 1.0)
        record(f"modest a={a}", started(deals["iid"], repeated(calm)))
        if a == config.aggregators[0]:
            record(f"modest a={a}, non-IID", started(deals["skewed"], repeated(calm)))
        if a == config.aggregators[-1]:
            record("crash in flight, sf=1", started(deals["iid"], crash(True)))
    progress("modest, crash")
    forgiving = protocol(config.aggregators[-1], config.success)
    record("crash", forgiving(deals["iid"], crash(False)))
    record(f"crash in flight, sf={config.success:g}", forgiving(deals["iid"], crash(True)))
    progress("modest, a joiner")
    late = membership(network.fault_plan([(config.join, "join", n - 1)], n), rounds)
    joining = protocol(config.aggregators[0], 1.0, np.asarray(late.online[0]))
    record("join", joining(deals["iid"], repeated(late)))

    progress("federated learning")
    server = play(
        federated(loss, n, sample_size=config.sample, **common),
        lambda state, score: {
            "accuracy": score(jax.tree.map(lambda leaf: leaf[0], state.model)),
            "bytes": state.sent,
        },
        True,
    )
    record("fl", server(deals["iid"], repeated(calm)))
    record("fl, non-IID", server(deals["skewed"], repeated(calm)))
    survivors = jax.tree.map(lambda leaf: jnp.stack([leaf] * config.seeds), calm)._replace(
        online=jnp.asarray(np.repeat(~victims[:, None], rounds + 1, axis=1))
    )
    record("fl, survivors", server(deals["iid"], survivors))

    exchange = {
        "d-sgd": gossip.averaging(gossip.mixing(topology.one_peer_exponential(n), "uniform")),
        "gossip learning": gossip.averaging(gossip.random_neighbors(n, 1)),
    }
    for name, rule in exchange.items():
        progress(name)
        learner = learning.decentralized(loss, gossip=rule, **common)
        everyone = play(
            learner,
            lambda state, score: {
                "accuracy": jnp.mean(jax.lax.map(score, state.params, batch_size=50)),
                "bytes": state.traffic.total.bytes,
            },
            False,
        )
        record(name, everyone(deals["iid"], repeated(calm)))
        if name == "d-sgd":
            record("d-sgd, non-IID", everyone(deals["skewed"], repeated(calm)))
    return {
        "round": np.arange(config.every, rounds + 1, config.every),
        "victims": victims,
        "settings": {
            "target": config.target,
            "crash": config.crash,
            "inactivity": config.inactivity,
            "sample": config.sample,
            "join": config.join,
            "every": config.every,
            "aggregators": np.asarray(config.aggregators),
            "success": config.success,
        },
        "arms": arms,
    }


def _deals(config: Config, train: data.Dataset) -> dict[str, dict[str, jax.Array]]:
    """Every seed's partition, IID and by Dirichlet, at one width."""
    parts: dict[str, list[data.Partition]] = {"iid": [], "skewed": []}
    for index in range(config.seeds):
        seed = config.seed * 1000 + index
        parts["iid"].append(data.iid(train.labels, config.agents, seed=seed))
        parts["skewed"].append(
            data.dirichlet_over_agents(
                train.labels, config.agents, alpha=config.alpha, seed=seed, max_draws=1000
            )
        )
    width = max(part.capacity for each in parts.values() for part in each)

    def widened(array: Any) -> np.ndarray:
        return np.pad(np.asarray(array), ((0, 0), (0, width - np.shape(array)[1])))

    return {
        name: {
            "indices": jnp.stack([widened(part.indices) for part in each]),
            "mask": jnp.stack([widened(part.mask) for part in each]),
            "counts": jnp.stack([np.asarray(part.counts) for part in each]),
        }
        for name, each in parts.items()
    }


def claims(results: dict[str, Any]) -> list[Claim]:
    """The bar, with thresholds fixed before the run."""
    arms, at, settings = results["arms"], results["round"], results["settings"]
    target, crash = float(settings["target"]), int(settings["crash"])
    forget = crash + int(settings["inactivity"])
    join = int(settings["join"])
    many = [int(a) for a in settings["aggregators"]]
    last = float(at[-1])
    never = f"to {target:.0%}; a run that never gets there counts as its length"

    def rounds(name: str) -> np.ndarray:
        return np.minimum(statistics.time_to_target(arms[name]["accuracy"], target, at), last)

    def spent(name: str) -> np.ndarray:
        index = np.searchsorted(at, rounds(name))
        return arms[name]["bytes"][np.arange(len(index)), index]

    made = []
    pairs = [(f"modest a={a}", "fl", "d-sgd") for a in many]
    pairs.append((f"modest a={many[0]}, non-IID", "fl, non-IID", "d-sgd, non-IID"))
    for mine, server, everyone in pairs:
        made.append(
            claim(
                NAME,
                f"a: {mine}: rounds to the target, over the server's",
                server,
                statistics.summarize(rounds(mine) / rounds(server)),
                at_most=AS_FAST,
                note=never,
            )
        )
        made.append(
            claim(
                NAME,
                f"b: {mine}: bytes to the target, over D-SGD's",
                everyone,
                statistics.summarize(spent(mine) / spent(everyone)),
                at_most=FRUGAL,
                note=never,
            )
        )
    hit = arms["crash"]
    after = at > forget
    attempts = np.maximum(hit["pings"][:, after].sum(axis=1), 1)
    # A dead node is a candidate of somebody if anybody saw it within the last Δk rounds.
    since = hit["round"][:, -1, None] - int(settings["inactivity"])
    believed = ((hit["seen"][:, -1] >= since) & results["victims"]).sum(axis=1)
    extra = hit["pings"][:, (at > crash) & (at <= forget)].mean(axis=1)
    made += [
        claim(
            NAME,
            "c: 80 % crash between rounds: share of rounds that stall",
            "none",
            statistics.summarize(hit["stalled"].mean(axis=1)),
            at_most=0.0,
        ),
        claim(
            NAME,
            "c: until they are forgotten the dead cost pings: per round, over before",
            "before the crash",
            statistics.summarize(extra / np.maximum(hit["pings"][:, at < crash].mean(axis=1), 1)),
            at_least=1.0,
        ),
        claim(
            NAME,
            f"c: {int(settings['inactivity'])} rounds later: share of pings without answer",
            "none",
            statistics.summarize(hit["failures"][:, after].sum(axis=1) / attempts),
            at_most=FORGOTTEN,
        ),
        claim(
            NAME,
            "c: dead nodes that are a candidate in any view at the end",
            "none",
            statistics.summarize(believed),
            at_most=0.0,
        ),
        claim(
            NAME,
            "c: final accuracy below the server's on the survivors' data",
            "fl, survivors",
            statistics.compare(arms["fl, survivors"]["accuracy"][:, -1], hit["accuracy"][:, -1]),
            at_most=NEAR_FL,
        ),
        claim(
            NAME,
            "c: in flight, with sf=1, the round stalls and says so (share of runs)",
            "crash in flight",
            float(arms["crash in flight, sf=1"]["stalled"][:, -1].mean()),
            at_least=1.0,
            seeds=len(hit["stalled"]),
            control=True,
        ),
    ]
    arrives = arms["join"]
    known = arrives["knows"][:, :, :-1].mean(axis=2)
    sampled = arrives["sampled"][:, :, -1]
    early = np.array([bool(s[k == 0.0].any()) for s, k in zip(sampled, known, strict=True)])
    soon = min(np.searchsorted(at, join + 20), len(at) - 1)
    missed = (1.0 - int(settings["sample"]) / results["victims"].shape[1]) ** 20
    made += [
        claim(
            NAME,
            "d: a joiner is sampled before anybody has taken up its JOIN (share of runs)",
            "never",
            float(early.mean()),
            at_most=0.0,
            seeds=len(early),
        ),
        claim(
            NAME,
            "d: share of views that know a joiner 20 rounds later",
            "all",
            statistics.summarize(known[:, soon]),
            at_least=NEWS,
            note=f"views travel with models alone, and {missed:.0%} of the nodes are in no sample "
            "of 20 rounds",
        ),
    ]
    return made


def plot(results: dict[str, Any], path: Path) -> None:
    """Accuracy against rounds and against bytes, and what a crash of most nodes does."""
    arms, at, settings = results["arms"], results["round"], results["settings"]
    a = int(settings["aggregators"][0])
    left, middle, right, below = np.ravel(plotting.panels(2, 2, width=6.0, height=3.8))
    shown = {
        f"MoDeST, a={a}": f"modest a={a}",
        "FL": "fl",
        "D-SGD": "d-sgd",
        "gossip learning": "gossip learning",
    }
    plotting.curves(
        {label: arms[name]["accuracy"] for label, name in shown.items()},
        at,
        title="per round: everyone trains, or ten do",
        ylabel="test accuracy",
        ax=left,
    )
    plotting.curves(
        {label: arms[name]["accuracy"] for label, name in shown.items()},
        {
            label: np.log10(np.maximum(arms[name]["bytes"].mean(axis=0), 1.0))
            for label, name in shown.items()
        },
        xlabel="bytes sent by all, power of ten",
        title="per byte",
        ylabel="test accuracy",
        ax=middle,
    )
    crash = float(settings["crash"])
    sf = float(settings["success"])
    late = at >= crash / 2
    plotting.curves(
        {
            "FL, survivors only": arms["fl, survivors"]["accuracy"][:, late],
            "between rounds": arms["crash"]["accuracy"][:, late],
            f"in flight, sf={sf:g}": arms[f"crash in flight, sf={sf:g}"]["accuracy"][:, late],
            "in flight, sf=1": arms["crash in flight, sf=1"]["accuracy"][:, late],
        },
        at[late],
        title=f"crash before round {crash:g}: a lost sample stops it",
        ylabel="test accuracy",
        ax=right,
    )
    plotting.curves(
        {
            "pings": arms["crash"]["pings"],
            "without answer": arms["crash"]["failures"],
        },
        at,
        title=f"the dead are pinged until {int(settings['inactivity'])} rounds have passed",
        ylabel="nodes pinged per round, crash between rounds",
        ax=below,
    )
    for ax in (right, below):
        ax.axvline(crash, color="#9A9A9A", linestyle=":", zorder=1)
    plotting.save(left, path)


if __name__ == "__main__":
    harness.main(__name__)
