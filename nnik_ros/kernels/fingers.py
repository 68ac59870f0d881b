"""Steps of a finger's joints for a motion of its tip."""

from __future__ import annotations

import math

import numpy as np

from nnik_ros.compiled import B1, F1, F2, F3, F4, I1, I2, Array, Bools, Ints, compiled
from nnik_ros.kernels.chains import MODEL, depth_of, lever_arms, walk
from nnik_ros.kernels.points import clip, length

NETWORK, SHORTENED, STAND_IN, HOLD = 0, 1, 2, 3  # which step a tip took: guard.Solver
_PARTS = (0.5, 0.25)  # of a step that does not help
_PREFERRED = 2.0  # so many times as much must be gained to take the lead over from the policy, and back
# Of the motion of an end that may be only a part s of the way, so that it moves by 1 - s with the joints themselves: they come
# from a distance d by sqrt(2 a d) sqrt(s) / (1 - (1 - s) / 2), never faster than for s = 1.
_PART_FOLLOWED = 0.5


@compiled(f"void({F2}, {F1}, {B1}, f8, f8[::1])")
def add_closest(J: Array, rest: Array, fixed: Bools, damping: float, step: Array) -> None:
    """Add to step (depth,) the smallest motion of the joints that are not fixed that moves the tip by rest (3,), by
    J^T (J J^T + damping)^-1 rest."""
    a = b = c = d = e = f = 0.0  # the symmetric matrix, by rows
    for k in range(len(step)):
        if not fixed[k]:
            x, y, z = J[0, k], J[1, k], J[2, k]
            a, b, c, d, e, f = a + x * x, b + x * y, c + x * z, d + y * y, e + y * z, f + z * z
    a, d, f = a + damping, d + damping, f + damping
    A, B, C = d * f - e * e, c * e - b * f, b * e - c * d  # cofactors
    D, E, F = a * f - c * c, b * c - a * e, a * d - b * b
    determinant = a * A + b * B + c * C
    x = (A * rest[0] + B * rest[1] + C * rest[2]) / determinant
    y = (B * rest[0] + D * rest[1] + E * rest[2]) / determinant
    z = (C * rest[0] + E * rest[1] + F * rest[2]) / determinant
    for k in range(len(step)):
        if not fixed[k]:
            step[k] += J[0, k] * x + J[1, k] * y + J[2, k] * z


@compiled(f"void({F2}, {F1}, {F1}, f8[::1])")
def subtract_motion(J: Array, step: Array, task: Array, rest: Array) -> None:
    """rest = task - J step."""
    for i in range(3):
        rest[i] = task[i]
        for k in range(len(step)):
            rest[i] -= J[i, k] * step[k]


@compiled(f"f8({F1}, {F1}, f8, f8[::1])")
def _error(target: Array, tip: Array, reach: float, error: Array) -> float:
    """The error (3,) in units of the reach, and its length."""
    for i in range(3):
        error[i] = (target[i] - tip[i]) / reach
    return length(error)


@compiled(f"void({F1}, {I1}, {F2}, {F1}, {F1}, {F1}, f8, f8, f8[:, ::1], b1[::1], f8[::1])")
def _damped_step(
    q: Array, chain: Ints, J: Array, error: Array, lower: Array, upper: Array, damping: float, largest: float,
    scratch: Array, fixed: Bools, q_next: Array,
) -> None:  # fmt: skip
    """Joints of one chain (depth,) from q (nq,) to q_next (nq,), by J (3, depth) and error (3,) in units of the reach; scratch
    (2, depth or more) and fixed (depth,) are for scratch."""
    depth = len(chain)
    dq, rest = scratch[0, :depth], scratch[1, :3]
    for k in range(depth):
        dq[k], fixed[k] = 0.0, False
    add_closest(J, error, fixed, damping, dq)
    for _ in range(2):  # two joints of a chain may be at their limits together; a third would leave nothing to solve
        for k in range(depth):
            low, high = lower[chain[k]] - q[chain[k]], upper[chain[k]] - q[chain[k]]
            fixed[k] = dq[k] <= low or dq[k] >= high
            dq[k] = clip(dq[k], low, high) if fixed[k] else 0.0
        subtract_motion(J, dq, error, rest)
        add_closest(J, rest, fixed, damping, dq)
    most = largest
    for k in range(depth):
        most = max(most, abs(dq[k]))
    for k in range(depth):
        i = chain[k]
        q_next[i] = clip(q[i] + dq[k] * (largest / most), lower[i], upper[i])


@compiled(f"f8[:, ::1]({F2}, {F3}, {F4}, {F3}, {I2}, {F1}, {F1}, {F1}, b1, f8, f8, f8)")
def damped_least_squares(
    q: Array, position: Array, jacobian: Array, target: Array, chain: Ints, lower: Array, upper: Array, reach: Array,
    careful: bool, relative: float, smallest: float, largest: float,
) -> Array:  # fmt: skip
    """See `baseline.DampedLeastSquares`. q (n, nq), position and target (n, nt, 3), jacobian (n, nt, 3, depth)."""
    result, error, depths = q.copy(), np.empty(3), chain.shape[1]
    scratch, fixed = np.empty((2, max(depths, 3))), np.empty(depths, dtype=np.bool_)
    for n in range(len(q)):
        for t in range(len(chain)):
            own = chain[t, : depth_of(chain[t])]
            J = jacobian[n, t] / reach[t]
            size = _error(target[n, t], position[n, t], reach[t], error)
            damping = (size if careful else (relative * size) ** 2) + smallest * smallest
            _damped_step(q[n], own, J, error, lower, upper, damping, largest, scratch, fixed, result[n])
    return result


@compiled(f"b1({F1}, f8[::1], {I1}, {F1}, b1, f8[::1])")
def _within(q: Array, wanted: Array, chain: Ints, largest: Array, whole: bool, q_next: Array) -> bool:
    """Take the joints of one chain from q (nq,) towards `wanted` to q_next: the whole way, or as far as they can go at once,
    largest (nq,) [rad]; returns whether that is less. A joint whose way is not finite stays, also in `wanted`."""
    worst = 1.0
    for i in chain:
        if not math.isfinite(wanted[i]):
            wanted[i] = q[i]
        worst = max(worst, abs(wanted[i] - q[i]) / largest[i])
    cut = not whole and worst > 1.0
    for i in chain:
        q_next[i] = q[i] + (wanted[i] - q[i]) / worst if cut else wanted[i]
    return cut


@compiled(
    f"Tuple((f8[:, ::1], f8[:, ::1], f8[:, ::1], i8[:, ::1], b1[:, ::1], f8[:, ::1]))"
    f"({F2}, {F3}, {F3}, {I2}, {MODEL}, {F1}, {F1}, {F1}, {F1}, f8, f8, f8, f8, f8, f8)"
)
def guarded(
    q: Array, proposals: Array, target: Array, last: Ints, chain: Ints, constants: Array, start: Array, lower: Array,
    upper: Array, reach: Array, largest: Array, least: float, share: float, near: float, relative: float, smallest: float,
    largest_step: float,
) -> tuple[Array, Array, Array, Ints, Bools, Array]:  # fmt: skip
    """See `guard.GuardedPolicy`. q (n, nq); proposals (m, n, nq): steps of the policy, if any, parts of the first of which
    count, too; target (n, nt, 3); last (n, nt): solvers of the step before. A proposal must gain the least length or a share of
    the error; lengths are in units of the reach (nt,) [m]. For largest (nq,) [rad] and near see there.

    Returns the ends (n, nq), the errors there, as far as the joints get, and at q (n, nt) [m], the solver of each (n, nt),
    whether the first proposal helps (n, nt), and how much of the ends' motion is to be followed (n, nt).
    """
    nt, depths = chain.shape
    rotation, origin, axis = np.empty((nt, depths, 3, 3)), np.empty((nt, depths, 3)), np.empty((nt, depths, 3))
    tip, local, J, there, wish = np.empty((nt, 3)), np.empty((3, 3)), np.empty((3, depths)), q[0].copy(), q[0].copy()
    at_q, at_there = np.empty(3), np.empty(3)
    scratch, fixed = np.empty((2, max(depths, 3))), np.empty(depths, dtype=np.bool_)
    end, error, before = q.copy(), np.empty((len(q), nt)), np.empty((len(q), nt))
    solver, helped = np.full((len(q), nt), HOLD), np.zeros((len(q), nt), dtype=np.bool_)
    followed = np.zeros((len(q), nt))
    steps = len(proposals)
    parts = len(_PARTS) if steps > 0 else 0
    for n in range(len(q)):
        for t in range(nt):
            own = chain[t, : depth_of(chain[t])]
            walk(q[n], t, chain, constants, start, local, rotation, origin, axis, tip)
            size = best = _error(target[n, t], tip[t], reach[t], at_q)
            before[n, t] = error[n, t] = size * reach[t]
            if size <= least:
                helped[n, t], followed[n, t] = True, 1.0
                continue
            lever_arms(origin[t], axis[t], tip[t], J)
            J /= reach[t]
            whole, shortened = size <= near, False
            for attempt in range(steps + parts + 2):
                gain = min(least, share * size)
                if attempt < steps + parts:
                    kind = NETWORK if attempt < steps else SHORTENED
                    for i in own:
                        wish[i] = proposals[attempt if attempt < steps else 0, n, i]
                else:
                    kind, gain = STAND_IN, 0.0
                    damping = (size if attempt > steps + parts else (relative * size) ** 2) + smallest * smallest
                    _damped_step(q[n], own, J, at_q, lower, upper, damping, largest_step, scratch, fixed, wish)
                cut = _within(q[n], wish, own, largest, whole, there)
                shortened |= cut and attempt == 0
                if kind == SHORTENED:
                    for i in own:
                        there[i] = q[n, i] + _PARTS[attempt - steps] * (there[i] - q[n, i])
                walk(there, t, chain, constants, start, local, rotation, origin, axis, tip)
                size_there = _error(target[n, t], tip[t], reach[t], at_there)
                helps = size - size_there > gain
                helped[n, t] |= helps and attempt == 0 and steps > 0
                lead = 1.0
                if kind == STAND_IN and solver[n, t] != STAND_IN:
                    lead = 1.0 / _PREFERRED if last[n, t] == STAND_IN else _PREFERRED
                if helps and size - size_there > lead * (size - best):
                    best, error[n, t], solver[n, t] = size_there, size_there * reach[t], kind
                    goes_on = False
                    if cut and kind != SHORTENED:  # where its end is closer still, the joints need not stop before it
                        walk(wish, t, chain, constants, start, local, rotation, origin, axis, tip)
                        goes_on = _error(target[n, t], tip[t], reach[t], at_there) < size_there
                    for i in own:
                        end[n, i] = wish[i] if goes_on else there[i]
                    followed[n, t] = 0.0 if cut and not goes_on else _PART_FOLLOWED
                    if whole and kind != SHORTENED:
                        followed[n, t] = 1.0
                if helps and not shortened:  # the first that helps; but where the first had to be cut, the best
                    break
    return end, error, before, solver, helped, followed


@compiled(
    f"Tuple((f8[:, ::1], f8[:, ::1], b1[::1], b1))"
    f"({F2}, {F2}, {F3}, {MODEL}, {F1}, {F1}, {F1}, f8, f8, f8, f8, f8, i8, f8, f8, f8)"
)
def solved(
    q: Array, q_next: Array, target: Array, chain: Ints, constants: Array, start: Array, lower: Array, upper: Array,
    reach: Array, least: float, share: float, stands: float, far: float, good: float, steps: int, relative: float,
    smallest: float, largest: float,
) -> tuple[Array, Array, Bools, bool]:  # fmt: skip
    """A step from q to q_next (n, nq), followed by at most some damped least-squares steps of each tip towards target
    (n, nt, 3), each only if it helps, until the tip is good. Lengths are in units of the reach (nt,) [m].

    Returns the ends (n, nq), with the joints of q where q_next is not finite; the errors there (n, nt) [m]; the rows in
    which the first step brings every tip closer, by more than a share of its error or the least length, or else finds it good
    where it is, and leaves none standing still, at more than that share of its error, while far from its target; and whether
    these are all rows.
    """
    nt, depths = chain.shape
    rotation, origin, axis = np.empty((nt, depths, 3, 3)), np.empty((nt, depths, 3)), np.empty((nt, depths, 3))
    tip, local, J, there = np.empty((nt, 3)), np.empty((3, 3)), np.empty((3, depths)), np.empty(q.shape[1])
    error, scratch, fixed = np.empty(3), np.empty((2, max(depths, 3))), np.empty(depths, dtype=np.bool_)
    end, left, easy = q_next.copy(), np.empty((len(q), nt)), np.ones(len(q), dtype=np.bool_)
    for n in range(len(q)):
        here = end[n]
        for i in range(len(here)):
            if not math.isfinite(here[i]):
                here[i] = q[n, i]
        for t in range(nt):
            own = chain[t, : depth_of(chain[t])]
            walk(q[n], t, chain, constants, start, local, rotation, origin, axis, tip)
            before = _error(target[n, t], tip[t], reach[t], error)
            walk(here, t, chain, constants, start, local, rotation, origin, axis, tip)
            size = _error(target[n, t], tip[t], reach[t], error)
            gains = before - size > min(least, share * before)
            if not gains and before <= good:
                size = before
                for i in own:
                    here[i] = q[n, i]
            else:
                easy[n] &= gains and not (size > stands * before and size > far)
            for _ in range(steps):
                if not size > good:
                    break
                lever_arms(origin[t], axis[t], tip[t], J)
                J /= reach[t]
                damping = (relative * size) ** 2 + smallest * smallest
                _damped_step(here, own, J, error, lower, upper, damping, largest, scratch, fixed, there)
                walk(there, t, chain, constants, start, local, rotation, origin, axis, tip)
                size_there = _error(target[n, t], tip[t], reach[t], error)
                if not size_there < size:
                    break
                size = size_there
                for i in own:
                    here[i] = there[i]
            left[n, t] = size * reach[t]
    return end, left, easy, bool(easy.all())
