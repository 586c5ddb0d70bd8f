"""First on the PYTHONPATH of one worker: shifts its wall clock by CHAOS_CLOCK_SECONDS, not its monotonic clock."""

import os
import time

_true_time = time.time
_offset_seconds = float(os.environ.get("CHAOS_CLOCK_SECONDS", "0"))
time.time = lambda: _true_time() + _offset_seconds
