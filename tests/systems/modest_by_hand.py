"""The MoDeST protocol written by hand: agents as dictionaries, messages one by one.

Shares with the library only the order by hash and the random draws (receivers of an announcement,
which message arrives first), as both must be equal for a comparison.
"""

import functools

import jax
import numpy as np

from jaxswarm.systems import modest
from jaxswarm.systems.modest.sampling import pair_priorities

PING, ENTRY = 8, 13
PRIORITIES = jax.jit(pair_priorities)
ORDER = jax.jit(modest.sample_order)


@functools.cache
def order_of(n, round):
    return np.asarray(ORDER(np.arange(n), round)).tolist()


class Agent:
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


def merge(view, other):
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
    """What every round did, and the agents after it; models are numbers, pulled to ``centers``."""
    online, joins, leaves = (np.asarray(x) for x in schedule[:3])
    in_flight, n = bool(schedule.in_flight), len(centers)
    first = np.flatnonzero(online[0] & ~joins[0])
    agents = [Agent(i, [*first.tolist(), i]) for i in range(n)]
    order = [j for j in order_of(n, 0) if j in first]
    models = {j: 0.0 for j in order[:a]}
    k, waiting, log = 0, False, []
    for t in range(rounds):
        _, news_key, arrive_key = jax.random.split(jax.random.fold_in(key, t), 3)
        keys = jax.random.split(arrive_key)
        now, later = online[t], online[t + 1]
        log_entry = dict.fromkeys(("model", "view", "ping", "membership", "pings", "failures"), 0)
        log_entry["sampled"] = []

        def delay(which, receiver, sender, keys=keys):
            return -int(PRIORITIES(keys[which], np.array([receiver]), np.array(sender))[0])

        def walk(agent, round, up, wanted, log_entry=log_entry, k=k):
            found = []
            candidates = agent.candidates(round, inactivity)
            for j in order_of(n, round):
                if len(found) == wanted:
                    break
                if j not in candidates:
                    continue
                if j != agent.number:
                    log_entry["pings"] += 1
                    log_entry["failures"] += not up[j]
                    log_entry["ping"] += PING * (2 if up[j] else attempts)
                if up[j]:
                    found.append(j)
            for j in {*found, agent.number}:
                agent.view[j][0] = max(agent.view[j][0], k)
            return found

        def send(view, sender, receivers, log_entry=log_entry):
            others = len([j for j in receivers if j != sender])
            log_entry["model"] += 4 * others
            log_entry["view"] += ENTRY * len(view) * others

        announcements = []
        for i in np.flatnonzero(joins[t] | leaves[t]).tolist():
            priority = np.asarray(PRIORITIES(news_key, np.array([i]), np.arange(n)))[0]
            known = [j for j, entry in agents[i].view.items() if entry[2] and j != i]
            receivers = sorted(known, key=lambda j: -int(priority[j]))[:s]
            event = [agents[i].view[i][1] + 1, bool(joins[t, i] and not leaves[t, i])]
            latest = max(entry[0] for entry in agents[i].view.values())
            log_entry["membership"] += ENTRY * len(receivers)
            for j in receivers:
                latest_known = max(latest, *(entry[0] for entry in agents[j].view.values()))
                announcements.append((i, j, latest_known, event))
            announcements.append((i, i, None, event))
        for i, j, latest_known, event in announcements:
            if i == j:
                merge(agents[i].view, {i: [-1, *event]})
            elif now[j] and event[1]:
                merge(agents[j].held, {i: [latest_known, *event]})
            elif now[j]:
                merge(agents[j].view, {i: [-1, *event]})

        holders = [] if waiting else [j for j in models if now[j]]
        woken, sent = {}, set()
        for j in holders:
            members = walk(agents[j], k, now, s)
            sent |= {j} if members else set()
            send(agents[j].view, j, members)
            for i in members:
                woken.setdefault(i, []).append(j)
        shown = {j: agents[j].copy() for j in holders}
        arrived = {}
        for i, senders in woken.items():
            log_entry["sampled"].append(i)
            by = min(senders, key=lambda j, i=i: delay(0, i, j))
            trained = models[by] - 0.5 * (models[by] - centers[i])
            for j in senders:
                merge(agents[i].view, shown[j])
            if in_flight and not later[i]:
                continue
            members = walk(agents[i], k + 1, later, a)
            sent |= {i} if members else set()
            send(agents[i].view, i, members)
            for j in members:
                arrived.setdefault(j, []).append((delay(1, j, i), trained, i))
        shown = {i: agents[i].copy() for i in woken}
        for j, arrivals in arrived.items():
            for _, _, i in arrivals:
                merge(agents[j].view, shown[i])
        done = {
            j: float(np.mean([model for _, model, _ in sorted(arrivals)[:needed]]))
            for j, arrivals in arrived.items()
            if len(arrivals) >= needed
        }
        for j in sent:
            merge(agents[j].view, agents[j].held)
            agents[j].held = {}
        waiting = not done
        models, k = (done, k + 1) if done else (models, k)
        log_entry["views"] = [agent.copy() for agent in agents]
        log_entry["models"], log_entry["round"] = dict(models), k
        log.append(log_entry)
    return log
