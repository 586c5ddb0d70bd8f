"""Anyone who can write to the broker can send anything: a worker drops it, logs no content, and takes the good ones."""

import base64
import json
import pickle
import uuid

import pytest

from jobs.states import State
from jobs.storage.keys import DEFAULT_QUEUE
from tasks.celery_ext.message_check import DroppedMessages, Unfit, check_task, read_envelope
from tasks.queue_message import RUN_JOB
from tests.support.waiting import until

BODY = [[], {}, {"callbacks": None, "errbacks": None, "chain": None, "chord": None}]
CANARY = "canary-3e77"


def job_id() -> str:
    return f"job_{uuid.uuid4().hex}"


def headers(**changes):
    return {"task": RUN_JOB, "id": job_id(), "argsrepr": "()", "kwargsrepr": "{}", "eta": None, **changes}


def envelope(body=None, content_type="application/json", properties=None, **changed_headers):
    """A message as kombu writes it, with some parts replaced."""
    data = body if isinstance(body, bytes) else json.dumps(BODY if body is None else body).encode()
    return {
        "body": base64.b64encode(data).decode(),
        "content-encoding": "utf-8",
        "content-type": content_type,
        "headers": headers(**changed_headers),
        "properties": {
            "correlation_id": "x",
            "delivery_info": {"exchange": "", "routing_key": DEFAULT_QUEUE},
            "priority": 3,
            "body_encoding": "base64",
            "delivery_tag": uuid.uuid4().hex,
            **(properties or {}),
        },
    }


def without(message, *names):
    return {name: value for name, value in message.items() if name not in names}


NOT_ENVELOPES = {
    "no JSON": CANARY.encode(),
    "no UTF-8": b"\xff\xfe\x00",
    "empty": b"",
    "a list": b"[]",
    "an object": b"{}",
    "a number": b"1",
    "null": b"null",
    "nested": b"[" * 100_000,
    "no properties": json.dumps(without(envelope(), "properties")).encode(),
    "no headers": json.dumps(without(envelope(), "headers")).encode(),
    "no body": json.dumps(without(envelope(), "body")).encode(),
    "tag that is no text": json.dumps(envelope(properties={"delivery_tag": ["a"]})).encode(),
    "info that is no object": json.dumps(envelope(properties={"delivery_info": "a"})).encode(),
    "unknown encoding of the body": json.dumps(envelope(properties={"body_encoding": "rot13"})).encode(),
    "body that is no base64": json.dumps(envelope() | {"body": "\u00e9\u00e9"}).encode(),
    "pickle": json.dumps(envelope(pickle.dumps(CANARY), "application/x-python-serialize")).encode(),
    "compressed": json.dumps(envelope(compression="application/x-gzip")).encode(),
    "body that is no JSON": json.dumps(envelope(CANARY.encode())).encode(),
}
NOT_TASKS = {
    "unknown task": envelope(task=f"os.system.{CANARY}"),
    "task that is no text": envelope(task=["a"]),
    "no task": envelope(task=None),
    "id that is a list": envelope(id=["a"]),
    "no id": envelope(id=None),
    "id with a line break": envelope(id=f"job_\n{CANARY} \x1b[31m"),
    "id of another form": envelope(id=CANARY),
    "time that is none": envelope(eta=CANARY),
    "time for a job": envelope(eta="2027-11-11T00:00:00+00:00"),
    "arguments": envelope([[CANARY], {}, BODY[2]]),
    "callbacks": envelope([[], {}, {"callbacks": [{"task": "celery.backend_cleanup"}]}]),
    "body of another form": envelope({"a": CANARY}),
    "other task with an unsafe id": envelope(task="celery.backend_cleanup", id=f"\n{CANARY}"),
}


@pytest.mark.parametrize("name", NOT_ENVELOPES)
def test_what_is_no_message_is_unfit(name):
    """kombu would raise for each of these, and the worker would end."""
    with pytest.raises(Unfit) as unfit:
        read_envelope(NOT_ENVELOPES[name])
    assert CANARY not in str(unfit.value)


@pytest.mark.parametrize("name", NOT_TASKS)
def test_what_is_no_fit_task_is_unfit(name):
    """Celery would end the worker, or log the content."""
    message = read_envelope(json.dumps(NOT_TASKS[name]))
    body = base64.b64decode(message["body"])
    with pytest.raises(Unfit) as unfit:
        check_task(message["headers"], message["content-type"], body, {RUN_JOB, "celery.backend_cleanup"})
    assert CANARY not in str(unfit.value)


def test_the_message_of_a_job_and_other_tasks_are_fit():
    """Other Celery tasks of the same worker may have arguments, a time and any harmless id."""
    message = envelope()
    read_envelope(json.dumps(message))
    check_task(message["headers"], message["content-type"], json.dumps(BODY), {RUN_JOB})
    other = headers(task="other", id="a-b.c", eta="2027-11-11T00:00:00+00:00")
    check_task(other, "application/json", json.dumps([[1], {"a": 2}, {}]), {"other"})


def test_garbage_ends_no_worker_and_takes_no_good_message_with_it(worker, client, redis_client):
    """A worker takes up to 16 messages at once: the good ones among the garbage run."""
    before = worker.output.count("message_dropped")
    garbage = [*NOT_ENVELOPES.values(), *(json.dumps(message) for message in NOT_TASKS.values())]
    ids = []
    for number, message in enumerate(garbage):
        redis_client.lpush(DEFAULT_QUEUE, message)
        if number % 4 == 0:
            ids.append(client.submit("[[offline say=hello]]"))
    until(lambda: {client.record(job_id).state for job_id in ids} == {State.COMPLETED})

    assert worker.returncode is None
    assert {client.record(job_id).attempts for job_id in ids} == {1}
    until(lambda: worker.output.count("message_dropped") > before)
    assert CANARY not in worker.output
    assert "\x1b[31m" not in worker.output
    assert "Traceback" not in worker.output


@pytest.mark.parametrize(
    "data",
    [
        *(CANARY.encode(), b"[]", b"{}", b"\xff", json.dumps(envelope(CANARY.encode())).encode()),
        json.dumps(envelope({CANARY: 1})).encode(),
        json.dumps(envelope({"method": ["a"], "arguments": 1})).encode(),
        json.dumps(envelope({"method": CANARY, "arguments": {}})).encode(),
        json.dumps(envelope([CANARY])).encode(),
    ],
)
def test_garbage_for_remote_control_and_events_ends_no_worker(worker, client, redis_client, data):
    """A worker subscribes to channels of remote control, and has a list for the events of other workers."""
    channels = redis_client.pubsub_channels("*")
    patterns = [b"/0.celery.pidbox", b"/0.celeryev/worker.heartbeat", b"/0.celeryev/worker.online"]
    for channel in {*channels, *patterns}:
        redis_client.publish(channel, data)
    for key in redis_client.scan_iter("*pidbox*"):
        if redis_client.type(key) == b"list":
            redis_client.lpush(key, data)
    job = client.submit("[[offline say=hello]]")

    until(lambda: client.record(job).state is State.COMPLETED)
    assert worker.returncode is None
    assert "Unrecoverable" not in worker.output


def test_the_log_of_dropped_messages_is_bounded(caplog):
    """A flood of garbage must not fill the disk: one line for each reason in ten seconds, with the count."""
    now = [0.0]
    dropped = DroppedMessages(lambda: now[0])
    for second in range(25):
        now[0] = float(second)
        for _ in range(100):
            dropped.add("not_json")
    dropped.add("unknown_task")

    assert dropped.count == 2_501
    assert [record.getMessage() for record in caplog.records] == [
        "message_dropped reason=not_json dropped=1",
        "message_dropped reason=not_json dropped=1001",
        "message_dropped reason=not_json dropped=2001",
        "message_dropped reason=unknown_task dropped=2501",
    ]
