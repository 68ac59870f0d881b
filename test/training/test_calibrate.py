"""A hand that is not as its description says is calibrated from a recording, and then reaches what it is told to."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from nnik_ros.baseline import DampedLeastSquares
from nnik_ros.calibration import calibration_of, load_calibration
from nnik_ros.errors import InputError
from nnik_ros.geometry import Array
from nnik_ros.onnx_policy import OnnxPolicy
from nnik_ros.paths import model_file, robot_file
from nnik_ros.policy import Policy
from nnik_ros.robot import Robot, load_robot
from nnik_ros.sim.hand import SimHand
from nnik_ros.sim.options import SimOptions, find_sim_file, load_sim_options
from nnik_ros.training import bag_arguments, calibration_check, record_simulation
from nnik_ros.training import calibrate as command
from nnik_ros.training.bag import BagData
from nnik_ros.training.calibrate import CalibrateOptions, Result, calibrate
from nnik_ros.training.calibration_check import inner_goals, reached_error, solved
from nnik_ros.training.calibration_fit import Data, Priors, Unknowns, fit
from nnik_ros.training.disturbed import Disturbance, DisturbedRobot, disturbed
from nnik_ros.training.record_simulation import Measurements, RecordOptions, measure
from nnik_ros.training.recording import RecordingOptions

DISTURBANCE = Disturbance(math.radians(3.0), 2e-3, 0.0)
DELAY = 0.012  # s
SPECIFIED = 1e-4  # m


@pytest.fixture(scope="module")
def sim(hand: Robot) -> SimOptions:
    return load_sim_options(find_sim_file(robot_file("allegro_right").parent / "simulation", hand.name), hand)


@pytest.fixture(scope="module")
def real(hand: Robot) -> DisturbedRobot:
    return disturbed(hand, DISTURBANCE, np.random.default_rng(11))


@pytest.fixture(scope="module")
def calibrated(hand: Robot, real: DisturbedRobot, sim: SimOptions) -> Result:
    """From 40 s of the simulated hand, with noise, outliers, lost tips and clocks that differ."""
    options = RecordOptions(duration=40.0, noise=1e-4, outliers=0.02, lost=0.01, tip_delay=DELAY)
    data = measure(real, sim, options, np.random.default_rng(12))
    return calibrate(bag_data(data), hand, CalibrateOptions(), "test")


def bag_data(data: Measurements) -> BagData:
    return BagData(
        0, data.joint_stamp, data.encoder, data.tip_stamp, data.tip, len(data.encoder), len(data.tip), {}, False
    )


def posed(real: DisturbedRobot, n: int, noise: float, rng: np.random.Generator) -> Measurements:
    """A recording without physics: n slow random poses, joints and tips at the same times, tips from the true geometry."""
    robot = real.nominal
    points = robot.random_joint_position(rng, n // 10 + 2)
    time = np.arange(n) * 0.02
    encoder = np.stack([np.interp(np.arange(n) / 10.0, np.arange(len(points)), column) for column in points.T], -1)
    tip = real.calibration.apply(robot).tip_position(encoder) + rng.normal(0.0, noise, (n, robot.nt, 3))
    return Measurements(time, encoder, time, tip)


def mujoco_error(real: DisturbedRobot, sim: SimOptions, policy: Policy, n: int) -> Array:
    """Distance (n, nt) [m] of the tips that MuJoCo shows from targets that MuJoCo showed before."""
    rng = np.random.default_rng(13)
    simulated = SimHand(real.true, sim)
    goal = inner_goals(real.nominal, n, rng)

    def true_tips(encoder: Array) -> Array:
        tips = []
        for q in encoder:
            simulated.reset(real.real(q))
            tips.append(simulated.tip_position())
        return np.array(tips)

    target = true_tips(goal)
    return np.linalg.norm(true_tips(solved(policy, target, goal, rng)) - target, axis=-1)


class TestSimulatedHand:
    def test_the_truth_file_says_where_mujoco_shows_the_tips(self, hand: Robot, sim: SimOptions) -> None:
        crooked = disturbed(hand, replace(DISTURBANCE, axis=0.02), np.random.default_rng(3))
        simulated, truth = SimHand(crooked.true, sim), crooked.calibration.apply(hand)
        for q in hand.random_joint_position(np.random.default_rng(4), 20):
            simulated.reset(q)
            np.testing.assert_allclose(
                truth.tip_position(crooked.encoder(q)), simulated.tip_position(), rtol=0, atol=1e-9
            )

    def test_the_disturbance_is_as_large_as_was_asked(self, real: DisturbedRobot) -> None:
        truth = real.calibration
        assert 0.7 * DISTURBANCE.joint_offset < np.abs(truth.joint_zero).max() <= DISTURBANCE.joint_offset
        for shift in (truth.joint_origin_shift, truth.tip_shift):
            assert 0.5 * DISTURBANCE.length < np.abs(shift).max() <= math.sqrt(3) * DISTURBANCE.length
        assert np.abs(truth.joint_origin_turn).max() < 1e-9

    def test_a_recording_is_noisy_late_and_spoiled_as_asked(
        self, hand: Robot, sim: SimOptions, real: DisturbedRobot
    ) -> None:
        options = RecordOptions(duration=6.0, noise=1e-4, outliers=0.1, lost=0.1, tip_delay=0.5)
        data = measure(real, sim, options, np.random.default_rng(1))
        clean = measure(
            real, sim, replace(options, noise=0.0, outliers=0.0, lost=0.0, tip_delay=0.0), np.random.default_rng(1)
        )
        np.testing.assert_allclose(data.tip_stamp - clean.tip_stamp, 0.5, rtol=0, atol=1e-12)
        np.testing.assert_array_equal(data.encoder, clean.encoder)
        lost = np.isnan(data.tip).any(-1)
        off = np.linalg.norm(data.tip - clean.tip, axis=-1)
        assert 0.05 < lost.mean() < 0.15
        assert 0.05 < (off > 1e-3).mean() < 0.15
        assert np.median(off[~lost]) == pytest.approx(1.54e-4, rel=0.1)  # of a distance with 1e-4 in each coordinate


class TestAccuracy:
    def test_a_calibrated_hand_reaches_true_targets_to_a_tenth_of_a_millimetre(
        self, hand: Robot, real: DisturbedRobot, sim: SimOptions, calibrated: Result
    ) -> None:
        kinematics = calibrated.calibration.apply(hand)
        error = mujoco_error(real, sim, DampedLeastSquares(hand, kinematics), 300)
        assert error.max() < SPECIFIED

    def test_the_same_hand_uncalibrated_misses_by_millimetres(
        self, hand: Robot, real: DisturbedRobot, sim: SimOptions
    ) -> None:
        error = mujoco_error(real, sim, DampedLeastSquares(hand), 100)
        assert np.median(error) > 3e-3 and error.max() > 8e-3

    def test_the_shipped_network_reaches_them_too_with_the_calibration_alone(
        self, hand: Robot, real: DisturbedRobot, sim: SimOptions, calibrated: Result
    ) -> None:
        path = model_file("allegro_right")
        network = OnnxPolicy(path, hand, calibrated.calibration.apply(hand))
        assert mujoco_error(real, sim, network, 300).max() < SPECIFIED
        assert np.median(mujoco_error(real, sim, OnnxPolicy(path, hand), 100)) > 3e-3

    def test_the_network_alone_needs_no_guard_for_it(
        self, hand: Robot, real: DisturbedRobot, calibrated: Result
    ) -> None:
        network = OnnxPolicy(model_file("allegro_right"), hand, calibrated.calibration.apply(hand))
        true, rng = real.calibration.apply(hand), np.random.default_rng(14)
        goal, q = (inner_goals(hand, 500, rng) for _ in range(2))
        target = true.tip_position(goal)
        for _ in range(10):
            q = network.step(q, target)
        error = np.linalg.norm(true.tip_position(q) - target, axis=-1)
        assert (error < SPECIFIED).mean() > 0.995

    def test_the_uncertainty_it_states_is_the_error_it_makes(
        self, hand: Robot, real: DisturbedRobot, calibrated: Result
    ) -> None:
        q = hand.random_joint_position(np.random.default_rng(2), 500)
        true = real.calibration.apply(hand).tip_position(q)
        error = np.linalg.norm(calibrated.fit.kinematics.tip_position(q) - true, axis=-1)
        ratio = np.sqrt((error**2 / calibrated.fit.tip_uncertainty(q) ** 2).mean())
        assert 0.5 < ratio < 2.0

    def test_clocks_that_differ_are_found_out(self, calibrated: Result) -> None:
        assert calibrated.fit.delay == pytest.approx(DELAY, abs=1e-4)

    def test_the_noise_of_the_tracker_is_found_out(self, calibrated: Result) -> None:
        assert calibrated.fit.noise == pytest.approx(1e-4, rel=0.1)

    def test_held_out_measurements_come_down_from_millimetres_to_the_noise(self, calibrated: Result) -> None:
        before, after = (np.nanmedian(errors, axis=0) for errors in (calibrated.before, calibrated.after))
        assert before.min() > 1e-3
        np.testing.assert_allclose(after, 1.54e-4, rtol=0.15)  # median distance of three coordinates with 1e-4 each

    def test_the_report_names_every_tip_and_joint(self, hand: Robot, calibrated: Result) -> None:
        text = calibrated.text()
        assert all(name in text for name in (*hand.joint_names, *hand.tip_names))
        assert "late by 12.0" in text

    def test_the_report_tells_errors_in_millimetres_and_joints_in_degrees(
        self, hand: Robot, real: DisturbedRobot, calibrated: Result
    ) -> None:
        words = [line.split() for line in calibrated.text().splitlines() if line]
        told = {name: np.array(numbers, dtype=float) for name, *numbers in words if name in hand.tip_names}
        for t, name in enumerate(hand.tip_names):
            errors = [np.nanpercentile(x[:, t], (50, 95)) for x in (calibrated.before, calibrated.after)]
            wanted = 1e3 * np.concatenate([*errors, calibrated.uncertainty[t : t + 1]])
            np.testing.assert_allclose(told[name], wanted, rtol=0, atol=6e-4)
        zero, spread, moved = np.array([row[1:] for row in words if row[0] in hand.joint_names], dtype=float).T
        assert (np.abs(np.degrees(real.calibration.joint_zero) - zero) < 3.0 * spread).all()
        np.testing.assert_allclose(spread, np.degrees(calibrated.fit.joint_zero_uncertainty), rtol=0, atol=6e-4)
        np.testing.assert_allclose(moved, np.degrees(np.ptp(calibrated.recording.q, axis=0)), rtol=0, atol=0.06)

    def test_the_uncertainty_of_a_tip_holds_in_19_of_20_poses(self, hand: Robot, calibrated: Result) -> None:
        q = hand.random_joint_position(np.random.default_rng(3), 800)
        within = (calibrated.fit.tip_uncertainty(q) <= calibrated.uncertainty).mean(0)
        np.testing.assert_allclose(within, 0.95, rtol=0, atol=0.03)

    def test_what_is_held_out_judges_the_fit_and_decides_nothing_of_it(self) -> None:
        arm = load_robot(robot_file("spatial_2j"))
        data = posed(disturbed(arm, DISTURBANCE, np.random.default_rng(5)), 1200, 1e-4, np.random.default_rng(6))
        block = 20.0 * data.tip_stamp / data.tip_stamp[-1]  # shorter than two seconds; each fifth one is held out
        inside = (block % 5.0 > 4.1) & (block % 5.0 < 4.9)
        moved = data._replace(tip=data.tip + 5e-4 * inside[:, None, None])
        one, other = (calibrate(bag_data(x), arm, CalibrateOptions(), "") for x in (data, moved))
        for a, b in zip(one.fit.kinematics.parameters, other.fit.kinematics.parameters, strict=True):
            np.testing.assert_array_equal(a, b)
        assert np.median(one.after) < 3e-4 < 7e-4 < np.median(other.after)

    def test_the_table_of_true_errors_has_median_99th_percentile_and_largest_in_millimetres(
        self, hand: Robot, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(calibration_check, "reached_error", lambda *_: 1e-3 * np.arange(101.0)[:, None])
        table = calibration_check.true_error_table({"one": DampedLeastSquares(hand)}, hand.kinematics)
        assert table.splitlines()[1].split() == ["one", "50.0000", "99.0000", "100.0000"]

    def test_the_error_check_of_the_command_agrees_with_mujoco(
        self, hand: Robot, real: DisturbedRobot, sim: SimOptions
    ) -> None:
        policy = DampedLeastSquares(hand)
        true = real.calibration.apply(hand)
        ours = reached_error(policy, true, 200, np.random.default_rng(1))
        theirs = mujoco_error(real, sim, policy, 200)
        assert np.median(ours) == pytest.approx(np.median(theirs), rel=0.15)


class TestFit:
    @pytest.mark.parametrize("name", ["allegro_right", "planar_2r", "spatial_2j"])
    def test_its_derivative_is_the_slope_of_the_tips(self, name: str) -> None:
        robot = load_robot(robot_file(name))
        unknowns = Unknowns(robot.kinematics, Priors(axis=0.02))
        rng = np.random.default_rng(5)
        q, dq = robot.random_joint_position(rng, 4), rng.normal(size=(4, robot.nq))
        step = 1e-5 * np.eye(unknowns.size)

        def tips(x: Array) -> Array:
            return unknowns.kinematics(x).tip_position(q - unknowns.delay(x) * dq)

        slope = np.stack([(tips(h) - tips(-h)) / 2e-5 for h in step], -1)
        np.testing.assert_allclose(unknowns.jacobian(robot.kinematics, q, dq), slope, rtol=0, atol=1e-9)

    def test_perfect_data_leaves_less_than_a_micrometre(self, hand: Robot, real: DisturbedRobot) -> None:
        q = hand.random_joint_position(np.random.default_rng(6), 400)
        true = real.calibration.apply(hand)
        result = fit(hand.kinematics, Data(q, np.zeros_like(q), true.tip_position(q)), Priors(delay=0.0))
        fresh = hand.random_joint_position(np.random.default_rng(7), 200)
        assert np.abs(result.kinematics.tip_position(fresh) - true.tip_position(fresh)).max() < 1e-6

    def test_zeros_and_their_uncertainty_are_those_of_two_unknowns_where_all_else_is_known(
        self, rng: np.random.Generator
    ) -> None:
        arm, noise, prior = load_robot(robot_file("planar_2r")), 0.02, 0.002
        q = arm.random_joint_position(rng, 60)
        tip = arm.kinematics.tip_position(q) + rng.normal(0.0, noise, (60, 1, 3))
        result = fit(arm.kinematics, Data(q, np.zeros_like(q), tip), Priors(prior, 1e-9, 1e-9, delay=0.0))
        a, b = q[:, 0], q.sum(1)
        second = 5.0 * np.stack([-np.sin(b), np.cos(b)], -1)
        slope = np.stack([5.0 * np.stack([-np.sin(a), np.cos(a)], -1) + second, second], -1).reshape(-1, 2)
        assert result.noise == pytest.approx(noise, rel=0.2)
        covariance = np.linalg.inv(slope.T @ slope / result.noise**2 + np.eye(2) / prior**2)
        uncertainty = np.sqrt(np.diag(covariance))
        np.testing.assert_allclose(result.joint_zero_uncertainty, uncertainty, rtol=1e-3)
        departure = (tip - arm.kinematics.tip_position(q))[..., :2].ravel()
        zero = covariance @ slope.T @ departure / result.noise**2  # least squares, without any softening
        assert (np.abs(result.kinematics.parameters.joint_zero - zero) < 0.01 * uncertainty).all()

    def test_long_runs_of_wrong_measurements_do_not_pull_it(self, hand: Robot, real: DisturbedRobot) -> None:
        rng = np.random.default_rng(8)
        q = hand.random_joint_position(rng, 1500)
        true = real.calibration.apply(hand)
        tip = true.tip_position(q) + rng.normal(0.0, 1e-4, (1500, hand.nt, 3))
        tip[200:400, 1] += [0.012, 0.0, 0.004]
        result = fit(hand.kinematics, Data(q, np.zeros_like(q), tip), Priors(delay=0.0))
        assert not result.used[200:400, 1].any()
        fresh = hand.random_joint_position(rng, 200)
        assert (
            np.linalg.norm(result.kinematics.tip_position(fresh) - true.tip_position(fresh), axis=-1).max() < SPECIFIED
        )

    def test_what_no_data_tells_stays_as_described(self, hand: Robot, real: DisturbedRobot) -> None:
        rng = np.random.default_rng(9)
        q = hand.random_joint_position(rng, 300)
        tip = real.calibration.apply(hand).tip_position(q)
        tip[:, 3] = np.nan
        result = fit(hand.kinematics, Data(q, np.zeros_like(q), tip), Priors(delay=0.0))
        thumb = hand.kinematics.topology.chain[3]
        for fitted, nominal in zip(result.kinematics.parameters[:3], hand.kinematics.parameters[:3], strict=True):
            np.testing.assert_allclose(fitted[thumb], nominal[thumb], rtol=0, atol=1e-12)
        np.testing.assert_allclose(result.kinematics.parameters.tip_offset[3], hand.kinematics.parameters.tip_offset[3])

    def test_crooked_axes_need_and_get_their_own_unknowns(self, hand: Robot) -> None:
        crooked = disturbed(hand, replace(DISTURBANCE, axis=math.radians(1.0)), np.random.default_rng(10))
        data = bag_data(posed(crooked, 1500, 5e-5, np.random.default_rng(11)))
        q = hand.random_joint_position(np.random.default_rng(12), 300)
        true = crooked.calibration.apply(hand).tip_position(q)
        errors = [
            np.linalg.norm(calibrate(data, hand, options, "").fit.kinematics.tip_position(q) - true, axis=-1).max()
            for options in (CalibrateOptions(axes=False), CalibrateOptions())
        ]
        assert errors[1] < SPECIFIED < errors[0]


class TestRefusals:
    def test_joints_that_did_not_move_are_named(self, hand: Robot, real: DisturbedRobot, sim: SimOptions) -> None:
        moving = tuple(name for name in hand.joint_names if name not in ("joint_2.0", "joint_3.0"))
        data = measure(real, sim, RecordOptions(duration=12.0, moving=moving), np.random.default_rng(1))
        with pytest.raises(InputError) as error:
            calibrate(bag_data(data), hand, CalibrateOptions(), "")
        text = str(error.value)
        assert "does not determine the tips to 0.2 mm" in text
        assert "index" in text and "thumb" not in text
        assert "hardly moved: joint_2.0 by" in text and "joint_3.0" in text and "joint_1.0" not in text

    def test_a_recording_that_is_too_short_for_the_noise_is_refused(self, hand: Robot, real: DisturbedRobot) -> None:
        data = posed(real, 200, 1e-3, np.random.default_rng(1))
        with pytest.raises(InputError, match="record for longer, or with less noise"):
            calibrate(bag_data(data), hand, CalibrateOptions(largest_noise=5e-3), "")

    @pytest.mark.parametrize(("wrong", "refused"), [(0.2, False), (0.32, True)])
    def test_a_third_of_the_measurements_elsewhere_is_more_than_outliers(self, wrong: float, refused: bool) -> None:
        arm = load_robot(robot_file("spatial_2j"))
        data = posed(disturbed(arm, DISTURBANCE, np.random.default_rng(5)), 1200, 1e-4, np.random.default_rng(6))
        tip = data.tip.copy()
        tip[np.arange(1200) % 60 < 60 * wrong] += [0.012, 0.0, 0.004]
        if refused:
            with pytest.raises(
                InputError, match=r"explains the recording: 67 % of the measurements fit, within a noise of 0\.\d"
            ):
                calibrate(bag_data(data._replace(tip=tip)), arm, CalibrateOptions(), "")
        else:
            calibrate(bag_data(data._replace(tip=tip)), arm, CalibrateOptions(), "")

    def test_exchanged_tips_are_refused_by_name(self, hand: Robot, real: DisturbedRobot) -> None:
        data = posed(real, 400, 1e-4, np.random.default_rng(1))
        with pytest.raises(InputError) as error:
            calibrate(bag_data(data._replace(tip=data.tip[:, [1, 0, 2, 3]])), hand, CalibrateOptions(), "")
        assert "no geometry near the description explains" in str(error.value)
        assert "measurements of 'index' look like those of 'middle'" in str(error.value)
        assert "measurements of 'middle' look like those of 'index'" in str(error.value)

    def test_a_tip_that_the_tracker_repeats_is_no_finger_without_length(
        self, hand: Robot, real: DisturbedRobot
    ) -> None:
        data = posed(real, 1200, 1e-4, np.random.default_rng(1))
        tip = data.tip.copy()
        tip[:, 1] += tip[:1, 1] - real.calibration.apply(hand).tip_position(data.encoder)[:, 1]
        told = r"stand still while the joints move, 'middle' by 0\.1\d mm of \d\d around"
        with pytest.raises(InputError, match=told) as error:
            calibrate(bag_data(data._replace(tip=tip)), hand, CalibrateOptions(), "")
        assert "'index'" not in str(error.value)

    def test_a_finger_with_exchanged_joints_is_not_hidden_by_the_others(
        self, hand: Robot, real: DisturbedRobot
    ) -> None:
        data = posed(real, 1200, 1e-4, np.random.default_rng(1))
        order = list(range(hand.nq))
        order[9], order[10] = 10, 9  # of the ring finger
        with pytest.raises(InputError, match=r"no geometry near the description explains.*held out has ring") as error:
            calibrate(
                bag_data(data._replace(encoder=data.encoder[:, order])), hand, CalibrateOptions(precision=1.0), ""
            )
        assert "index" not in str(error.value)

    @pytest.mark.parametrize("calibrated", [False, True])
    @pytest.mark.parametrize("told", ["at once", "late", "in between"])
    @pytest.mark.parametrize("axes", [True, False])
    def test_tips_that_were_computed_from_the_joints_are_refused(
        self, hand: Robot, real: DisturbedRobot, calibrated: bool, told: str, axes: bool
    ) -> None:
        """As a controller tells them, with a calibration or without, or somebody who interpolates the joints himself."""
        rng = np.random.default_rng(1)
        crooked = disturbed(hand, replace(DISTURBANCE, axis=math.radians(1.0)), rng)
        data = posed(real, 1200, 0.0, rng)
        stamp, encoder = data.joint_stamp[50:-50:3], data.encoder[50:-50:3]
        if told == "late":
            stamp = stamp + rng.uniform(0.002, 0.1, len(stamp))
        if told == "in between":
            stamp, encoder = stamp + 0.01, 0.5 * (encoder + data.encoder[51:-49:3])
        tip = (crooked.calibration.apply(hand) if calibrated else hand.kinematics).tip_position(encoder)
        with pytest.raises(InputError, match="computed from the joints"):
            calibrate(bag_data(data._replace(tip_stamp=stamp, tip=tip)), hand, CalibrateOptions(axes=axes), "")

    def test_a_tracker_that_is_good_to_five_micrometres_is_believed(self, hand: Robot, real: DisturbedRobot) -> None:
        data = posed(real, 1200, 5e-6, np.random.default_rng(1))
        assert calibrate(bag_data(data), hand, CalibrateOptions(), "").fit.noise == pytest.approx(5e-6, rel=0.1)

    def test_a_tip_that_was_hardly_ever_seen_is_named(self, hand: Robot, real: DisturbedRobot) -> None:
        data = posed(real, 300, 1e-4, np.random.default_rng(1))
        tip = data.tip.copy()
        tip[20:, 2] = np.nan
        with pytest.raises(InputError, match=r"too few usable tip measurements.*: ring 20"):
            calibrate(bag_data(data._replace(tip=tip)), hand, CalibrateOptions(), "")

    @pytest.mark.filterwarnings("error")
    def test_a_tip_that_was_seen_for_a_moment_alone_is_named_for_nothing_of_it_is_held_out(
        self, hand: Robot, real: DisturbedRobot
    ) -> None:
        data = posed(real, 1200, 1e-4, np.random.default_rng(1))
        tip = data.tip.copy()
        tip[100:, 2] = np.nan
        with pytest.raises(
            InputError, match="seen for too short a time: 'ring'; of each tip some measurements are held"
        ):
            calibrate(bag_data(data._replace(tip=tip)), hand, CalibrateOptions(), "")

    def test_a_recording_of_the_other_hand_is_refused_and_the_other_hand_is_thought_of(
        self, real: DisturbedRobot
    ) -> None:
        data = posed(real, 600, 1e-4, np.random.default_rng(1))
        with pytest.raises(InputError) as error:
            calibrate(bag_data(data), load_robot(robot_file("allegro_left")), CalibrateOptions(), "")
        text = str(error.value)
        assert re.search(r"'index' by \d\d mm.*'thumb' by \d{2,3} mm", text) and "'middle' by" not in text
        assert "is the recording of another robot or of the other side?" in text

    def test_a_geometry_that_no_calibration_may_hold_is_refused_before_anything_is_written(
        self, rng: np.random.Generator
    ) -> None:
        arm = load_robot(robot_file("planar_2r"))
        time = np.arange(0.0, 60.0, 0.02)
        a, b = 1.5 * np.sin(0.9 * time), 1.5 + np.sin(1.7 * time)
        tip = np.stack([5.0 * np.cos(a) + 5.12 * np.cos(a + b), 5.0 * np.sin(a) + 5.12 * np.sin(a + b), 0.0 * a], -1)
        tip = tip[:, None] + rng.normal(0.0, 1e-4, (len(time), 1, 3))
        with pytest.raises(InputError, match=r"(?s)too far from the description.*  - shift of 'tip': is 0.12, .*URDF"):
            calibrate(bag_data(Measurements(time, np.stack([a, b], -1), time, tip)), arm, CalibrateOptions(), "")

    @pytest.mark.filterwarnings("error")
    @pytest.mark.parametrize(
        ("factors", "message"),
        [
            ((np.degrees(1.0), 1.0), "are angles in degrees"),
            ((1e300, 1.0), "none of 300 joint states can be one of 'allegro_right'"),
            ((1.0, 1e300), "farther away than the finger is long$"),
            ((1.0, 1e3), "farther away than the finger is long: they are in millimetres, must be in metres"),
            ((1.0, 1e2), "farther away than the finger is long: they are in centimetres, must be in metres"),
        ],
    )
    def test_other_units_and_absurd_values_are_refused(
        self, hand: Robot, real: DisturbedRobot, factors: tuple[float, float], message: str
    ) -> None:
        data = posed(real, 300, 1e-4, np.random.default_rng(1))
        data = data._replace(encoder=data.encoder * factors[0], tip=data.tip * factors[1])
        with pytest.raises(InputError, match=rf"(?s){message}"):
            calibrate(bag_data(data), hand, CalibrateOptions(), "")


class TestCommands:
    @pytest.mark.parametrize(
        ("option", "given", "allowed"),
        [
            ("--precision-mm", "nan", "a finite number above 0"),
            ("--precision-mm", "-1", "a finite number above 0"),
            ("--longest-gap", "-1", "a finite number not below 0"),
            ("--longest-gap", "nan", "a finite number not below 0"),
            ("--largest-noise-mm", "nan", "a finite number above 0"),
            ("--model", "nosuch", "needs --truth"),
        ],
    )
    def test_a_wrong_option_is_refused_with_what_is_allowed(
        self, tmp_path: Path, option: str, given: str, allowed: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        with pytest.raises(SystemExit) as stopped:
            command.main(["bag", "--robot", "spatial_2j", "--output", str(tmp_path / "new.yaml"), option, given])
        assert stopped.value.code == 2
        message = capsys.readouterr().err
        assert f"argument {option}: is '{given}'" in message and allowed in message and not list(tmp_path.iterdir())

    def test_its_options_are_those_of_the_fit_in_metres_and_by_default_the_same(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        asked = []

        def calibrate(bag: BagData, robot: Robot, options: CalibrateOptions, source: str) -> Result:
            asked.append((options, source))
            raise InputError("asked for enough")

        monkeypatch.setattr(bag_arguments, "read_bag", lambda *_: None)
        monkeypatch.setattr(command, "calibrate", calibrate)
        words = [str(tmp_path / "bag"), "--robot", "spatial_2j", "--output", str(tmp_path / "new.yaml")]
        own = ["--no-axes", "--precision-mm", "0.5", "--largest-noise-mm", "3", "--longest-gap", "0.2"]
        assert command.main(words) == command.main([*words, *own]) == 2
        wanted = [CalibrateOptions(), CalibrateOptions(False, 0.0005, 0.003, RecordingOptions(0.2))]
        assert asked == [(options, "bag") for options in wanted]

    @pytest.mark.parametrize(
        ("option", "given", "message"),
        [
            ("--truth", "no.yaml", "cannot be read: No such file"),
            ("--model", "nosuch", "model 'nosuch' is unknown; shipped: "),
            ("--model", "planar_2r", "planar_2r.onnx: "),
            ("--output", "", "cannot be written: is a folder"),
            ("--output", "no/new.yaml", "cannot be written: there is no folder"),
            ("--output", "truth.yaml", "cannot be written: is the truth, which would be lost"),
        ],
    )
    def test_whatever_cannot_be_read_or_written_is_refused_before_the_bag_is_read(
        self, tmp_path: Path, option: str, given: str, message: str,
        capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch,
    ) -> None:  # fmt: skip
        monkeypatch.setattr(bag_arguments, "read_bag", lambda *_: pytest.fail("it was read"))
        robot = load_robot(robot_file("spatial_2j"))
        calibration_of(robot, robot.kinematics.parameters).write(tmp_path / "truth.yaml")
        words = {"--robot": "spatial_2j", "--model": "spatial_2j", "--output": str(tmp_path / "new.yaml")}
        place = given if option == "--model" else str(tmp_path / given)
        words = {**words, "--truth": str(tmp_path / "truth.yaml"), option: place}
        assert command.main(["bag", *(word for pair in words.items() for word in pair)]) == 2
        assert message in capsys.readouterr().err
        assert [path.name for path in tmp_path.iterdir()] == ["truth.yaml"]

    def test_the_network_that_is_compared_is_not_overwritten(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(bag_arguments, "read_bag", lambda *_: pytest.fail("it was read"))
        robot, network, truth = load_robot(robot_file("spatial_2j")), tmp_path / "own.onnx", tmp_path / "truth.yaml"
        calibration_of(robot, robot.kinematics.parameters).write(truth)
        network.write_bytes(before := model_file("spatial_2j").read_bytes())
        words = ["bag", "--robot", "spatial_2j", "--truth", str(truth), "--model", str(network)]
        assert command.main([*words, "--output", str(network)]) == 2
        assert f"{network}: 1 problem\n  - cannot be written: is the network" in capsys.readouterr().err
        assert network.read_bytes() == before

    @pytest.mark.parametrize(("storage", "single_tips"), [("mcap", False), ("sqlite3", True)])
    def test_from_a_simulated_recording_to_a_file_that_reaches(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str], storage: str, single_tips: bool
    ) -> None:
        bag, file = tmp_path / "bag", tmp_path / "spatial.yaml"
        record = [
            "--robot",
            "spatial_2j",
            "--output",
            str(bag),
            "--storage",
            storage,
            "--duration",
            "20",
            "--seed",
            "5",
        ]
        assert record_simulation.main([*record, *["--single-tips"] * single_tips]) == 0
        robot = load_robot(robot_file("spatial_2j"))
        tips = [f"{name}=/{name}/measured_pose" for name in robot.tip_names] if single_tips else ["measured_tip_poses"]
        arguments = ["--robot", "spatial_2j", "--output", str(file), "--truth", f"{bag}.truth.yaml", "--tips", *tips]
        assert command.main([str(bag), *arguments, "--model", "spatial_2j"]) == 0
        true = load_calibration(Path(f"{bag}.truth.yaml"), robot).apply(robot)
        q = robot.random_joint_position(np.random.default_rng(1), 300)
        errors = [
            np.linalg.norm(kinematics.tip_position(q) - true.tip_position(q), axis=-1).max()
            for kinematics in (robot.kinematics, load_calibration(file, robot).apply(robot))
        ]
        assert errors[1] < SPECIFIED < 1e-3 < errors[0]
        output = capsys.readouterr().out
        assert str(file) in output
        medians = {line[:41].strip(): float(line.split()[-3]) for line in output.splitlines() if line.startswith("as ")}
        for solver in ("damped least squares", "network"):
            assert medians[f"as calibrated, {solver}"] < 0.1 < 1.0 < medians[f"as described, {solver}"]

    def test_the_same_recording_gives_the_same_file(self, tmp_path: Path) -> None:
        bag = tmp_path / "bag"
        assert record_simulation.main(["--robot", "spatial_2j", "--output", str(bag), "--duration", "10"]) == 0
        for name in ("first", "second"):
            assert command.main([str(bag), "--robot", "spatial_2j", "--output", str(tmp_path / name)]) == 0
        assert (tmp_path / "first").read_bytes() == (tmp_path / "second").read_bytes()

    def test_a_refused_recording_writes_no_file_and_says_why(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        file = tmp_path / "file.yaml"
        assert command.main([str(tmp_path / "absent"), "--robot", "allegro_right", "--output", str(file)]) == 2
        assert "not a readable rosbag2" in capsys.readouterr().err
        assert not file.exists()

    def test_tips_that_are_half_named_are_refused(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        words = ["x", "--robot", "allegro_right", "--output", str(tmp_path / "f"), "--tips", "index=/a", "/b"]
        assert command.main(words) == 2
        assert "give one PoseArray topic, or TIP=TOPIC" in capsys.readouterr().err
