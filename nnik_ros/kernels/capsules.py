"""Capsules: how far pairs of them are from each other, and steps that keep them apart."""

from __future__ import annotations

import numpy as np

from nnik_ros.compiled import F1, F2, F3, I1, I2, Array, Ints, compiled
from nnik_ros.kernels.chains import MODEL, capsule_ends, frames, lever_arms
from nnik_ros.kernels.joints import stopping_speed
from nnik_ros.kernels.points import TINY, clip, largest, length

_STRIDE = 0.5  # of the range of the joint that helps most, the longest step of a search
_POINT = 1e-15  # m^2 and m^4; below, a segment is a point and two segments are parallel


@compiled("f8(f8, f8)")
def _share(numerator: float, denominator: float) -> float:
    """The quotient, kept within [0, 1]; 0 for a segment without length."""
    return clip(numerator / max(denominator, _POINT), 0.0, 1.0)


@compiled(f"Tuple((f8, f8))({F2}, {F2}, f8[::1])")
def closest(first: Array, second: Array, gap: Array) -> tuple[float, float]:
    """Where two segments, ends (2, 3) [m] each, come closest: the shares of the way along them, and in gap (3,) the way there
    from the second to the first. Source: Ericson, Real-Time Collision Detection (2005), section 5.1.9."""
    a = b = c = e = f = 0.0
    for k in range(3):
        d1, d2, r = first[1, k] - first[0, k], second[1, k] - second[0, k], first[0, k] - second[0, k]
        a, b, c, e, f = a + d1 * d1, b + d1 * d2, c + d1 * r, e + d2 * d2, f + d2 * r
    denominator = a * e - b * b
    crossing = denominator > _POINT
    s = _share(b * f - c * e, denominator) if crossing else 0.0
    t = b * s + f
    if not (crossing and 0.0 <= t <= e):
        s = _share(b * _share(t, e) - c, a)
    t = _share(t, e)
    for k in range(3):
        on_first = first[0, k] + s * (first[1, k] - first[0, k])
        gap[k] = on_first - second[0, k] - t * (second[1, k] - second[0, k])
    return s, t


@compiled(f"f8[::1]({F3}, {I2}, {F1})")
def clearances(ends: Array, pairs: Ints, radii: Array) -> Array:
    """Distances (pairs,) [m] between capsules, ends (capsules, 2, 3) [m]; radii: of both of each pair together [m]."""
    result, gap = np.empty(len(pairs)), np.empty(3)
    for p in range(len(pairs)):
        closest(ends[pairs[p, 0]], ends[pairs[p, 1]], gap)
        result[p] = length(gap) - radii[p]
    return result


@compiled(f"f8[::1]({F1}, {MODEL}, {I2}, {F3}, {I2}, {F1})")
def clearances_of(
    q: Array, chain: Ints, constants: Array, start: Array, place: Ints, local: Array, pairs: Ints, radii: Array
) -> Array:
    """The distances (pairs,) [m] at q (nq,); place and local: see `chains.capsule_ends`."""
    rotation, origin, _, _ = frames(q, chain, constants, start)
    return clearances(capsule_ends(rotation, origin, place, local), pairs, radii)


@compiled(f"f8[:, ::1]({F2}, {MODEL}, {I2}, {F3}, {I2}, {F1})")
def clearances_at(
    q: Array, chain: Ints, constants: Array, start: Array, place: Ints, local: Array, pairs: Ints, radii: Array
) -> Array:
    """As `clearances_of`, at many q (n, nq): (n, pairs)."""
    result = np.empty((len(q), len(pairs)))
    for n in range(len(q)):
        result[n] = clearances_of(q[n], chain, constants, start, place, local, pairs, radii)
    return result


@compiled(f"void({F3}, {F3}, {I2}, {I1}, {F2}, {F1}, f8, f8[::1])")
def _add_slopes(
    origin: Array, axis: Array, chain: Ints, place: Ints, ends: Array, normal: Array, along: float, slope: Array
) -> None:
    """Add to slope (nq,) how a point of a capsule, a share of the way along it, moves in the direction of the normal (3,) with
    the joints before it."""
    t, joints, point = place[0], place[1] + 1, np.empty(3)
    if t < 0:
        return
    for k in range(3):
        point[k] = ends[0, k] + along * (ends[1, k] - ends[0, k])
    motion = np.empty((3, joints))
    lever_arms(origin[t, :joints], axis[t, :joints], point, motion)
    for d in range(joints):
        slope[chain[t, d]] += motion[0, d] * normal[0] + motion[1, d] * normal[1] + motion[2, d] * normal[2]


@compiled(f"f8[:, ::1]({F1}, {MODEL}, {I2}, {F3}, {I2})")
def clearance_gradients(
    q: Array, chain: Ints, constants: Array, start: Array, place: Ints, local: Array, pairs: Ints
) -> Array:
    """How the distances of some pairs of capsules grow with the joints at q (nq,): (pairs, nq) [m/rad].

    The places along both segments need no derivative: they are where the distance is smallest.
    """
    rotation, origin, axis, _ = frames(q, chain, constants, start)
    ends = capsule_ends(rotation, origin, place, local)
    result, normal = np.zeros((len(pairs), len(q))), np.empty(3)
    for p in range(len(pairs)):
        first, second = pairs[p, 0], pairs[p, 1]
        s, t = closest(ends[first], ends[second], normal)
        normal /= max(length(normal), TINY)
        _add_slopes(origin, axis, chain, place[first], ends[first], normal, s, result[p])
        normal *= -1.0
        _add_slopes(origin, axis, chain, place[second], ends[second], normal, t, result[p])
    return result


@compiled(f"f8[::1]({F3}, {F1}, {F1}, {MODEL}, {I2}, {F3}, {I2}, {F1}, f8, i8)")
def nearest(
    starts: Array, lower: Array, upper: Array, chain: Ints, constants: Array, start: Array, place: Ints, local: Array,
    pairs: Ints, radii: Array, enough: float, steps: int,
) -> Array:  # fmt: skip
    """The smallest distances (pairs,) [m] found by descent within the joint limits (nq,) from starts (pairs, k, nq) [rad], in
    steps that get longer where they help and shorter where they do not; a pair that comes closer than `enough` [m] is not
    searched further."""
    result, pair = np.full(len(pairs), np.inf), np.arange(2).reshape(1, 2)
    for p in range(len(pairs)):
        carriers, segments, radius = place[pairs[p]], local[pairs[p]], radii[p : p + 1]
        for k in range(starts.shape[1]):
            q, best, stride = starts[p, k].copy(), np.inf, _STRIDE
            way, there = np.zeros(len(q)), q.copy()
            for _ in range(steps):
                distance = clearances_of(there, chain, constants, start, carriers, segments, pair, radius)[0]
                if distance < best:
                    best, q, stride = distance, there.copy(), 1.5 * stride
                    slope = clearance_gradients(q, chain, constants, start, carriers, segments, pair)[0]
                    way = slope / max(largest(slope), TINY) * (upper - lower)
                else:
                    stride *= 0.4
                for i in range(len(q)):
                    there[i] = clip(q[i] - stride * way[i], lower[i], upper[i])
            result[p] = min(result[p], best)
            if result[p] < enough:
                break
    return result


@compiled(f"Tuple((i8[::1], f8[::1], f8[::1]))({F1}, {F1}, f8, f8, f8, f8)")
def too_fast(
    now: Array, after: Array, margin: float, share: float, braking: float, period: float
) -> tuple[Ints, Array, Array]:
    """The pairs that close by more than a share of what is left of their distance above the margin, or too fast to stop before
    it, braking [m/s^2]; what they may close, and what they close [m]."""
    pairs, allowed, closing = np.empty(len(now), dtype=np.int64), np.empty(len(now)), np.empty(len(now))
    n = 0
    for p in range(len(now)):
        left = max(now[p] - margin, 0.0)
        most = min(left * share, stopping_speed(left, braking, period) * period)
        if now[p] - after[p] > most:
            pairs[n], allowed[n], closing[n] = p, most, now[p] - after[p]
            n += 1
    return pairs[:n].copy(), allowed[:n].copy(), closing[:n].copy()


@compiled(f"void({I2}, {I2}, {I1}, {F1}, i8[::1], f8[::1])")
def remember(place: Ints, pairs: Ints, tight: Ints, beyond: Array, met: Ints, excess: Array) -> None:
    """For each tip of tight pairs, which close by too much, beyond (tight,) [m], the other one in met (tips,), -1 for the base,
    where that is more than its excess (tips,) [m] so far."""
    for n in range(len(tight)):
        a, b = place[pairs[tight[n], 0], 0], place[pairs[tight[n], 1], 0]
        for tip, other in ((a, b), (b, a)):
            if tip >= 0 and beyond[n] > excess[tip]:
                met[tip], excess[tip] = other, beyond[n]


@compiled(f"f8[::1]({F1}, {F1}, {F1}, {F2}, {F1}, i8)")
def slid(step: Array, slowest: Array, fastest: Array, gradients: Array, most: Array, sweeps: int) -> Array:
    """The joint step (nq,) without what closes each pair, gradients (pairs, nq) [m/rad], by more than most (pairs,) [m], and
    between the steps that the joints can make (nq,) [rad]: projected in turns, so as near as the sweeps get."""
    result = step.copy()
    for _ in range(sweeps):
        for i in range(len(step)):
            result[i] = clip(result[i], slowest[i], fastest[i])
        for p in range(len(gradients)):
            closing, steepness = -most[p], TINY
            for i in range(len(step)):
                closing -= gradients[p, i] * result[i]
                steepness += gradients[p, i] * gradients[p, i]
            if closing > 0.0:
                result += gradients[p] * (closing / steepness)
    return result


@compiled(f"void({I2}, {I2}, {I1}, {F1}, {F1}, i8[::1], f8[::1])")
def slow_together(
    place: Ints, pairs: Ints, tight: Ints, most: Array, closing: Array, together: Ints, share: Array
) -> None:  # fmt: skip
    """Reduce the shares (tips,) of their steps that fingers make, so that tight pairs close by `most` (tight,) [m] where they
    closed by `closing`. The fingers of a pair then make the same share, and with them all that either was put together with
    before, together (tips,): one that is slowed alone could no more retreat from a third."""
    for n in range(len(tight)):
        first, second = place[pairs[tight[n], 0], 0], place[pairs[tight[n], 1], 0]
        a, b = max(first, second), min(first, second)  # at most one of them is the base, -1
        if b >= 0 and together[a] != together[b]:
            old, new, slowest = together[a], together[b], min(share[a], share[b])
            for t in range(len(together)):
                if together[t] == old:
                    together[t] = new
                if together[t] == new:
                    share[t] = slowest
    slower = share.copy()
    for n in range(len(tight)):
        a = max(place[pairs[tight[n], 0], 0], place[pairs[tight[n], 1], 0])
        for t in range(len(together)):
            if together[t] == together[a]:
                slower[t] = min(slower[t], share[a] * most[n] / closing[n])
    share[:] = slower
