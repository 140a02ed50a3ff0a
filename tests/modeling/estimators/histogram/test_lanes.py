import pytest
from numba.core import config
from numba.core.registry import cpu_target

from modeling.estimators.histogram import lanes
from modeling.estimators.histogram.lanes import has_wide_registers


@pytest.mark.parametrize(
    ("features", "expected"),
    [
        ("+avx2,+avx512f,+avx512bw,+avx512dq,+avx512vl", True),
        ("+avx2,+avx512f,+avx512dq,+avx512vl", False),
        ("+avx2,-avx512f,-avx512bw,-avx512dq,-avx512vl", False),
        ("", False),
    ],
    ids=["all", "no bytes", "switched off", "generic"],
)
def test_wide_registers_are_there_when_numba_compiles_for_them(monkeypatch, features, expected):
    monkeypatch.setattr(config, "DISABLE_JIT", 0)
    codegen = cpu_target.target_context.codegen()
    monkeypatch.setattr(codegen, "magic_tuple", lambda: ("triple", "processor", features), raising=False)
    monkeypatch.setattr(lanes, "cpu_target", _Target(codegen))
    assert has_wide_registers() is expected


def test_code_that_is_not_compiled_has_no_registers(monkeypatch):
    monkeypatch.setattr(config, "DISABLE_JIT", 1)
    assert not has_wide_registers()


class _Target:
    def __init__(self, codegen):
        self.target_context = self
        self.codegen = lambda: codegen
