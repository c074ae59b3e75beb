"""One noiseless step of every model of motion in plain numpy, agent by agent."""

import numpy as np


def offset(box, one, two):
    gap = two - one
    if box.boundary == "periodic":
        gap = gap - np.asarray(box.sides) * np.round(gap / np.asarray(box.sides))
    return gap


def others(state, i):
    return [j for j in range(len(state.active)) if j != i and state.active[j]]


def unit(v):
    size = np.linalg.norm(v)
    return v / size if size > 0 else v


def vicsek(box, state, p):
    turned = []
    for i, angle in enumerate(state.angles):
        total = np.array([np.cos(angle), np.sin(angle)])
        for j in others(state, i):
            if np.linalg.norm(offset(box, state.positions[i], state.positions[j])) <= p.radius:
                total += [np.cos(state.angles[j]), np.sin(state.angles[j])]
        turned.append(np.arctan2(total[1], total[0]))
    way = np.stack([np.cos(state.angles), np.sin(state.angles)], axis=1)
    moved = (state.positions + p.speed * way) % np.asarray(box.sides)
    return np.where(state.active[:, None], moved, state.positions), np.array(turned)


def boids(box, state, p, radius, dt):
    at, v = state.positions, state.velocities
    new = v.copy()
    for i in range(len(at)):
        near = [j for j in others(state, i) if np.linalg.norm(offset(box, at[i], at[j])) <= radius]
        if not near:
            continue
        gaps = np.array([offset(box, at[i], at[j]) for j in near])
        squared = (gaps**2).sum(1)
        close = (squared < (p.personal * radius) ** 2) & (squared > 0)
        away = -(radius * gaps[close] / squared[close, None]).sum(axis=0)
        steer = p.separation * away + p.alignment * (v[near].mean(axis=0) - v[i])
        new[i] = v[i] + dt * (steer + p.cohesion * gaps.mean(axis=0))
    speed = np.linalg.norm(new, axis=1, keepdims=True)
    new = new * np.clip(speed, p.min_speed, p.max_speed) / speed
    return _moved(box, state, new, dt), np.where(state.active[:, None], new, v)


def cucker_smale(box, state, p, radius, dt):
    at, v = state.positions, state.velocities
    new = v.copy()
    for i in range(len(at)):
        for j in others(state, i):
            gap = offset(box, at[i], at[j])
            if np.linalg.norm(gap) <= radius:
                weight = p.strength * (1 + gap @ gap) ** -p.decay
                new[i] += dt * weight * (v[j] - v[i]) / state.active.sum()
    return _moved(box, state, v, dt), np.where(state.active[:, None], new, v)


def couzin(box, state, p, dt):
    at, v = state.positions, state.velocities
    new = v.copy()
    for i in range(len(at)):
        way, flee, align, approach = unit(v[i]), 0.0, 0.0, 0.0
        for j in others(state, i):
            gap = offset(box, at[i], at[j])
            far = np.linalg.norm(gap)
            ahead = way @ unit(gap) >= np.cos(p.field / 2)
            if far < p.repulsion:
                flee = flee - unit(gap)
            elif far < p.orientation and ahead:
                align = align + unit(v[j])
            elif p.orientation <= far <= p.attraction and ahead:
                approach = approach + unit(gap)
        wanted = np.zeros(len(way)) + flee
        if not wanted.any():
            wanted = unit(np.zeros(len(way)) + align) + unit(np.zeros(len(way)) + approach)
        wanted = unit(wanted) if np.linalg.norm(wanted) > 1e-9 else way
        angle = np.arccos(np.clip(way @ wanted, -1, 1))
        if angle > p.turn * dt:
            aside = unit(wanted - (wanted @ way) * way)
            wanted = np.cos(p.turn * dt) * way + np.sin(p.turn * dt) * aside
        new[i] = p.speed * wanted
    return _moved(box, state, new, dt), np.where(state.active[:, None], new, v)


def aggregation(state, p, dt):
    at = state.positions
    new = at.copy()
    for i in np.flatnonzero(state.active):
        for j in others(state, i):
            gap = at[j] - at[i]
            pull = p.attraction - p.repulsion * np.exp(-(gap @ gap) / p.width)
            new[i] += dt * pull * gap
    return new


def kuramoto_slope(phases, frequencies, weights, coupling):
    """``weights [N, N]``: what agent ``i`` gives ``j``."""
    slope = np.array(frequencies, float)
    for i in range(len(phases)):
        for j in range(len(phases)):
            slope[i] += coupling * weights[i, j] * np.sin(phases[j] - phases[i])
    return slope


def runge_kutta(slope, x, dt):
    one = slope(x)
    two = slope(x + dt / 2 * one)
    three = slope(x + dt / 2 * two)
    four = slope(x + dt * three)
    return x + dt / 6 * (one + 2 * two + 2 * three + four)


def _moved(box, state, velocities, dt):
    moved = state.positions + dt * velocities
    if box.boundary == "periodic":
        moved = moved % np.asarray(box.sides)
    return np.where(state.active[:, None], moved, state.positions)
