"""What a kernel is asked to refuse, by its version and its machine: simulated, as a test has one kernel only."""

from __future__ import annotations

import errno
import re
import struct
from pathlib import Path

import pytest

from scicat_watch.pipeline.reading import landlock, seccomp
from scicat_watch.pipeline.reading.seccomp import READER, WORKER

_MACHINES = {name: (column, audit) for name, (column, audit, _) in seccomp._MACHINES.items()}
_HEADERS = {
    "x86_64": Path("/usr/include/x86_64-linux-gnu/asm/unistd_64.h"),
    "aarch64": Path("/usr/include/asm-generic/unistd.h"),
}
_FIRST = (1 << 13) - 1  # Those of Linux 5.13: from EXECUTE to MAKE_SYM.
_REFER, _TRUNCATE, _IOCTL = 1 << 13, 1 << 14, 1 << 15


@pytest.mark.parametrize(
    ("version", "fields"),
    [
        (1, (_FIRST,)),  # Linux 5.13
        (2, (_FIRST | _REFER,)),  # 5.19
        (3, (_FIRST | _REFER | _TRUNCATE,)),  # 6.2
        (4, (_FIRST | _REFER | _TRUNCATE, 3)),  # 6.7: TCP
        (5, (_FIRST | _REFER | _TRUNCATE | _IOCTL, 3)),  # 6.10
        (6, (_FIRST | _REFER | _TRUNCATE | _IOCTL, 3, 3)),  # 6.12: abstract sockets and signals
        (7, (_FIRST | _REFER | _TRUNCATE | _IOCTL, 3, 3)),
        (9, (_FIRST | _REFER | _TRUNCATE | _IOCTL, 3, 3)),
    ],
)
def test_each_version_of_landlock_is_asked_for_all_that_it_knows_and_no_more(
    version: int, fields: tuple[int, ...]
) -> None:
    wanted = landlock.ruleset(version)
    assert struct.unpack(f"{len(wanted) // 8}Q", wanted) == fields


def test_what_an_older_landlock_does_not_know_is_refused_as_a_system_call() -> None:
    rules = {rule.call for rule in (*WORKER, *READER)}
    assert {"truncate", "ftruncate", "socket", "connect", "bind", "kill", "tgkill", "ioctl"} <= rules


class Kernel:
    """Carries out a filter as the kernel would: struct seccomp_data, and the few instructions that we use."""

    def __init__(self, machine: str) -> None:
        self._column, self._audit = _MACHINES[machine]
        code = seccomp.instructions((*READER, *WORKER), self._column, self._audit)
        self._code = list(struct.iter_unpack("HBBI", code))
        assert len(self._code) <= 4096  # BPF_MAXINSNS

    def answers(self, call: int, *arguments: int, audit: int | None = None) -> int:
        """The error of a system call, 0 if it is allowed."""
        given = [call, self._audit if audit is None else audit, 0, 0]
        for number in range(6):
            argument = arguments[number] if number < len(arguments) else 0
            given += [argument & 0xFFFFFFFF, argument >> 32]
        at, value = 0, 0
        while True:
            kind, met, unmet, operand = self._code[at]
            at += 1
            match kind:
                case seccomp._LOAD:
                    value = given[operand // 4]
                case seccomp._EQUAL:
                    at += met if value == operand else unmet
                case seccomp._AT_LEAST:
                    at += met if value >= operand else unmet
                case seccomp._ANY_BIT:
                    at += met if value & operand else unmet
                case seccomp._END:
                    return 0 if operand == seccomp._ALLOW else operand & 0xFFFF

    def number(self, call: str) -> int | None:
        """Its number on this machine."""
        return seccomp.CALLS[call][self._column]


@pytest.mark.parametrize("machine", _MACHINES)
def test_every_call_that_is_refused_is_so_by_the_number_of_the_machine(machine: str) -> None:
    kernel, always = Kernel(machine), {rule.call: rule.error for rule in (*READER, *WORKER) if rule.argument is None}
    refused = {kernel.number(call): error for call, error in reversed(always.items())}
    examined = {kernel.number(rule.call) for rule in (*READER, *WORKER)} - refused.keys()
    for number in range(600):
        if number in refused:
            assert kernel.answers(number) != 0, number
        elif number not in examined:
            assert kernel.answers(number) == 0, f"{number} is nobody's on {machine}"


@pytest.mark.parametrize("machine", _MACHINES)
def test_arguments_decide_where_they_are_examined(machine: str) -> None:
    kernel = Kernel(machine)

    def answers(call: str, *arguments: int) -> int:
        number = kernel.number(call)
        assert number is not None
        return kernel.answers(number, *arguments)

    assert (answers("openat", 3, 0, 0), answers("openat", 3, 0, 0o1)) == (0, errno.EACCES)
    assert answers("openat", 3, 0, 0o100) == errno.EACCES  # To make a file.
    assert (answers("clone", 0x10000), answers("clone", 17)) == (0, errno.EPERM)  # A thread, a process.
    assert (answers("prlimit64", 0), answers("prlimit64", 1)) == (0, errno.EPERM)
    assert (answers("fcntl", 0, 3), answers("fcntl", 0, 8)) == (0, errno.EPERM)
    assert (answers("clone3"), answers("openat2")) == (errno.ENOSYS, errno.ENOSYS)


@pytest.mark.parametrize("machine", _MACHINES)
def test_a_program_of_another_machine_is_refused_everything(machine: str) -> None:
    kernel = Kernel(machine)
    (other,) = [audit for name, (_, audit) in _MACHINES.items() if name != machine]
    assert {kernel.answers(number, audit=other) for number in range(600)} == {errno.EPERM}


@pytest.mark.parametrize("machine", _MACHINES)
def test_the_numbers_are_those_of_the_kernels_headers(machine: str) -> None:
    header, (column, _) = _HEADERS[machine], _MACHINES[machine]
    if not header.exists():
        pytest.skip(f"there is no {header} here")
    text = header.read_text()
    known = {name: int(number) for name, number in re.findall(r"#define __NR(?:3264)?_(\w+)\s+(\d+)$", text, re.M)}
    for call, numbers in seccomp.CALLS.items():
        number = numbers[column]
        if call in known:
            assert number == known[call], call
        else:  # Newer than the header, or not there on this machine.
            assert number is None or number > max(known.values()), call
