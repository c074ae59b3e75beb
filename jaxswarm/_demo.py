"""``jaxswarm demo``: agents that learn digits alone, with neighbours, and with a server."""

import argparse
from collections.abc import Sequence

ALPHA, BATCH, RATE = 0.3, 16, 0.2


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the demonstration and print a table; the exit status."""
    parser = argparse.ArgumentParser(prog="jaxswarm demo", description=__doc__)
    parser.add_argument("--agents", type=int, default=64, help="number of agents (64)")
    parser.add_argument("--rounds", type=int, default=300, help="rounds of gossip (300)")
    given = parser.parse_args(arguments)
    if not 2 <= given.agents <= 1024 or given.rounds < 1:
        parser.error("expected 2 to 1024 agents and at least 1 round")
    print(f"{given.agents} agents, {given.rounds} rounds; each agent sees few of the ten digits")
    for name, accuracy, megabytes in table(given.agents, given.rounds):
        print(f"  {name:<12} mean test accuracy {accuracy:.3f}   {megabytes:8.1f} MB sent")
    return 0


def table(num_agents: int, rounds: int, *, progress: bool = True) -> list[tuple[str, float, float]]:
    """Name, mean test accuracy and megabytes sent of every arm, from one start and split."""
    import jax
    import optax

    import jaxswarm as js

    split = js.data.load("digits")
    partition = js.data.dirichlet_over_agents(split.train.labels, num_agents, alpha=ALPHA)
    shards = js.data.shards(split.train, partition)
    model = js.models.functional(js.models.mlp(64, 10), split.train.features[:1])
    evaluate = js.learning.evaluation(model, split.test)
    params = js.agents.initialize(jax.random.key(0), model.init, num_agents)
    rules = {
        "isolated": js.gossip.identity(),
        "ring": js.gossip.averaging(js.gossip.mixing(js.topology.ring(num_agents))),
        "exponential": js.gossip.averaging(js.gossip.mixing(js.topology.exponential(num_agents))),
        "server": js.gossip.server(),
    }
    rows = []
    for name, rule in rules.items():
        learner = js.learning.decentralized(
            js.learning.classification_loss(model),
            local=optax.sgd(RATE),
            gossip=rule,
            sample=js.data.minibatches(BATCH),
        )
        _, records = js.simulate(
            learner.step,
            learner.init(params),
            rounds,
            key=jax.random.key(1),
            inputs=shards,
            every=rounds,
            evaluate=evaluate,
            progress=progress,
        )
        last = records.evaluation
        rows.append((name, float(last.accuracy[-1].mean()), float(last.megabytes[-1])))
    return rows
