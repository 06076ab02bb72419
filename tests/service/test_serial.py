"""Calls in a thread of their own."""

from __future__ import annotations

import threading

from scicat_watch.service.serial import SerialThread

LONG = 30.0


def test_calls_are_made_in_their_order_in_another_thread_which_ends_with_them() -> None:
    made: list[tuple[int, int]] = []
    serial = SerialThread("calls")
    for number in range(1000):
        serial.put(lambda number=number: made.append((number, threading.get_ident())))  # type: ignore[misc]
    assert serial.settle(LONG)
    assert [number for number, _ in made] == list(range(1000))
    assert threading.get_ident() not in {thread for _, thread in made}


def test_who_puts_a_call_does_not_wait_for_one_that_hangs() -> None:
    answer = threading.Event()
    made: list[str] = []
    serial = SerialThread("calls")
    serial.put(lambda: answer.wait(LONG))
    serial.put(lambda: made.append("after"))
    assert not serial.settle(0.01)
    assert made == []
    answer.set()
    assert serial.settle(LONG)
    assert made == ["after"]


def test_a_call_that_fails_costs_the_next_one_nothing() -> None:
    def fail() -> None:
        raise RuntimeError("a fault")

    made: list[str] = []
    serial = SerialThread("calls")
    serial.put(fail)
    serial.put(lambda: made.append("after"))
    assert serial.settle(LONG)
    assert made == ["after"]
