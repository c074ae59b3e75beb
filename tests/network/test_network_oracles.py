"""Other people's implementations as oracles: Kademlia, CRDT documents, a simulator of events."""

import asyncio
import random

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxswarm.network import crdt, dht, transport

COUNT, K = 12, 4


@pytest.mark.slow
def test_lookups_find_the_peers_that_kademlia_finds():
    pytest.importorskip("kademlia")
    from kademlia.crawling import NodeSpiderCrawl
    from kademlia.network import Server
    from kademlia.node import Node

    keys = jax.random.split(jax.random.key(0), 3)
    ids, targets = dht.random_ids(keys[0], COUNT), dht.random_ids(keys[1], 8)
    names = [np.asarray(row).astype(">u4").tobytes() for row in ids]

    async def crawl():
        servers = [Server(ksize=K, node_id=name) for name in names]
        for server in servers:
            await server.listen(0, interface="127.0.0.1")
        ports = [s.transport.get_extra_info("sockname")[1] for s in servers]
        for server in servers[1:]:
            await server.bootstrap([("127.0.0.1", ports[0])])
        found = []
        for query, target in enumerate(np.asarray(targets)):
            start = servers[query % COUNT]
            wanted = Node(target.astype(">u4").tobytes())
            near = start.protocol.router.find_neighbors(wanted, K)
            spider = NodeSpiderCrawl(start.protocol, wanted, near, K, 3)
            # A node does not list itself; it is a candidate all the same.
            answer = {node.id for node in await spider.find()} | {start.node.id}
            order = sorted(answer, key=lambda x: int.from_bytes(x, "big") ^ wanted.long_id)
            found.append([names.index(name) for name in order[:K]])
        for server in servers:
            server.stop()
        return found

    found = asyncio.run(crawl())
    table = dht.routing_table(keys[2], ids, k=K)
    ours = dht.lookup(table, targets, np.arange(8) % COUNT)
    np.testing.assert_array_equal(ours.closest, found)


def operations(replicas, keys, count, seed):
    """Additions of keys of their own by each replica, so that no two conflict."""
    rng = random.Random(seed)
    owned = [[key for key in range(keys) if key % replicas == r] for r in range(replicas)]
    return [(r, rng.choice(owned[r]), i) for i in range(count) for r in range(replicas)]


def ours(ops, replicas, keys):
    """Replicas after merging each other's states in shuffled order, some of them twice."""
    register = crdt.lww_register(0)
    table = crdt.keyed(register, keys)
    states = [table.init() for _ in range(replicas)]
    write = jax.jit(
        lambda state, key, value, wall, replica: table.update(
            state, key, lambda entry: register.write(
                entry, value, crdt.tick(entry.clock, wall), replica
            ),
        )
    )  # fmt: skip
    for replica, key, value in ops:
        states[replica] = write(states[replica], key, value, value, replica)
    merge, rng = jax.jit(table.merge), random.Random(3)
    order = [(a, b) for a in range(replicas) for b in range(replicas)] * 3
    rng.shuffle(order)
    for a, b in order:
        states[a] = merge(states[a], states[b])
    return [
        {key: int(v) for key, (v, there) in enumerate(zip(*table.read(s), strict=True)) if there}
        for s in states
    ]


def pycrdt_maps(ops, replicas):
    pycrdt = pytest.importorskip("pycrdt")
    docs = [pycrdt.Doc() for _ in range(replicas)]
    maps = [doc.get("m", type=pycrdt.Map) for doc in docs]
    for replica, key, value in ops:
        maps[replica][str(key)] = value
    updates = [doc.get_update() for doc in docs] * 2
    for seed, doc in enumerate(docs):
        for update in random.Random(seed).sample(updates, len(updates)):
            doc.apply_update(update)
    return [{int(k): int(v) for k, v in m.to_py().items()} for m in maps]


def loro_maps(ops, replicas):
    loro = pytest.importorskip("loro")
    docs = [loro.LoroDoc() for _ in range(replicas)]
    for replica, key, value in ops:
        docs[replica].get_map("m").insert(str(key), value)
    for doc in docs:
        doc.commit()
    updates = [doc.export(loro.ExportMode.Snapshot()) for doc in docs] * 2
    for seed, doc in enumerate(docs):
        for update in random.Random(seed).sample(updates, len(updates)):
            doc.import_(update)
    return [{int(k): int(v) for k, v in d.get_map("m").get_deep_value().items()} for d in docs]


@pytest.mark.parametrize("oracle", [pycrdt_maps, loro_maps])
def test_maps_converge_as_documents_do(oracle):
    ops = operations(replicas=3, keys=9, count=5, seed=0)
    theirs, found = oracle(ops, 3), ours(ops, 3, 9)
    assert theirs[0] == theirs[1] == theirs[2]
    assert found == theirs


def test_requests_take_the_times_of_a_simulator_of_events():
    simpy = pytest.importorskip("simpy")
    trip, size, bandwidth, service, width, count = 0.05, 4e4, 1e6, 0.03, 3, 40
    world, finished = simpy.Environment(), []
    link, server = simpy.Resource(world), simpy.Resource(world)

    def client():
        while len(finished) < count:
            yield world.timeout(trip / 2)
            with link.request() as turn:
                yield turn
                yield world.timeout(size / bandwidth)
            with server.request() as turn:
                yield turn
                yield world.timeout(service)
            yield world.timeout(trip / 2)
            finished.append(world.now)

    for _ in range(width):
        world.process(client())
    world.run()
    found = jax.jit(
        lambda key: transport.requests(
            key, trip, size=size, bandwidth=bandwidth, service=service, in_flight=width,
            count=count, jitter=0.0,
        )
    )(jax.random.key(0))  # fmt: skip
    np.testing.assert_allclose(found.finished, finished[:count], rtol=1e-4)
    assert bool(jnp.all(found.seconds > 0))
