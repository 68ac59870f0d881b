"""The columns of the tables in which solvers can be better than each other."""

from __future__ import annotations

from typing import NamedTuple

from benchmarks.markdown import number


class Column(NamedTuple):
    """key: of a score; head: over the column of its table; words: what it is, outside of the table; unit: "%" for shares in
    0..1, of which more is better; of all else less is."""

    key: str
    head: str
    words: str
    unit: str

    def shown(self, value: float) -> str:
        """The value as in the table."""
        return f"{value:.1%}" if self.unit == "%" else number(value)


STATIC = (
    Column("share_coarse", "1 mm", "hands within 1 mm", "%"),
    Column("share_fine", "0.1 mm", "hands within 0.1 mm", "%"),
    Column("fine_p50_us", "p50 us", "time to 0.1 mm, p50", "us"),
    Column("fine_p99_us", "p99 us", "time to 0.1 mm, p99", "us"),
)
TRACKING = (
    Column("tick_p50_us", "tick p50", "tick, p50", "us"),
    Column("tick_p99_us", "p99", "tick, p99", "us"),
    Column("tick_p999_us", "p99.9 us", "tick, p99.9", "us"),
    Column("target_rms_mm", "to target rms", "to the target, rms", "mm"),
    Column("target_max_mm", "max mm", "to the target, max", "mm"),
    Column("error_rms_mm", "error rms", "error, rms", "mm"),
    Column("error_max_mm", "max mm", "error, max", "mm"),
    Column("speed_max", "speed rad/s", "joint speed", "rad/s"),
    Column("second_difference", "2nd diff rad", "second difference", "rad"),
    Column("jerk_rms", "jerk rms rad/s3", "jerk, rms", "rad/s3"),
    Column("outside_rad", "outside rad", "outside the joint limits", "rad"),
)
BEYOND = (
    Column("excess_p50_mm", "excess p50", "excess, p50", "mm"),
    Column("excess_p99_mm", "p99", "excess, p99", "mm"),
    Column("excess_max_mm", "max mm", "excess, max", "mm"),
    Column("within_p99_mm", "within reach p99 mm", "within reach, p99", "mm"),
    Column("speed_max", "speed rad/s", "joint speed", "rad/s"),
    Column("second_difference", "2nd diff rad", "second difference", "rad"),
    Column("tick_p50_us", "tick p50 us", "tick, p50", "us"),
    Column("tick_p99_us", "p99 us", "tick, p99", "us"),
    Column("cost_growth", "cost growth", "cost growth", "times"),
)
