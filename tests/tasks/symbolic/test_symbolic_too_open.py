"""Token rows that never close: judged illegal, whatever they open."""

from __future__ import annotations

from tasks.symbolic.task import task


def test_rows_that_open_too_much_are_not_legal() -> None:
    env = task(data="planets", max_length=6).environment
    add = env.library.names.index("add")
    leaf = env.library.first_variable
    assert env.legal([[add] * 6, [add, leaf, leaf], [add] * 9]) == [False, True, False]
