"""Another motion of a finger's free degree: `posture.Posture`."""

from __future__ import annotations

import math

import numpy as np

from nnik_ros.compiled import B1, F1, F2, F3, I2, Array, Bools, Ints, compiled
from nnik_ros.kernels.chains import depth_of
from nnik_ros.kernels.fingers import add_closest, subtract_motion
from nnik_ros.kernels.points import TINY, clip, length

COORDINATES = 3  # of a tip; a chain with more joints has a free degree
_FLAT = 1e-3  # of a joint's turn, that a tip turns at least with it in a Newton step


@compiled(f"f8({F2}, {F1}, {F1}, f8, f8, f8[::1])")
def _task(J: Array, solved: Array, to_go: Array, agree_share: float, rounding: float, task: Array) -> float:
    """The tip motion (3,) [m] of a step, or the way to go itself where both agree: a network's float32 step is a noise of
    1e-7 rad away from it, which is nothing in position and a lot in jerk. Returns how far the tip is to move: the length of
    the step's motion, or of the way to go if that is less."""
    for i in range(3):
        task[i] = 0.0
        for k in range(len(solved)):
            task[i] += J[i, k] * solved[k]
    gap = to_go - task
    moves, whole = length(task), length(to_go)
    task += gap * clip(2.0 - length(gap) / (agree_share * whole + rounding), 0.0, 1.0)
    return min(moves, whole)


@compiled(f"i8({F1}, {F1}, {F1}, {F1}, {B1})")
def _first_beyond(step: Array, solved: Array, low: Array, high: Array, fixed: Bools) -> int:
    """The joint that is not fixed and comes first to low or high on the way from solved to step (depth,); -1: none does."""
    first, least = -1, 0.0
    for k in range(len(step)):
        beyond = max(low[k] - step[k], step[k] - high[k]) / max(abs(step[k] - solved[k]), TINY)
        if beyond > least and not fixed[k]:
            first, least = k, beyond
    return first


@compiled(f"void({F2}, {F1}, f8, {F1}, {F1}, {F1}, f8[::1])")
def _shape(J: Array, task: Array, damping: float, solved: Array, low: Array, high: Array, step: Array) -> None:
    """Of all steps (depth,) with the tip motion task (3,), which solved has, the one closest to the given one, which it
    replaces. A joint that would go beyond low or high stops there, one after the other as long as the others have a free degree
    to make up for it; then all stop together on the way from solved, for the tip comes first."""
    pull, rest, fixed = step.copy(), np.empty(3), np.zeros(len(step), dtype=np.bool_)
    for left in range(len(step) - COORDINATES, -1, -1):
        subtract_motion(J, step, task, rest)
        add_closest(J, rest, fixed, damping, step)
        first = _first_beyond(step, solved, low, high, fixed)
        if first < 0:
            return
        if left > 0:
            fixed[first], pull[first] = True, clip(step[first], low[first], high[first])
            step[:] = pull
    share = 1.0
    for k in range(len(step)):
        way, least, most = step[k] - solved[k], min(low[k] - solved[k], 0.0), max(high[k] - solved[k], 0.0)
        if way < least or way > most:
            share = min(share, (least if way < 0.0 else most) / way)
    for k in range(len(step)):
        step[k] = solved[k] + share * (step[k] - solved[k])


@compiled(f"f8[::1]({F1}, {F1}, {F1}, {F1}, {F1}, f8, f8)")
def posture_pull(
    q: Array, preferred: Array, inner_lower: Array, inner_upper: Array, largest: Array, repulsion: float, share: float
) -> Array:
    """A step (nq,) [rad] by a share of the way to the preferred posture, with more weight on what is close to its limits."""
    pull = np.empty(len(q))
    for i in range(len(q)):
        inwards = max(inner_lower[i] - q[i], 0.0) + min(inner_upper[i] - q[i], 0.0)
        pull[i] = clip((preferred[i] - q[i] + repulsion * inwards) * share, -largest[i], largest[i])
    return pull


@compiled(f"void(f8[::1], {F3}, {F3}, {F2}, {F1}, {I2}, {F1}, {F1}, {F1}, f8)")
def turn(
    pull: Array, jacobian: Array, turning: Array, gap: Array, weight: Array, chain: Ints, damping: Array, leak: Array,
    largest: Array, share: float,
) -> None:  # fmt: skip
    """Replace a part, weight (nt,), of the pull (nq,) [rad] by what turns the tips. turning (nt, 3, depth): derivatives of
    their directions, gap (nt, 3): from the directions to the wanted ones, nan for none; share of a Newton step; leak (nt,) [m]:
    so far the tip may move with it, where the finger is all but stretched and no motion leaves it in place."""
    for t in range(len(chain)):
        n = depth_of(chain[t])
        if not weight[t] > 0.0 or not math.isfinite(gap[t, 0] + gap[t, 1] + gap[t, 2]) or n <= COORDINATES:
            continue
        J, D = np.ascontiguousarray(jacobian[t, :, :n]), np.ascontiguousarray(turning[t, :, :n])
        uphill, away, none = np.zeros(n), np.zeros(3), np.zeros(n, dtype=np.bool_)
        for k in range(n):
            for i in range(3):
                uphill[k] += D[i, k] * gap[t, i]
        free = uphill.copy()  # the part of it that leaves the tip where it is
        subtract_motion(J, uphill, away, away)
        add_closest(J, away, none, damping[t], free)
        slope = steepness = 0.0
        for i in range(3):
            turned = 0.0
            for k in range(n):
                turned += D[i, k] * free[k]
            steepness += turned * turned
        for k in range(n):
            slope += uphill[k] * free[k]
            steepness += _FLAT * free[k] * free[k]
        step = share * slope / max(steepness, TINY)
        for k in range(n):
            step = min(step, largest[chain[t, k]] / max(abs(free[k]), TINY))
        subtract_motion(J, free, np.zeros(3), away)
        step = min(step, leak[t] / max(length(away), TINY))
        for k in range(n):
            pull[chain[t, k]] += weight[t] * (step * free[k] - pull[chain[t, k]])


@compiled(f"f8[::1]({F1}, {F2}, {F3}, {F1}, {F2}, {B1}, {F1}, f8[::1], f8, {I2}, {F1}, {F1}, {F1}, {F1}, f8, f8, {F1})")
def postured(
    q: Array, position: Array, jacobian: Array, q_next: Array, target: Array, takes_part: Bools, pull: Array, eased: Array,
    ease: float, chain: Ints, lower: Array, upper: Array, damping: Array, near: Array, soft: float, agree: float,
    rounding: Array,
) -> Array:  # fmt: skip
    """See `posture.Posture`: q_next with another motion of the free degrees, as close to pull (nq,) [rad] as the tips allow.
    position (nt, 3) and jacobian (nt, 3, depth) at q; eased (nt,) goes on by ease, from 0 to 1, of those that take part."""
    result = q_next.copy()
    depth = chain.shape[1]
    solved, shaped, low, high, task = np.empty(depth), np.empty(depth), np.empty(depth), np.empty(depth), np.empty(3)
    for t in range(len(chain)):
        n = depth_of(chain[t])
        eased[t] = min(1.0, eased[t] + ease) if takes_part[t] else 0.0
        if not takes_part[t] or n <= COORDINATES:
            continue
        J = np.ascontiguousarray(jacobian[t, :, :n])
        say = eased[t] * eased[t] * (3.0 - 2.0 * eased[t])
        for k in range(n):
            i = chain[t, k]
            shaped[k], solved[k] = say * pull[i], q_next[i] - q[i]
            low[k], high[k] = soft * (lower[i] - q[i]), soft * (upper[i] - q[i])
        way = _task(J, solved[:n], target[t] - position[t], agree, rounding[t], task)
        share = clip(2.0 - way / near[t], 0.0, 1.0)
        if share == 0.0:
            continue
        _shape(J, task, damping[t], solved[:n], low[:n], high[:n], shaped[:n])
        for k in range(n):
            i = chain[t, k]
            result[i] = q[i] + solved[k] + share * (shaped[k] - solved[k])
    return result
