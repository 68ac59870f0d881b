"""The contract in a network's file is read strictly: whatever is wrong with it is told by one error."""

from __future__ import annotations

import json
from typing import Any

import pytest

from nnik_ros.contract import Contract, contract_from_json
from nnik_ros.errors import ContractError
from nnik_ros.onnx_policy import read_contract
from nnik_ros.paths import model_file, share_dir, shipped


@pytest.fixture(scope="module")
def planar_contract() -> Contract:
    return read_contract(model_file("planar_2r"))


@pytest.mark.parametrize("name", shipped(share_dir() / "models", ".onnx"))
def test_a_contract_comes_back_from_its_text_as_it_was(name: str) -> None:
    contract = read_contract(model_file(name))
    again = contract_from_json(contract.to_json(), "again")
    assert again.to_json() == contract.to_json()
    assert again == contract


@pytest.mark.parametrize(
    ("place", "value", "complaint"),
    [
        ("schema", 1.0, "schema: is 1.0, must be a whole number"),
        ("robot", 5, "robot: is 5, must be a text"),
        ("kinematics_digest", None, "kinematics_digest: is None, must be a text"),
        ("joint_names", "joint_1", "joint_names: is 'joint_1', must be a list of texts"),
        ("joint_names", ["joint_1", 2], r"joint_names: is .* must be a list of texts"),
        ("tip_names", [1], r"tip_names: is \[1\], must be a list of texts"),
        ("lower", 5, "lower: is 5, must be finite numbers in lists, 1 deep"),
        ("upper", ["1", "2"], "upper: is .* must be finite numbers in lists, 1 deep"),
        ("upper", [1.0, float("nan")], "upper: is .* must be finite numbers in lists, 1 deep"),
        ("trained_range", [[0.0, 1.0]], "trained_range: is .* must be finite numbers in lists, 3 deep"),
        ("lower", [0.0], r"lower: is \[0.0\], must have shape \(2,\), as its joints and tips"),
        ("upper", [0.0] * 3, r"upper: is .*, must have shape \(2,\), as its joints and tips"),
        ("trained_range", [], r"trained_range: is \[\], must have shape \(2, 1, 3\), as its joints and tips"),
        (
            "trained_range",
            [[[0.0] * 3]] * 3,
            r"trained_range: is .*, must have shape \(2, 1, 3\), as its joints and tips",
        ),
        (
            "trained_range",
            [[[0.0] * 3], []],
            r"trained_range: is .*, must have shape \(2, 1, 3\), as its joints and tips",
        ),
        (
            "trained_range",
            [[[0.0] * 3], [[1.0]]],
            r"trained_range: is .*, must have shape \(2, 1, 3\), as its joints and tips",
        ),
        ("provenance", [], r"provenance: is \[\], must be a mapping"),
        ("probe", None, "probe: is None, must be a mapping"),
        ("probe.tip_target", [[1.0]], r"probe.tip_target: is .* must be finite numbers in lists, 3 deep"),
        ("probe.surplus", 1, "probe.surplus: unknown field"),
    ],
)
def test_a_field_of_another_kind_is_refused_and_named(
    planar_contract: Contract, place: str, value: Any, complaint: str
) -> None:
    values = json.loads(planar_contract.to_json())
    *outer, field = place.split(".")
    (values[outer[0]] if outer else values)[field] = value
    with pytest.raises(ContractError, match=rf"x\.onnx: 1 problem\n  - {complaint}$"):
        contract_from_json(json.dumps(values), "x.onnx")


@pytest.mark.parametrize("text", ["", "{", "9" * 5000, "[" * 100_000])
def test_what_is_no_json_is_refused(text: str) -> None:
    with pytest.raises(ContractError, match="metadata 'nnik_contract' is not JSON"):
        contract_from_json(text, "x.onnx")


@pytest.mark.parametrize(
    ("text", "schema"), [("[1]", "None"), ("null", "None"), ("{}", "None"), ('{"schema": 2}', "2")]
)
def test_another_schema_or_none_is_refused_with_the_one_that_is_read(text: str, schema: str) -> None:
    with pytest.raises(ContractError, match=rf"x\.onnx: 1 problem\n  - schema: is {schema}, this version reads 1$"):
        contract_from_json(text, "x.onnx")
