"""seccomp: Linux refuses system calls that a process has given up for good: network, processes, rare ones.

The filter lists what is refused, so an unknown call of a new kernel is allowed. A refused call fails with EPERM.
"""

import ctypes
import errno
import platform
import struct
from typing import Final

_SET_SECCOMP: Final = 22  # prctl
_FILTER_MODE: Final = 2
_ALLOW: Final = 0x7FFF0000
_ERRNO: Final = 0x00050000
_KILL: Final = 0x80000000
_THREAD: Final = 0x00010000  # CLONE_THREAD: a new thread, not a new process
_FOREIGN_CALLS: Final = 0x40000000  # x86: the numbers of the x32 calls
_LOAD: Final = 0x20  # BPF: load a word of the call's data
_EQUAL: Final = 0x15
_AT_LEAST: Final = 0x35
_HAS_BIT: Final = 0x45
_RETURN: Final = 0x06
_NUMBER_AT: Final = 0  # offsets in struct seccomp_data
_ARCHITECTURE_AT: Final = 4
_FIRST_ARGUMENT_AT: Final = 16

_COMMON: Final = {
    *(424, 425, 426, 427, 434, 438),  # pidfd_send_signal, io_uring (3), pidfd_open, pidfd_getfd
}
_REFUSED: Final = {
    "x86_64": _COMMON
    | {
        *(41, 42, 43, 44, 45, 46, 47, 49, 50, 53, 288, 299, 307),  # sockets
        *(57, 58, 59, 62, 101, 310, 311, 322),  # fork, vfork, execve, kill, ptrace, process_vm (2), execveat
        *(155, 161, 165, 166, 272, 308),  # pivot_root, chroot, mount, umount2, unshare, setns
        *(175, 176, 246, 313, 248, 249, 250, 298, 303, 304, 319, 321, 323),  # modules, kexec, keys, perf, handles, bpf
    },
    "aarch64": _COMMON
    | {
        *(198, 199, 200, 201, 202, 203, 206, 207, 211, 212, 242, 243, 269),
        *(221, 129, 117, 270, 271, 281),
        *(41, 51, 40, 39, 97, 268),
        *(105, 106, 104, 273, 217, 218, 219, 241, 264, 265, 279, 280, 282),
    },
}
_ARCHITECTURE: Final = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
_CLONE: Final = {"x86_64": 56, "aarch64": 220}
_CLONE3: Final = 435  # its flags are in memory, which a filter cannot read; the C library then uses clone


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_char_p))


def refuse_calls(libc: ctypes.CDLL) -> bool:
    """Refuse the calls to this thread and its children. False if the machine or the kernel does not support it.

    ``no_new_privileges`` must be set.
    """
    machine = platform.machine()
    if machine not in _REFUSED:
        return False
    code = b"".join(_instructions(machine))
    program = _Program(len(code) // 8, code)
    return bool(libc.prctl(_SET_SECCOMP, _FILTER_MODE, ctypes.byref(program), 0, 0) == 0)


def _instructions(machine: str) -> list[bytes]:
    refuse, unknown = _ERRNO | errno.EPERM, _ERRNO | errno.ENOSYS
    code = [
        _step(_LOAD, _ARCHITECTURE_AT),
        _step(_EQUAL, _ARCHITECTURE[machine], if_true=1),
        _step(_RETURN, _KILL),
        _step(_LOAD, _NUMBER_AT),
        _step(_AT_LEAST, _FOREIGN_CALLS, if_false=1),
        _step(_RETURN, refuse),
        _step(_EQUAL, _CLONE3, if_false=1),
        _step(_RETURN, unknown),
    ]
    for number in sorted(_REFUSED[machine]):
        code += [_step(_EQUAL, number, if_false=1), _step(_RETURN, refuse)]
    code += [
        _step(_EQUAL, _CLONE[machine], if_false=3),
        _step(_LOAD, _FIRST_ARGUMENT_AT),
        _step(_HAS_BIT, _THREAD, if_true=1),
        _step(_RETURN, refuse),
        _step(_RETURN, _ALLOW),
    ]
    return code


def _step(operation: int, value: int, *, if_true: int = 0, if_false: int = 0) -> bytes:
    """One instruction; ``if_true`` and ``if_false`` are the numbers of instructions to skip."""
    return struct.pack("=HBBI", operation, if_true, if_false, value)
