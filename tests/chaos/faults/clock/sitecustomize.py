"""Put first on the PYTHONPATH of one worker: its wall clock is off by CHAOS_CLOCK_SECONDS. The monotonic one is not."""

import os
import time

_true_time = time.time
_off = float(os.environ.get("CHAOS_CLOCK_SECONDS", "0"))
time.time = lambda: _true_time() + _off
