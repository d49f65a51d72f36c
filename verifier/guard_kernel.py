"""System calls that Python has no name for, made by number through the C library (syscall(2))."""

import ctypes
import os
import sys

from kit.errors import GuardNotInForce
from verifier.guard_filter import PROCESSORS


class Kernel:
    """The running kernel, as the network guard speaks to it."""

    def __init__(self) -> None:
        processor = PROCESSORS.get(os.uname().machine)
        if processor is None or sys.maxsize < 2**32:
            raise GuardNotInForce(detail="no filter is known for this processor")
        self.processor = processor
        self._syscall = ctypes.CDLL(None, use_errno=True).syscall
        self._syscall.argtypes = [ctypes.c_long] * 7
        self._syscall.restype = ctypes.c_long

    def call(self, name: str, *arguments: int | bytes) -> int:
        """Make one system call; a byte string is passed by its address.

        Returns what the kernel returns; a refusal is an ``OSError`` with the kernel's error number.
        """
        memory = [ctypes.create_string_buffer(value, len(value)) for value in arguments if isinstance(value, bytes)]
        addresses = iter(memory)
        words = [ctypes.addressof(next(addresses)) if isinstance(value, bytes) else value for value in arguments]
        words += [0] * (6 - len(words))
        result = int(self._syscall(self.processor.calls[name], *words))
        if result == -1:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))
        return result

    def call_with_filter(self, name: str, *arguments: int, program: bytes) -> int:
        """Make a system call whose last argument is a ``struct sock_fprog`` for the program."""
        instructions = ctypes.create_string_buffer(program, len(program))
        pointer = ctypes.addressof(instructions).to_bytes(8, sys.byteorder)
        length = (len(program) // 8).to_bytes(8, sys.byteorder)
        return self.call(name, *arguments, length + pointer)
