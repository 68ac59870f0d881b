"""All baselines by the name that recipes give them."""

from __future__ import annotations

from nnik_ros.training.seeds import absolute, continuous, incremental, q_learning, spatial
from nnik_ros.training.seeds.base import Method

METHODS: dict[str, Method] = {
    "absolute": absolute.METHOD,
    "incremental": incremental.METHOD,
    "reach": spatial.METHOD,
    "actor_critic": continuous.METHOD,
    "q_learning": q_learning.METHOD,
}
