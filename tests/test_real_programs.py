"""Twelve programs of users run unmodified, and print the numbers of the originals."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import real_programs

RECORDED = json.loads(
    (Path(__file__).resolve().parent / "recorded" / "programs.json").read_text(encoding="utf-8")
)


def test_every_program_is_recorded():
    assert sorted(RECORDED) == real_programs.NAMES and len(RECORDED) == 12


@pytest.mark.slow
@pytest.mark.parametrize("name", real_programs.NAMES)
def test_a_program_prints_the_originals_numbers(name):
    assert real_programs.differences(real_programs.run(name), RECORDED[name]) == []


@pytest.mark.slow
@pytest.mark.oracle
@pytest.mark.parametrize("name", [n for n in real_programs.NAMES
                                  if n not in real_programs.TENSORFLOW])  # fmt: skip
def test_recorded_numbers_are_pytorchs(name):
    fresh = real_programs.run(name, original=True)
    assert real_programs.differences(fresh, RECORDED[name]) == []


@pytest.mark.slow
@pytest.mark.oracle_tf
@pytest.mark.parametrize("name", real_programs.TENSORFLOW)
def test_recorded_numbers_are_tensorflows(name):
    fresh = real_programs.run(name, original=True)
    assert real_programs.differences(fresh, RECORDED[name]) == []


def test_a_difference_is_told():
    wanted = "epoch 1 loss 2.0\nepoch 2 loss 1.0\n"
    assert real_programs.differences(wanted, wanted) == []
    assert real_programs.differences(wanted.replace("1.0", "1.0009"), wanted) == []
    assert "last loss" in real_programs.differences(wanted.replace("1.0", "1.002"), wanted)[0]
    assert "other lines" in real_programs.differences(wanted.splitlines()[1], wanted)[0]
    assert real_programs.differences(wanted.replace("1.0", "nan"), wanted)
