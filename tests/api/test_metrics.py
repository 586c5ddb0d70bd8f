"""GET /metrics: the figures of all processes, in the format of Prometheus."""

import signal
import threading
import urllib.request

import pytest
from prometheus_client.parser import text_string_to_metric_families

from jobs.metrics import HTTP, METRICS, TOKENS, Additions, MetricCounts
from jobs.storage import keys, transitions
from tests.support.offline_model import calls, directive, key
from tests.support.stack import serving
from tests.support.waiting import until

CANARY = "canary-93ab"


def samples(text):
    """The value of each series: its name, and its labels in alphabetical order."""
    return {
        (sample.name.removeprefix("chatqueue_"), *(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def add(store, additions):
    addition = additions.next()
    assert addition is not None
    store.run(transitions.add_counts(addition))


def scrape(url):
    with urllib.request.urlopen(f"{url}/metrics", timeout=10) as reply:
        return samples(reply.read().decode())


def test_jobs_and_attempts_are_counted_by_kind_and_state(api_client, submit_chat, fake_worker):
    """These counts are written by the scripts that move the jobs, so they are exact."""
    fake_worker.complete(submit_chat())
    fake_worker.complete(submit_chat())
    fake_worker.fail(submit_chat())
    fake_worker.release_for_retry(submit_chat(), 60)
    fake_worker.cancel(submit_chat())

    found = samples(api_client.get("/metrics").text)
    assert found["jobs_created_total",] == 5
    assert found["jobs_ended_total", "chat", "completed"] == 2
    assert found["jobs_ended_total", "chat", "failed"] == 1
    assert found["jobs_ended_total", "chat", "cancelled"] == 1
    assert found["attempts_requeued_total", "chat", "failures"] == 1
    assert found["jobs", "queued"] == 1
    assert found["waiting_for_retry_jobs",] == 1
    totals = api_client.get("/api/v1/queue/stats").json["totals"]
    assert (totals["created"], totals["completed"], totals["failures"]) == (5, 2, 1)


def test_every_metric_has_a_description_and_a_type(api_client):
    """Also those that nothing has been counted for: a dashboard must not depend on what has happened."""
    text = api_client.get("/metrics").text
    for family in text_string_to_metric_families(text):
        assert family.documentation, family.name
    for metric in METRICS:
        name = metric.name if metric.buckets else f"{metric.name}_total"
        assert f"# TYPE chatqueue_{name} {'histogram' if metric.buckets else 'counter'}" in text


def test_an_observation_counts_in_its_bucket_and_in_all_larger_ones(api_services, api_client):
    """The value of a bucket's bound belongs to the bucket, as Prometheus defines it."""
    counts, store = api_services.metrics.counts, api_services.store
    counts.take()
    for seconds in (0.01, 0.011, 4_000):
        counts.observe(HTTP, ("/x", "GET", "200"), seconds)
    add(store, Additions(counts))

    found = samples(api_client.get("/metrics").text)
    by_bucket = [found["http_request_seconds_bucket", bound, "GET", "/x", "200"] for bound in ("0.01", "0.025", "+Inf")]
    assert by_bucket == [1, 2, 3]
    assert found["http_request_seconds_count", "GET", "/x", "200"] == 3
    assert found["http_request_seconds_sum", "GET", "/x", "200"] == pytest.approx(4_000.021)


def test_an_addition_that_is_sent_twice_counts_once(store, redis_client):
    """The reply to the first one may have been lost."""
    counts = MetricCounts()
    additions = Additions(counts)
    for amount in (3, 4):
        counts.count(TOKENS, ("m", "input"), amount)
        assert additions.next() == additions.next()
        for _ in range(2):
            add(store, additions)
        additions.sent()

    assert additions.next() is None
    assert redis_client.hvals(keys.METRICS) == [b"7"]


def test_counting_from_many_threads_loses_nothing():
    """Jobs run on threads with `-P threads`, and web servers other than gunicorn's gevent have threads too."""
    counts, total = MetricCounts(), 0

    def run():
        for _ in range(2_000):
            counts.count(TOKENS, ("m", "input"))

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        total += sum(counts.take().values())
    assert total + sum(counts.take().values()) == 8_000


@pytest.mark.parametrize(
    "damage",
    [
        {b"http_request_seconds\t/x\t1": b"1"},
        {b"unknown\tx": b"1"},
        {b"\xff": b"1"},
        {b"tokens\tm\tinput": b"many"},
        {b"": b"1"},
    ],
    ids=["another version's labels", "another version's metric", "no text", "no number", "empty"],
)
def test_damaged_counts_are_left_out(api_client, redis_client, damage):
    """One bad field must not cost all figures."""
    redis_client.hset(keys.METRICS, mapping=damage)

    response = api_client.get("/metrics")
    assert response.status_code == 200
    assert "chatqueue_jobs{" in response.text


def test_routes_are_labels_and_paths_are_not(api_services, api_client):
    """A path contains ids; an unknown path or method may contain anything."""
    api_services.metrics.counts.take()
    api_client.get(f"/api/v1/tasks/job_{'1' * 32}")
    api_client.get(f"/{CANARY}")
    api_client.open("/health/live", method=CANARY.upper())
    api_services.metrics.flush()

    text = api_client.get("/metrics").text
    assert CANARY not in text.lower()
    assert ("http_request_seconds_count", "GET", "/api/v1/tasks/<id:task_id>", "404") in samples(text)
    assert ("http_request_seconds_count", "GET", "other", "404") in samples(text)
    assert ("http_request_seconds_count", "other", "other", "405") in samples(text)


def test_metrics_can_be_switched_off(make_api, api_redis_port):
    """A service that strangers reach may hide its figures."""
    assert make_api(api_redis_port, metrics="false").test_client().get("/metrics").status_code == 404


def test_a_monitor_may_use_an_address_and_a_page_with_a_rebound_name_may_not(api_client):
    """Prometheus in a cluster asks each pod by its address."""
    assert api_client.get("/metrics", headers={"Host": "10.1.2.3:5000"}).status_code == 200
    assert api_client.get("/metrics", headers={"Host": "evil.example"}).status_code == 421


def test_without_redis_there_are_no_figures(make_api, silent_port):
    """Prometheus then reports the target as down."""
    assert make_api(silent_port).test_client().get("/metrics").status_code == 503


@pytest.mark.slow
def test_the_counts_of_stopped_processes_are_those_of_the_provider(redis_url, model_url, processes):
    """Two web processes show the same; a worker that stops adds what it has counted last. Prompts are no labels."""
    name = key()
    with serving(redis_url, model_url, CHATQUEUE_WEB_WORKERS="2") as stack:
        client = stack.client()
        with stack.worker() as worker:
            for number in range(6):
                client.chat.completions.create(
                    model=f"model-{CANARY}-{number}",
                    messages=[{"role": "user", "content": directive(f"say={CANARY}", name)}],
                )
            worker.send(signal.SIGTERM)
            assert worker.wait(15) == 0
        found = scrape(stack.url)
        assert found["attempt_seconds_count", "completion", "completed"] == calls(model_url, name)["calls"] == 6
        assert found["job_wait_seconds_count", "completion"] == 6
        assert found["first_token_seconds_count", "completion", "other"] == 6
        assert found["tokens_total", "output", "other"] >= 6
        route = ("http_request_seconds_count", "POST", "/v1/chat/completions", "200")
        until(lambda: scrape(stack.url).get(route) == 6)
        assert CANARY not in str(found)
