"""Files that were decoded last, up to a number of bytes."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping

import numpy as np

CACHE_BYTES = 256 << 20

Layers = Mapping[str, np.ndarray]


class LayerCache:
    """Keeps what was used last. Safe to use from several threads."""

    def __init__(self, limit: int = CACHE_BYTES) -> None:
        self._limit = limit
        self._bytes = 0
        self._kept: OrderedDict[Hashable, Layers] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: Hashable, read: Callable[[], Layers]) -> Layers:
        """What is kept under `key`, else what `read` returns. Not to be written to."""
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
        value = read()
        with self._lock:
            if key not in self._kept:
                self._kept[key] = value
                self._bytes += _size(value)
            while self._bytes > self._limit and len(self._kept) > 1:
                self._bytes -= _size(self._kept.popitem(last=False)[1])
        return value


def _size(layers: Layers) -> int:
    return sum(values.nbytes for values in layers.values())
