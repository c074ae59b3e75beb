"""The MoDeST protocol once more, slowly: nodes as dictionaries, messages one by one.

Shares with the library only the order by hash and the random draws (who hears an announcement,
which message arrives first), as both must be equal to compare anything.
"""

import jax
import numpy as np

from jaxswarm.systems import modest
from jaxswarm.systems.modest.sampling import pair_lots

PING, ENTRY = 8, 13


class Node:
    """``view[j] = [last active, counter, joined]``; ``held`` likewise for JOINs held back."""

    def __init__(self, number, known):
        self.number = number
        self.view = {j: [0, 0, True] for j in known}
        self.held = {}

    def copy(self):
        return {j: list(entry) for j, entry in self.view.items()}

    def candidates(self, k, inactivity):
        return {
            j
            for j, (last, _, joined) in self.view.items()
            if j == self.number or (joined and last >= 0 and last >= k - inactivity)
        }


def hear(view, other):
    for j, (last, counter, joined) in other.items():
        if j not in view:
            view[j] = [last, counter, joined]
            continue
        mine = view[j]
        mine[0] = max(mine[0], last)
        if counter > mine[1]:
            mine[1:] = [counter, joined]
        elif counter == mine[1]:
            mine[2] = mine[2] and joined


def simulate(key, centers, schedule, rounds, *, s, a, needed, inactivity, attempts=5):
    """What every round did, and the nodes after it; models are numbers, pulled to ``centres``."""
    online, joins, leaves = (np.asarray(x) for x in schedule[:3])
    in_flight, n = bool(schedule.in_flight), len(centers)
    first = np.flatnonzero(online[0] & ~joins[0])
    nodes = [Node(i, [*first.tolist(), i]) for i in range(n)]
    order = [j for j in np.asarray(modest.sample_order(np.arange(n), 0)).tolist() if j in first]
    models = {j: 0.0 for j in order[:a]}
    k, waiting, log = 0, False, []
    for t in range(rounds):
        _, news_key, arrive_key = jax.random.split(jax.random.fold_in(key, t), 3)
        keys = jax.random.split(arrive_key)
        now, later = online[t], online[t + 1]
        did = dict.fromkeys(("model", "view", "ping", "membership", "pings", "failures"), 0)
        did["sampled"] = []

        def delay(which, receiver, sender, keys=keys):
            return -int(pair_lots(keys[which], np.array([receiver]), np.array(sender))[0])

        def walk(node, round, up, wanted, did=did, k=k):
            found = []
            wish = node.candidates(round, inactivity)
            for j in np.asarray(modest.sample_order(np.arange(n), round)).tolist():
                if len(found) == wanted:
                    break
                if j not in wish:
                    continue
                if j != node.number:
                    did["pings"] += 1
                    did["failures"] += not up[j]
                    did["ping"] += PING * (2 if up[j] else attempts)
                if up[j]:
                    found.append(j)
            for j in {*found, node.number}:
                node.view[j][0] = max(node.view[j][0], k)
            return found

        def send(view, sender, receivers, did=did):
            others = len([j for j in receivers if j != sender])
            did["model"] += 4 * others
            did["view"] += ENTRY * len(view) * others

        letters = []
        for i in np.flatnonzero(joins[t] | leaves[t]).tolist():
            lots = np.asarray(pair_lots(news_key, np.array([i]), np.arange(n)))[0]
            friends = [j for j, entry in nodes[i].view.items() if entry[2] and j != i]
            told = sorted(friends, key=lambda j: -int(lots[j]))[:s]
            event = [nodes[i].view[i][1] + 1, bool(joins[t, i] and not leaves[t, i])]
            latest = max(entry[0] for entry in nodes[i].view.values())
            did["membership"] += ENTRY * len(told)
            for j in told:
                seen = max(latest, *(entry[0] for entry in nodes[j].view.values()))
                letters.append((i, j, seen, event))
            letters.append((i, i, None, event))
        for i, j, seen, event in letters:
            if i == j:
                hear(nodes[i].view, {i: [-1, *event]})
            elif now[j] and event[1]:
                hear(nodes[j].held, {i: [seen, *event]})
            elif now[j]:
                hear(nodes[j].view, {i: [-1, *event]})

        holders = [] if waiting else [j for j in models if now[j]]
        woken, spoke = {}, set()
        for j in holders:
            members = walk(nodes[j], k, now, s)
            spoke |= {j} if members else set()
            send(nodes[j].view, j, members)
            for i in members:
                woken.setdefault(i, []).append(j)
        shown = {j: nodes[j].copy() for j in holders}
        arrived = {}
        for i, senders in woken.items():
            did["sampled"].append(i)
            by = min(senders, key=lambda j, i=i: delay(0, i, j))
            trained = models[by] - 0.5 * (models[by] - centers[i])
            for j in senders:
                hear(nodes[i].view, shown[j])
            if in_flight and not later[i]:
                continue
            members = walk(nodes[i], k + 1, later, a)
            spoke |= {i} if members else set()
            send(nodes[i].view, i, members)
            for j in members:
                arrived.setdefault(j, []).append((delay(1, j, i), trained, i))
        shown = {i: nodes[i].copy() for i in woken}
        for j, mail in arrived.items():
            for _, _, i in mail:
                hear(nodes[j].view, shown[i])
        done = {
            j: float(np.mean([model for _, model, _ in sorted(mail)[:needed]]))
            for j, mail in arrived.items()
            if len(mail) >= needed
        }
        for j in spoke:
            hear(nodes[j].view, nodes[j].held)
            nodes[j].held = {}
        waiting = not done
        models, k = (done, k + 1) if done else (models, k)
        did["views"] = [node.copy() for node in nodes]
        did["models"], did["round"] = dict(models), k
        log.append(did)
    return log
