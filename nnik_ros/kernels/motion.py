"""A step of the command, from the wish to what leaves: lead bound, joint limits, distance of the fingers."""

from __future__ import annotations

import math

import numpy as np

from nnik_ros.compiled import B1, F1, F2, F3, I1, I2, Array, Bools, Ints, compiled
from nnik_ros.kernels.capsules import clearance_gradients, clearances_of, remember, slid, slow_together, too_fast
from nnik_ros.kernels.chains import MODEL, frames, tips
from nnik_ros.kernels.joints import (
    COLLISION,
    LEAD,
    SLOWEST,
    VELOCITY,
    drift,
    give_way,
    led,
    limited_step,
    speeds_within,
)
from nnik_ros.kernels.points import clip

_EVADES = 0.5  # of the margin: so close to another one, a finger that is held moves aside
_SWEEPS = 12  # over the pairs in contact: each satisfies one pair exactly, a few satisfy all, as the joints can


@compiled(f"f8[::1]({F1}, {F1}, {F1}, {I1}, {I1}, f8)")
def _braking_share(step: Array, v: Array, change: Array, tip_of_joint: Ints, together: Ints, period: float) -> Array:
    """The least share (tips,) of a step that fingers which slow down together can make, with all their joints braking, by
    change (nq,) [rad/s], and keep its direction: joints that stop before the others lead a finger off its way, and into its
    neighbour."""
    least = np.zeros(len(together))
    for i in range(len(step)):
        if step[i] * v[i] > 0.0:
            share = (abs(v[i]) - change[i]) * period / abs(step[i])
            least[together[tip_of_joint[i]]] = max(least[together[tip_of_joint[i]]], min(share, 1.0))
    return least[together]


@compiled(f"b1[::1]({B1}, {I2}, {I2}, {I1}, {F1}, f8)")
def _staying(held: Bools, place: Ints, pairs: Ints, tight: Ints, clearance: Array, least: float) -> Bools:
    """Fingers (tips,) that stay where they are held: but for those of tight pairs that are closer than the least [m] already,
    for what cannot brake in time is better evaded than met."""
    stays = held.copy()
    for n in range(len(tight)):
        if clearance[tight[n]] < least:
            for side in range(2):
                tip = place[pairs[tight[n], side], 0]
                if tip >= 0:
                    stays[tip] = False
    return stays


@compiled(f"f8[:, ::1]({F1}, {F1}, {F1}, {F1}, {F2}, {F2}, {I1}, {B1}, f8)")
def _room(
    step: Array, q: Array, v: Array, pace: Array, lead: Array, limits: Array, tip_of_joint: Ints, held: Bools, period: float
) -> Array:  # fmt: skip
    """The least and the largest step (2, nq) [rad] of a slide: what `limited_step` leaves the joints, for where one that brakes
    before its limit were to evade, nobody would. Fingers that shall come to rest, held (tips,), may stop sooner than they were
    to, and are not moved aside."""
    room = np.empty((2, len(step)))
    for i in range(len(step)):
        change = limits[3, i] * period
        slowest, fastest = speeds_within(q[i], limits[0, i], limits[1, i], limits[3, i], period)
        room[0, i] = clip(max(slowest, -pace[i], -lead[0, i]), v[i] - change, v[i] + change) * period
        room[1, i] = clip(min(fastest, pace[i], lead[1, i]), v[i] - change, v[i] + change) * period
        if held[tip_of_joint[i]]:
            room[0, i] = min(step[i], max(room[0, i], 0.0))
            room[1, i] = max(step[i], min(room[1, i], 0.0))
    return room


@compiled(f"f8[::1]({F1}, {F2}, {F2}, {F1}, {I1}, {B1})")
def _slid_past(step: Array, room: Array, gradients: Array, allowed: Array, tip_of_joint: Ints, held: Bools) -> Array:
    """A step (nq,) by which fingers slide past each other; those that are held do their part by braking alone."""
    part = gradients.copy()
    for i in range(len(step)):
        if held[tip_of_joint[i]]:
            for n in range(len(part)):
                if part[n, i] * step[i] >= 0.0:
                    part[n, i] = 0.0
    kept = slid(step, room[0], room[1], part, allowed, _SWEEPS)
    for i in range(len(step)):
        if held[tip_of_joint[i]]:
            kept[i] = clip(kept[i], room[0, i], room[1, i])
    return kept


@compiled(
    f"Tuple((f8[::1], f8[::1], i8[::1], f8[::1]))"
    f"({F1}, {F1}, f8[::1], f8[::1], i8[::1], {F1}, {F2}, {B1}, {F2}, {I1}, {MODEL}, {I2}, {F3}, {I2}, {F1}, {F1}, "
    "f8, f8, f8, f8)"
)
def _kept_apart(
    q: Array, v: Array, q_next: Array, v_next: Array, flags: Ints, pace: Array, lead: Array, held: Bools, limits: Array,
    tip_of_joint: Ints, chain: Ints, constants: Array, start: Array, place: Ints, local: Array, pairs: Ints, radii: Array,
    now: Array, margin: float, share: float, braking: float, period: float,
) -> tuple[Array, Array, Ints, Array]:  # fmt: skip
    """The step from q, with the clearances now (pairs,) [m], to q_next, changed so that no fingers come too close; the flags
    (nq,) of what limits it are added to. Returns q and v (nq,) after it, whom each tip met (nt,), see `moved`, and the
    clearances (pairs,) [m] then."""
    groups = len(chain)
    met, excess, no_drift = np.full(groups, -1), np.zeros(groups), np.zeros(len(q))
    after = clearances_of(q_next, chain, constants, start, place, local, pairs, radii)
    step, slower = q_next - q, np.ones(groups)
    together = np.arange(groups)  # fingers that slow down as one have the same number
    # slide past each other; where that does not help, slow down, and who is met by that
    for remedy in range(1 + groups):
        tight, allowed, closing = too_fast(now, after, margin, share, braking, period)
        if len(tight) == 0:
            break
        remember(place, pairs, tight, closing - allowed, met, excess)
        if remedy == 0:
            gradients = clearance_gradients(q, chain, constants, start, place, local, pairs[tight])
            stays = _staying(held, place, pairs, tight, now, _EVADES * margin)
            room = _room(step, q, v, pace, lead, limits, tip_of_joint, stays, period)
            kept = _slid_past(step, room, gradients, allowed, tip_of_joint, stays)
        else:
            slow_together(place, pairs, tight, allowed, closing, together, slower)
            least = _braking_share(step, v, limits[3] * period, tip_of_joint, together, period)
            kept = np.maximum(slower, least)[tip_of_joint] * step
        q_next, v_next, limited = limited_step(
            q, v, q + kept, no_drift, pace, lead, limits, tip_of_joint, groups, period
        )
        for i in range(len(q)):
            flags[i] |= limited[i]
            if kept[i] != step[i]:
                flags[i] |= COLLISION
        if remedy == 0:
            step = q_next - q
        after = clearances_of(q_next, chain, constants, start, place, local, pairs, radii)
    return q_next, v_next, met, after


@compiled(
    f"Tuple((f8[::1], f8[::1], b1, i8[::1], i8[::1], f8[:, ::1], f8[:, :, ::1], f8[:, ::1], f8[::1]))"
    f"({F1}, {F1}, {F1}, {F1}, {F1}, {F1}, {B1}, {F1}, {F2}, f8, {I1}, {MODEL}, {I2}, {F3}, {I2}, {F1}, {F1}, f8, f8, f8, f8)"
)
def moved(
    q: Array, v: Array, wish: Array, last_wish: Array, followed: Array, speed: Array, held: Bools, measured: Array,
    limits: Array, lead: float, tip_of_joint: Ints, chain: Ints, constants: Array, start: Array, place: Ints, local: Array,
    pairs: Ints, radii: Array, clearance: Array, margin: float, share: float, braking: float, period: float,
) -> tuple[Array, Array, bool, Ints, Ints, Array, Array, Array, Array]:  # fmt: skip
    """See `motion.JointMotion.step`. limits (5, nq): lower, upper, velocity, acceleration, and what the lead bound brakes with;
    place, local, pairs, radii: see `capsules`, no pairs for no check; clearance (pairs,) [m] at q, empty where not known.

    Returns q and v (nq,), whether they are finite, what limited each tip (nt,), whom it met (nt,), the tip or -1 for the base
    that it came too close to by most, tips (nt, 3) and Jacobians (nt, 3, depth) at q, the measured tips (nt, 3), and the
    clearance (pairs,) at q.
    """
    groups = len(chain)
    bound, speeds = led(q, wish, measured, lead, limits[4], period)
    pace, moves = np.empty(len(q)), drift(wish, last_wish, limits[2], tip_of_joint, followed, period)
    for i in range(len(q)):
        pace[i] = max(speed[tip_of_joint[i]] * limits[2, i], SLOWEST)
    give_way(q, bound, pace, measured, lead, limits[2], tip_of_joint, groups, period)
    for i in range(len(q)):
        if bound[i] != wish[i]:
            moves[i] = 0.0
    q_next, v_next, flags = limited_step(q, v, bound, moves, pace, speeds, limits, tip_of_joint, groups, period)
    for i in range(len(q)):
        if bound[i] != wish[i] and speeds[1 if wish[i] > bound[i] else 0, i] < limits[2, i]:
            flags[i] |= LEAD
    met: Ints = np.full(groups, -1)
    after = clearance.copy()
    if len(pairs) > 0:
        now = clearance.copy()
        if len(clearance) == 0:
            now = clearances_of(q, chain, constants, start, place, local, pairs, radii)
        q_next, v_next, met, after = _kept_apart(
            q, v, q_next, v_next, flags, pace, speeds, held, limits, tip_of_joint, chain, constants, start, place, local,
            pairs, radii, now, margin, share, braking, period,
        )  # fmt: skip
    finite, limited_tip = True, np.zeros(groups, dtype=np.int64)
    for i in range(len(q)):
        finite &= math.isfinite(q_next[i])
        if speed[tip_of_joint[i]] == 0.0:
            flags[i] &= ~VELOCITY  # its joints are not too slow, they shall not move
        limited_tip[tip_of_joint[i]] |= flags[i]
    tip, jacobian = tips(q_next.reshape(1, -1), chain, constants, start)
    measured_tip = frames(measured, chain, constants, start)[3]
    return q_next, v_next, finite, limited_tip, met, tip[0], jacobian[0], measured_tip, after
