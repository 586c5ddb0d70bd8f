"""All faults mixed, in an order that depends on the seed."""

import random
import signal
import threading
import time
from collections.abc import Callable

from jobs.priorities import NORMAL_PRIORITY
from jobs.storage import keys
from tests.chaos.environment import Environment
from tests.chaos.fault import Fault
from tests.chaos.poison import POISON_JOBS
from tests.chaos.proxy import Proxy
from tests.chaos.worker_fleet import Worker

_LIST = keys.broker_list(keys.DEFAULT_QUEUE, NORMAL_PRIORITY)


class MixedFaults:
    """Each public method except ``run`` is one fault. ``run`` injects them in random order."""

    def __init__(self, environment: Environment, seed: int) -> None:
        self._environment = environment
        self._random = random.Random(seed)
        self._proxy: Proxy = environment.proxy_for_workers()

    def run(self) -> None:
        """Inject the faults while jobs are submitted, then wait until all jobs have ended."""
        environment = self._environment
        environment.poison()
        environment.fleet.start(3, 8)
        environment.fleet.restart_ended()
        faults = environment.plan.count(14, 5)
        feeder = threading.Thread(target=environment.submit_while, args=(faults * 7, 0.35, 4), daemon=True)
        feeder.start()
        environment.wait_until_busy(8)
        for fault in self._draw(faults):
            environment.notes.append(fault.__name__)
            fault()
            time.sleep(self._random.uniform(2, 6))
        feeder.join()
        environment.wait(lambda: not environment.unfinished(), 60 + 10 * environment.plan.lease_seconds, "all jobs end")
        environment.recovery_seconds += [
            resumption.seconds for resumption in environment.resumptions() if resumption.broken_calls < 2
        ]

    def _draw(self, count: int) -> list[Callable[[], None]]:
        """A random sequence with every kind of fault, if `count` is large enough."""
        faults = [self.kill, self.stop, self.freeze, self.restart_redis, self.drop, self.half_open]
        faults += [self.steal_messages, self.duplicate_messages, self.poison]
        drawn = faults + self._random.choices(faults, k=max(0, count - len(faults)))
        self._random.shuffle(drawn)
        return drawn[:count]

    def kill(self) -> None:
        self._environment.fleet.replace(self._any_worker())

    def stop(self) -> None:
        """Start a replacement and let the worker stop in its own time."""
        worker = self._any_worker()
        self._environment.fleet.retire(worker)
        self._environment.fleet.add(worker.slots)
        worker.signal_main(signal.SIGTERM)

    def freeze(self) -> None:
        worker = self._any_worker()
        self._environment.unseen_overlaps |= self._environment.keys_held_by(worker)
        worker.signal_all(signal.SIGSTOP)
        threading.Timer(1.5 * self._environment.plan.lease_seconds, worker.signal_all, [signal.SIGCONT]).start()

    def restart_redis(self) -> None:
        self._environment.redis.end(self._random.choice([signal.SIGKILL, signal.SIGTERM]))
        time.sleep(self._random.uniform(0.5, 3))
        self._environment.redis.start()

    def drop(self) -> None:
        self._proxy.drop()

    def half_open(self) -> None:
        self._proxy.stall_open_connections()

    def steal_messages(self) -> None:
        with self._environment.redis.client() as redis:
            redis.lpop(_LIST, 5)

    def duplicate_messages(self) -> None:
        with self._environment.redis.client() as redis:
            messages = redis.lrange(_LIST, 0, -1)
            if messages:
                redis.rpush(_LIST, *messages)

    def poison(self) -> None:
        word, codes = self._random.choice(POISON_JOBS)
        self._environment.client.submit(1, f"[[poison {word}]] ", codes)

    def _any_worker(self) -> Worker:
        running = [worker for worker in self._environment.fleet.workers if worker.is_running]
        return self._random.choice(running)


def _mixed(number: int) -> Callable[[Environment], None]:
    return lambda environment: MixedFaults(environment, environment.plan.seed * 100 + number).run()


FAULTS = tuple(
    Fault(f"mixed_{number}", f"all faults mixed, seed {number}", _mixed(number), end_seconds=60) for number in (1, 2, 3)
)
