"""Fit the geometry of a robot to measured tips: robust least squares with priors.

Unknown are the joints' zero offsets, the joint origins, the tips, on demand the directions of the joint axes, and by how much
the tips' stamps are late. Many combinations of them move no tip (a joint origin slides along its own axis, say); the priors
hold these at the description. What counts is therefore not how well each number is known but how well all of them together
place a tip: the uncertainty of a tip anywhere in the joints' range, from the covariance of the fit.
Source of the covariance and of such fits: Hollerbach, Khalil, Gautier, "Model Identification", Springer Handbook of Robotics
(2016), chapter 6.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares

from nnik_ros.calibration import rotation_from_vector
from nnik_ros.geometry import Array, skew
from nnik_ros.kinematics import KinematicParameters, Kinematics, jacobian
from nnik_ros.training.recording import SPREAD_PER_MAD, measured_tips

_FIRST_NOISE = 3e-3  # m; an uncalibrated robot is off by more, so that the first round looks at all measurements
_LEAST_NOISE = 1e-7  # m; of a recording without noise
_ROUNDS, _SETTLED = 8, 0.02  # of the robust fit, until the noise changes by no more than this share
_ROUGH = 500  # poses in the robust rounds; the last one takes all
_REFINEMENTS, _REFINED = 10, 1e-7  # of a prior
_INLIER = 4.5  # standard deviations of the distance; of a normal distribution one in 7000 lies beyond


@dataclass(frozen=True)
class Priors:
    """Standard deviations of what is unknown, before there is data: joint_zero [rad], joint_origin [m] and tip [m] in each
    direction, axis [rad] about each direction (0: axes are as described), delay [s] (0: clocks agree)."""

    joint_zero: float = 0.1
    joint_origin: float = 0.005
    tip: float = 0.005
    axis: float = 0.0
    delay: float = 0.05


class Data(NamedTuple):
    """q (n, nq) [rad], dq (n, nq) [rad/s], tip (n, nt, 3) [m] with NaN where nothing was measured."""

    q: Array
    dq: Array
    tip: Array


@dataclass(frozen=True)
class Fit:
    """kinematics: the calibrated ones; delay [s]: of the tips' stamps; used (n, nt): measurements that were not outliers;
    noise [m]: standard deviation of each coordinate of a tip; covariance: of all unknowns over their priors."""

    kinematics: Kinematics
    delay: float
    used: NDArray[np.bool_] = field(repr=False)
    noise: float
    unknowns: Unknowns = field(repr=False)
    covariance: Array = field(repr=False)

    def tip_uncertainty(self, q: Array) -> Array:
        """Standard deviation [m] of the distance of each tip from where the calibrated kinematics put it at q (n, nq):
        (n, nt)."""
        J = self.unknowns.jacobian(self.kinematics, q, np.zeros_like(q))
        variance: Array = np.einsum("nijk,kl,nijl->ni", J, self.covariance, J)
        return np.sqrt(variance)

    @property
    def joint_zero_uncertainty(self) -> Array:
        """Standard deviation (nq,) [rad] of each joint's zero alone; large where another unknown could do the same."""
        nq = len(self.kinematics.parameters.joint_zero)
        return np.sqrt(np.diag(self.covariance)[:nq]) * self.unknowns.priors.joint_zero


class Unknowns:
    """Between the vector of the unknowns, each over its prior, and the geometry.

    Order: joint zeros (nq), joint origins (nq, 3), tips (nt, 3), then axes (nq, 3) and delay (1) where they have a prior.
    """

    def __init__(self, nominal: Kinematics, priors: Priors) -> None:
        self.nominal = nominal
        self.priors = priors
        nq, nt = nominal.topology.axis.shape[0], nominal.topology.chain.shape[0]
        sizes = {
            "zero": nq,
            "origin": 3 * nq,
            "tip": 3 * nt,
            "axis": 3 * nq * (priors.axis > 0),
            "delay": int(priors.delay > 0),
        }
        stops = np.cumsum(list(sizes.values()))
        self._at = {
            name: slice(int(stop) - size, int(stop)) for (name, size), stop in zip(sizes.items(), stops, strict=True)
        }
        self.size = int(stops[-1])

    def kinematics(self, x: Array) -> Kinematics:
        nominal, priors, at = self.nominal.parameters, self.priors, self._at
        rotation = nominal.joint_origin_rotation
        if priors.axis > 0:
            turn = x[at["axis"]].reshape(-1, 3) * priors.axis
            rotation = rotation @ np.array([rotation_from_vector(vector) for vector in turn])
        return self.nominal.calibrated(
            KinematicParameters(
                nominal.joint_origin_position + x[at["origin"]].reshape(-1, 3) * priors.joint_origin,
                rotation,
                nominal.joint_zero + x[at["zero"]] * priors.joint_zero,
                nominal.tip_offset + x[at["tip"]].reshape(-1, 3) * priors.tip,
            )
        )

    def delay(self, x: Array) -> float:
        return float(x[self._at["delay"]].sum() * self.priors.delay)

    def jacobian(self, kinematics: Kinematics, q: Array, dq: Array) -> Array:
        """Of the tips by the unknowns at q (n, nq), moving with dq: (n, nt, 3, size)."""
        frames = kinematics.frames(q)
        J = jacobian(np, frames)
        chain, at, priors = kinematics.topology.chain, self._at, self.priors
        result = np.zeros((len(q), *chain.shape[:1], 3, self.size))
        for t, d in np.argwhere(chain >= 0):
            i = int(chain[t, d])
            before = np.broadcast_to(np.eye(3), (len(q), 3, 3)) if d == 0 else frames.joint_rotation[:, t, d - 1]
            result[:, t, :, i] = J[:, t, :, d] * priors.joint_zero
            result[:, t, :, _three(at["origin"], i)] = before * priors.joint_origin
            if priors.axis > 0:
                arm = frames.tip_position[:, t] - frames.joint_position[:, t, d]
                turned = before @ kinematics.parameters.joint_origin_rotation[i]
                result[:, t, :, _three(at["axis"], i)] = -skew(arm) @ turned * priors.axis
            if priors.delay > 0:
                result[:, t, :, -1] -= J[:, t, :, d] * dq[:, i, None] * priors.delay
        for t in range(len(chain)):
            result[:, t, :, _three(at["tip"], t)] = frames.joint_rotation[:, t, -1] * priors.tip
        return result


def fit(nominal: Kinematics, data: Data, priors: Priors) -> Fit:
    """Fit `nominal` to `data`; the outliers among the measurements weigh little in the first rounds and nothing in the last.

    The delay is linear in the joints' velocity here: align again with it and fit again until it is small.
    """
    unknowns = Unknowns(nominal, priors)
    some = Data(*(values[:: -(-len(data.q) // _ROUGH)] for values in data))
    x: Array = np.zeros(unknowns.size)
    noise = _FIRST_NOISE
    for _ in range(_ROUNDS):
        x = _solve_robust(unknowns, some, measured_tips(some.tip), noise, x)
        before, noise = noise, _noise(_residual(unknowns, x, some)[measured_tips(some.tip)])
        if abs(noise - before) <= _SETTLED * before:
            break
    used = measured_tips(data.tip) & (_distance(unknowns, x, data) <= _INLIER * noise)
    x = _refined(unknowns, data, used, noise, x)
    kinematics = unknowns.kinematics(x)
    J = unknowns.jacobian(kinematics, data.q, data.dq)[used].reshape(-1, unknowns.size) / noise
    covariance = np.linalg.inv(J.T @ J + np.eye(unknowns.size)).astype(np.float64)
    return Fit(kinematics, unknowns.delay(x), used, noise, unknowns, covariance)


def _distance(unknowns: Unknowns, x: Array, data: Data) -> Array:
    distance: Array = np.linalg.norm(_residual(unknowns, x, data), axis=-1)
    return distance


def _three(where: slice, i: int) -> slice:
    return slice(where.start + 3 * i, where.start + 3 * i + 3)


def _residual(unknowns: Unknowns, x: Array, data: Data) -> Array:
    """Calibrated minus measured tips (n, nt, 3) [m], NaN where nothing was measured."""
    q = data.q - unknowns.delay(x) * data.dq
    residual: Array = unknowns.kinematics(x).tip_position(q) - data.tip
    return residual


def _noise(residual: Array) -> float:
    """Of each coordinate, from the median, which outliers hardly move. residual (m, 3) [m]."""
    return max(float(np.median(np.abs(residual))) * SPREAD_PER_MAD, _LEAST_NOISE)


def _weighted(unknowns: Unknowns, x: Array, data: Data, used: NDArray[np.bool_], noise: float) -> Array:
    """What is squared: the tips' residuals over the noise, and the unknowns over their priors."""
    return np.concatenate([_residual(unknowns, x, data)[used].ravel() / noise, x])


def _weighted_slope(unknowns: Unknowns, x: Array, data: Data, used: NDArray[np.bool_], noise: float) -> Array:
    """Of `_weighted` by the unknowns."""
    J = unknowns.jacobian(unknowns.kinematics(x), data.q - unknowns.delay(x) * data.dq, data.dq)
    return np.concatenate([J[used].reshape(-1, unknowns.size) / noise, np.eye(unknowns.size)])


def _solve_robust(unknowns: Unknowns, data: Data, used: NDArray[np.bool_], noise: float, start: Array) -> Array:
    """From far away, with the tips' residuals softened; the priors are not."""
    result = least_squares(
        lambda x: _weighted(unknowns, x, data, used, noise), start,
        lambda x: _weighted_slope(unknowns, x, data, used, noise),
        loss=_soft_l1(unknowns.size), x_scale=1.0, xtol=1e-6, ftol=1e-6, gtol=1e-6, max_nfev=50,
    )  # fmt: skip
    x: Array = result.x
    return x


def _refined(unknowns: Unknowns, data: Data, used: NDArray[np.bool_], noise: float, start: Array) -> Array:
    """From nearby and without softening: Gauss-Newton, which takes a tenth of the time where there are many measurements."""
    x = start
    for _ in range(_REFINEMENTS):
        J = _weighted_slope(unknowns, x, data, used, noise)
        step = np.linalg.solve(J.T @ J, J.T @ _weighted(unknowns, x, data, used, noise))
        x = x - step
        if np.abs(step).max() < _REFINED:
            break
    return x


def _soft_l1(exact: int) -> Callable[[Array], Array]:
    """Soft L1 of the squares z for all but the last `exact` of them: value, first and second derivative (3, m)."""

    def loss(z: Array) -> Array:
        root = np.sqrt(1.0 + z)
        rho = np.stack([2.0 * (root - 1.0), 1.0 / root, -0.5 / root**3])
        rho[:, -exact:] = np.stack([z[-exact:], np.ones(exact), np.zeros(exact)])
        return rho

    return loss
