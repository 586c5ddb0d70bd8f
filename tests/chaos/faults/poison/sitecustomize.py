"""First on the PYTHONPATH of workers: a prompt with ``[[poison exit]]`` kills the process that calls the provider.

``[[poison memory]]`` raises MemoryError, ``[[poison systemexit]]`` SystemExit. Production code does not contain this.
"""

import importlib.abc
import importlib.machinery
import os
import sys

_TARGET = "tasks.provider.client"


def _poison(message):
    if "[[poison exit]]" in message:
        os._exit(9)
    if "[[poison memory]]" in message:
        raise MemoryError
    if "[[poison systemexit]]" in message:
        raise SystemExit(3)


def _wrap(module):
    original = module.Provider.chat

    async def chat(self, request, *args):
        _poison(request.message)
        deltas = original(self, request, *args)
        try:
            async for delta in deltas:
                yield delta
        finally:
            await deltas.aclose()

    module.Provider.chat = chat


class _Loader(importlib.abc.Loader):
    def __init__(self, inner):
        self._inner = inner

    def create_module(self, spec):
        return self._inner.create_module(spec)

    def exec_module(self, module):
        self._inner.exec_module(module)
        _wrap(module)


class _Finder(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, _target=None):
        if name != _TARGET:
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path)
        spec.loader = _Loader(spec.loader)
        return spec


sys.meta_path.insert(0, _Finder())
