"""``jaxswarm demo``: agents that learn digits alone, with neighbours, and with a server."""

import argparse
from collections.abc import Sequence
from typing import Any

ALPHA, BATCH, RATE = 0.3, 16, 0.2


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the demonstration and print a table; the exit status."""
    parser = argparse.ArgumentParser(prog="jaxswarm demo", description=__doc__)
    parser.add_argument("--agents", type=int, default=64, help="number of agents (64)")
    parser.add_argument("--rounds", type=int, default=300, help="rounds of gossip (300)")
    parser.add_argument(
        "--devices", type=int, default=1, help="devices to split agents over, made of one CPU (1)"
    )
    given = parser.parse_args(arguments)
    if not 2 <= given.agents <= 1024 or given.rounds < 1:
        parser.error("expected 2 to 1024 agents and at least 1 round")
    if given.devices < 1 or given.agents % given.devices:
        parser.error(f"--devices: expected a divisor of {given.agents} agents, got {given.devices}")
    if given.devices > 1:
        from jaxswarm import sharding

        if sharding.force_cpu_devices(given.devices):
            print(f"this CPU counts as {given.devices} devices, which share its cores")
        try:
            sharding.mesh(given.devices)
        except ValueError as error:
            parser.error(f"--{error}")
    print(f"{given.agents} agents, {given.rounds} rounds; each agent sees few of the ten digits")
    for name, accuracy, megabytes in table(given.agents, given.rounds, devices=given.devices):
        print(f"  {name:<12} mean test accuracy {accuracy:.3f}   {megabytes:8.1f} MB sent")
    return 0


def table(
    num_agents: int, rounds: int, *, devices: int = 1, progress: bool = True
) -> list[tuple[str, float, float]]:
    """Name, mean test accuracy and megabytes sent of every arm, from one start and split."""
    import jax
    import optax

    import jaxswarm as js

    split = js.data.load("digits")
    partition = js.data.dirichlet_over_agents(split.train.labels, num_agents, alpha=ALPHA)
    shards = js.data.shards(split.train, partition)
    model = js.models.functional(js.models.mlp(64, 10), split.train.features[:1])
    evaluate = js.learning.evaluation(model, split.test)
    mesh = js.sharding.mesh(devices) if devices > 1 else None

    def placed(tree: Any) -> Any:
        return tree if mesh is None else js.sharding.shard(tree, mesh, num_agents=num_agents)

    graphs = {"ring": js.topology.ring, "exponential": js.topology.exponential}
    params = js.agents.initialize(jax.random.key(0), model.init, num_agents)
    rules = {
        "isolated": js.gossip.identity(),
        **{
            name: js.gossip.averaging(placed(js.gossip.mixing(graph(num_agents))))
            for name, graph in graphs.items()
        },
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
            placed(learner.init(params)),
            rounds,
            key=jax.random.key(1),
            inputs=placed(shards),
            every=rounds,
            evaluate=evaluate,
            progress=progress,
        )
        last = records.evaluation
        rows.append((name, float(last.accuracy[-1].mean()), float(last.megabytes[-1])))
    return rows
