"""Random networks that Caffe itself ran: single layers of random parameters, and chains that mix up the values."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.layers.oracle import check_recorded

PARTS = 20


@pytest.mark.parametrize("part", range(PARTS))
def test_every_blob_is_what_caffe_computed(sweep: Path, part: int) -> None:
    cases = sorted(case.name for case in sweep.iterdir())
    assert len(cases) == 20 * PARTS
    wrong = []
    for case in cases[part::PARTS]:
        try:
            check_recorded(case, sweep)
        except Exception as problem:  # noqa: BLE001 - which other networks fail tells what is wrong
            wrong.append(f"{case}: {problem!r}")
    assert wrong == []
