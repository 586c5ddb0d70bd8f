"""Everything at once, in an order that the seed decides."""

import random
import signal
import threading
import time
from collections.abc import Callable

from jobs.storage import keys
from tests.chaos.environment import Stage
from tests.chaos.fault import Fault
from tests.chaos.poison import GUILTY
from tests.chaos.proxy import Proxy

_LIST = keys.broker_list(keys.DEFAULT_QUEUE, keys.NORMAL_PRIORITY)


class Mix:
    """Each method is one fault; ``inflict`` draws them."""

    def __init__(self, stage: Stage, seed: int) -> None:
        self._stage = stage
        self._random = random.Random(seed)
        self._proxy: Proxy = stage.proxy_for_workers()

    def run(self) -> None:
        stage = self._stage
        stage.poison()
        stage.fleet.start(3, 8)
        stage.fleet.keep_running()
        faults = stage.plan.count(14, 5)
        feeder = threading.Thread(target=stage.submit_while, args=(faults * 7, 0.35, 4), daemon=True)
        feeder.start()
        stage.wait_until_busy(8)
        for fault in self._draw(faults):
            stage.notes.append(fault.__name__)
            fault()
            time.sleep(self._random.uniform(2, 6))
        feeder.join()
        stage.wait(lambda: not stage.unfinished(), 60 + 10 * stage.plan.lease_seconds, "all end")
        stage.back += [found.seconds for found in stage.comebacks() if found.deaths < 2]

    def _draw(self, count: int) -> list[Callable[[], None]]:
        """Each kind at least once as long as there is room."""
        kinds = [self.kill, self.stop, self.freeze, self.restart_redis, self.drop, self.half_open]
        kinds += [self.steal, self.double, self.poison]
        drawn = kinds + self._random.choices(kinds, k=max(0, count - len(kinds)))
        self._random.shuffle(drawn)
        return drawn[:count]

    def kill(self) -> None:
        self._stage.fleet.replace(self._any_worker())

    def stop(self) -> None:
        """Its successor is there at once; it takes its time."""
        worker = self._any_worker()
        self._stage.fleet.forget(worker)
        self._stage.fleet.add(worker.slots)
        worker.signal_main(signal.SIGTERM)

    def freeze(self) -> None:
        worker = self._any_worker()
        self._stage.unseen_overlaps |= self._stage.keys_held_by(worker)
        worker.signal_all(signal.SIGSTOP)
        threading.Timer(1.5 * self._stage.plan.lease_seconds, worker.signal_all, [signal.SIGCONT]).start()

    def restart_redis(self) -> None:
        self._stage.redis.end(self._random.choice([signal.SIGKILL, signal.SIGTERM]))
        time.sleep(self._random.uniform(0.5, 3))
        self._stage.redis.start()

    def drop(self) -> None:
        self._proxy.drop()

    def half_open(self) -> None:
        self._proxy.silence_open_ones()

    def steal(self) -> None:
        with self._stage.redis.client() as redis:
            redis.lpop(_LIST, 5)

    def double(self) -> None:
        with self._stage.redis.client() as redis:
            bells = redis.lrange(_LIST, 0, -1)
            if bells:
                redis.rpush(_LIST, *bells)

    def poison(self) -> None:
        word, codes = self._random.choice(GUILTY)
        self._stage.client.submit(1, f"[[poison {word}]] ", codes)

    def _any_worker(self):
        running = [worker for worker in self._stage.fleet.workers if worker.is_running]
        return self._random.choice(running)


def _mixed(number: int) -> Callable[[Stage], None]:
    return lambda stage: Mix(stage, stage.plan.seed * 100 + number).run()


FAULTS = tuple(
    Fault(f"mixed_{number}", f"all of it mixed, seed {number}", _mixed(number), end_seconds=60) for number in (1, 2, 3)
)
