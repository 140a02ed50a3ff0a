import threading

import pytest

from modeling.remembering import Memory


class Clock:
    now = 100.0

    def __call__(self):
        return self.now


def test_a_value_is_computed_once_while_it_is_good():
    clock, computed = Clock(), []
    memory = Memory(clock)

    def look():
        computed.append(clock.now)
        return len(computed)

    assert memory.get("a", 5, look) == 1
    clock.now += 4.9
    assert memory.get("a", 5, look) == 1
    clock.now += 0.1
    assert memory.get("a", 5, look) == 2
    assert memory.get("b", 5, look) == 3
    memory.clear()
    assert memory.get("a", 5, look) == 4


def test_none_is_a_value_too():
    memory, computed = Memory(), []
    for _ in range(2):
        memory.get("a", 60, lambda: computed.append(1))
    assert computed == [1]


def test_an_error_is_the_callers_and_is_not_kept():
    memory = Memory()
    with pytest.raises(ZeroDivisionError):
        memory.get("a", 60, lambda: 1 / 0)
    assert memory.get("a", 60, lambda: 7) == 7


def test_those_who_ask_at_once_wait_for_one():
    memory, began, go_on, computed = Memory(), threading.Event(), threading.Event(), []

    def look():
        began.set()
        go_on.wait(5)
        computed.append(1)
        return "counted"

    found = []
    askers = [threading.Thread(target=lambda: found.append(memory.get("a", 60, look))) for _ in range(8)]
    for asker in askers:
        asker.start()
    assert began.wait(5)
    go_on.set()
    for asker in askers:
        asker.join(5)
    assert found == ["counted"] * 8
    assert computed == [1]
