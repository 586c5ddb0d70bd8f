"""Long polls on the three endpoints of a job: each ends with the final state, and every change has its own ETag."""

import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from jobs.states import State
from jobs.storage import keys, transitions
from jobs.watch.listener import RECHECK_SECONDS
from tests.api.conftest import ANSWER
from tests.support.waiting import until

UNKNOWN = "job_" + "0" * 32
ADDRESSES = {
    "task": ("/api/v1/tasks/{}", 200),
    "result": ("/api/v1/tasks/{}/result", 202),
    "chat": ("/api/v1/chat/jobs/{}", 202),
}


@pytest.fixture(params=ADDRESSES)
def address(request):
    """The path of each endpoint, and its status for a job that is not final."""
    return ADDRESSES[request.param]


@pytest.fixture
def job_id(submit_chat):
    return submit_chat()


@pytest.fixture
def path(address, job_id):
    return address[0].format(job_id)


@pytest.fixture
def unfinished(address):
    return address[1]


@pytest.fixture
def waits(fake_worker):
    """True once a request waits for that job."""
    client = fake_worker.store._client
    return lambda job_id: client.pubsub_numsub(keys.result(job_id))[0][1] == 1


@pytest.fixture
def get(api_app):
    return lambda path, **headers: api_app.test_client().get(path, headers=headers)


@pytest.mark.parametrize(("query", "prefer"), [("?wait=20", {}), ("", {"Prefer": "wait=20"})])
def test_a_wait_ends_when_the_job_becomes_final(get, fake_worker, waits, job_id, path, query, prefer):
    """The response comes long before the periodic recheck."""
    with ThreadPoolExecutor() as pool:
        waited = pool.submit(get, path + query, **prefer)
        until(lambda: waits(job_id))
        fake_worker.complete(job_id)
        ended_at = time.monotonic()
        response = waited.result(20)
        took = time.monotonic() - ended_at

    assert (response.status_code, response.json["status"]) == (200, "completed")
    assert "Retry-After" not in response.headers
    assert response.headers.get("Preference-Applied") == prefer.get("Prefer")
    assert took < RECHECK_SECONDS - 1


def test_a_wait_that_times_out_returns_the_current_state(get, path, unfinished):
    """The response has a Retry-After."""
    started = time.monotonic()
    response = get(path + "?wait=0.2")

    assert (response.status_code, response.json["status"]) == (unfinished, "queued")
    assert response.headers["Retry-After"] == "1"
    assert time.monotonic() - started >= 0.2


def test_the_query_takes_precedence_over_prefer(get, path, unfinished):
    """With `wait=0` the response is immediate and has no Preference-Applied."""
    response = get(path + "?wait=0", Prefer="wait=60")

    assert response.status_code == unfinished
    assert "Preference-Applied" not in response.headers


@pytest.mark.parametrize(
    ("prefer", "applied"),
    [("wait=7", "wait=7"), ("wait=9999", "wait=60"), ("respond-async, wait=0", "wait=0"), ("wait=-1", None)],
)
def test_a_preference_is_honoured_up_to_a_minute(get, fake_worker, job_id, path, prefer, applied):
    """Preference-Applied states the wait that was applied."""
    fake_worker.complete(job_id)

    assert get(path, Prefer=prefer).headers.get("Preference-Applied") == applied


@pytest.mark.parametrize("wait", ["61", "-1", "x", "", "nan", "inf"])
def test_an_invalid_wait_is_rejected(get, read_problem, path, wait):
    """A wait that is not a number between 0 and the maximum is a 422."""
    problem = read_problem(get(f"{path}?wait={wait}"), 422, "invalid_request")

    assert problem["error"]["param"] == "wait"


def test_a_wait_for_an_unknown_job_is_404_immediately(get, read_problem, address):
    """A wait must not hold the request for a job that does not exist."""
    started = time.monotonic()
    for unknown in (UNKNOWN, "nonsense"):
        read_problem(get(address[0].format(unknown) + "?wait=30"), 404, "job_not_found")

    assert time.monotonic() - started < 3


def test_deleting_the_job_ends_the_wait(get, api_client, waits, job_id, path):
    """The waiting request gets a 404 instead of waiting until its timeout."""
    with ThreadPoolExecutor() as pool:
        waited = pool.submit(get, path + "?wait=30")
        until(lambda: waits(job_id))
        api_client.delete(f"/api/v1/tasks/{job_id}")
        response = waited.result(20)

    assert response.status_code == 404 or response.json["status"] == "cancelled"


def test_a_wait_reads_the_job_only_at_its_beginning_and_end(get, fake_worker, waits, job_id, path, monkeypatch):
    """A stream of a hundred deltas causes no reads by a waiting request."""
    lease = fake_worker.claim(job_id)
    with ThreadPoolExecutor() as pool:
        waited = pool.submit(get, path + "?wait=30")
        until(lambda: waits(job_id))
        reads = count_reads(fake_worker.store, job_id, monkeypatch)
        for number in range(100):
            fake_worker.write(lease, lease.log_length + number, "piece ")
        assert fake_worker.store.run(transitions.finish(lease, ANSWER, State.COMPLETED, fake_worker.settings))
        assert waited.result(20).json["status"] == "completed"

    assert len(reads) <= 3  # one read may have been in progress when the counting began


def test_a_final_job_is_read_once(get, fake_worker, job_id, path, monkeypatch):
    """A wait for a final job costs one read."""
    fake_worker.complete(job_id)
    reads = count_reads(fake_worker.store, job_id, monkeypatch)

    assert get(path + "?wait=30").status_code == 200
    assert len(reads) == 1


def count_reads(store, job_id, monkeypatch):
    reads, run_all = [], store.run_all

    def counting_run_all(commands):
        if any(keys.job(job_id) in command.arguments for command in commands):
            reads.append(commands)
        return run_all(commands)

    monkeypatch.setattr(store, "run_all", counting_run_all)
    return reads


def test_waiters_on_all_addresses_are_woken_by_one_cancel(get, api_client, waits, job_id):
    """Every endpoint that can wait is notified of the same cancellation."""
    paths = [form.format(job_id) + "?wait=30" for form, _ in ADDRESSES.values() for _ in range(5)]
    with ThreadPoolExecutor(len(paths)) as pool:
        waited = [pool.submit(get, path) for path in paths]
        until(lambda: waits(job_id))
        api_client.post(f"/api/v1/tasks/{job_id}/cancel")
        answers = [future.result(20) for future in waited]

    assert {(answer.status_code, answer.json["status"]) for answer in answers} == {(200, "cancelled")}


def test_the_etag_holds_until_something_changes(get, fake_worker, submit_chat, address):
    """The queue position, a claim, a delta and the end each change the ETag."""
    form, _ = address
    first, job_id = submit_chat(), submit_chat()
    etags = [etag_of(get, form.format(job_id))]
    fake_worker.complete(first)
    etags.append(etag_of(get, form.format(job_id)))
    lease = fake_worker.claim(job_id)
    etags.append(etag_of(get, form.format(job_id)))
    fake_worker.write(lease, lease.log_length, "an ")
    etags.append(etag_of(get, form.format(job_id)))
    assert fake_worker.store.run(transitions.finish(lease, ANSWER, State.COMPLETED, fake_worker.settings))
    etags.append(etag_of(get, form.format(job_id)))

    assert len(set(etags)) == len(etags)


def etag_of(get, path):
    """The current ETag, for which each form of If-None-Match is answered with an empty 304."""
    tag = get(path).headers["ETag"]
    for sent in (tag, f'"other", {tag}', tag.removeprefix("W/"), "*"):
        same = get(path, **{"If-None-Match": sent})
        assert (same.status_code, same.data, same.headers["ETag"]) == (304, b"", tag)
    assert get(path, **{"If-None-Match": 'W/"other"'}).status_code != 304
    return tag


def test_a_wait_with_an_etag_returns_the_changed_job(get, fake_worker, waits, job_id, path):
    """If nothing changed, the response is 304 at the end of the wait."""
    tag = get(path).headers["ETag"]
    unchanged = get(path + "?wait=0.2", **{"If-None-Match": tag})
    with ThreadPoolExecutor() as pool:
        waited = pool.submit(get, path + "?wait=30", **{"If-None-Match": tag})
        until(lambda: waits(job_id))
        fake_worker.complete(job_id)
        changed = waited.result(20)

    assert (unchanged.status_code, unchanged.headers["Retry-After"]) == (304, "1")
    assert (changed.status_code, changed.json["status"]) == (200, "completed")
    assert changed.headers["ETag"] != tag
