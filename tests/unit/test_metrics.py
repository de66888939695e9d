"""What `/metrics` says."""

from __future__ import annotations

from prometheus_client.parser import text_string_to_metric_families

from router.metrics import Metrics, Snapshot, Waiting


def value(metrics: Metrics, name: str, **labels: str) -> float | None:
    for family in text_string_to_metric_families(metrics.render().decode()):
        for sample in family.samples:
            if sample.name == name and sample.labels == labels:
                return sample.value
    return None


def test_a_channel_counts_from_its_start_and_counts_once() -> None:
    metrics = Metrics()
    channel = metrics.channel("his-adt")
    assert value(metrics, "jingluo_refused_total", channel="his-adt") == 0
    channel.accepted.inc()
    metrics.channel("his-adt").accepted.inc()
    channel.answer_seconds.observe(0.004)
    assert value(metrics, "jingluo_accepted_total", channel="his-adt") == 2
    assert value(metrics, "jingluo_answer_seconds_bucket", channel="his-adt", le="0.005") == 1
    assert value(metrics, "jingluo_answer_seconds_bucket", channel="his-adt", le="0.0025") == 0


def test_a_destination_counts_apart_from_its_channels_others() -> None:
    metrics = Metrics()
    metrics.delivery("his-adt", "lis").delivered.inc()
    metrics.delivery("his-adt", "emr").dead.inc()
    assert value(metrics, "jingluo_delivered_total", channel="his-adt", destination="lis") == 1
    assert value(metrics, "jingluo_delivered_total", channel="his-adt", destination="emr") == 0
    assert value(metrics, "jingluo_dead_total", channel="his-adt", destination="emr") == 1


def test_gauges_are_asked_for_when_somebody_reads() -> None:
    metrics = Metrics()
    now = Snapshot()
    metrics.watch(lambda: now)
    assert value(metrics, "jingluo_journal_ok") == 1
    waiting = (Waiting("his-adt", "lis", 7, 61.5),)
    now = Snapshot(waiting, delayed=5, journal_behind=3, journal_ok=False, connections=2)
    way = {"channel": "his-adt", "destination": "lis"}
    assert value(metrics, "jingluo_queue_depth", **way) == 7
    assert value(metrics, "jingluo_oldest_waiting_seconds", **way) == 61.5
    assert value(metrics, "jingluo_delayed") == 5
    assert value(metrics, "jingluo_journal_behind") == 3
    assert value(metrics, "jingluo_journal_ok") == 0
    assert value(metrics, "jingluo_connections") == 2


def test_two_engines_in_one_process_do_not_mix_their_figures() -> None:
    one, other = Metrics(), Metrics()
    one.channel("his-adt").accepted.inc()
    other.channel("his-adt")
    assert value(other, "jingluo_accepted_total", channel="his-adt") == 0
