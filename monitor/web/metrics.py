"""What meters say, in the formats of Prometheus. Nothing is kept between scrapes.

The only module that knows prometheus-client.
"""

from collections.abc import Iterable, Iterator, Sequence
from math import inf
from typing import Final

from prometheus_client import CollectorRegistry, exposition
from prometheus_client import metrics_core as families
from prometheus_client.registry import Collector

from monitor.metering import Meter, Metric, Sample

PREFIX: Final = "job_monitor_"


class Page:
    """All numbers of *meters*, as they are when it is written."""

    def __init__(self, meters: Sequence[Meter]) -> None:
        self._registry = CollectorRegistry()
        self._registry.register(_Meters(meters))

    def written(self, accept: str) -> tuple[bytes, str]:
        """Give the text, and its content type, of what *accept* asks for."""
        try:
            encode, content_type = exposition.choose_encoder(accept)
        except TypeError:  # a version that is no number: it compares it with numbers
            encode, content_type = exposition.choose_encoder("")
        return encode(self._registry), content_type


class _Meters(Collector):
    def __init__(self, meters: Sequence[Meter]) -> None:
        self._meters = meters

    def collect(self) -> Iterable[families.Metric]:
        found: dict[str, families.Metric] = {}
        for sample in self._samples():
            name = sample.metric.name
            if name not in found:
                found[name] = _family(sample.metric)
            _add(found[name], sample)
        return found.values()

    def _samples(self) -> Iterator[Sample]:
        for meter in self._meters:
            yield from meter.samples()


def _family(metric: Metric) -> families.Metric:
    name, said, labels = f"{PREFIX}{metric.name}", metric.help, metric.labels
    match metric.kind:
        case "counter":
            return families.CounterMetricFamily(name, said, labels=labels)
        case "gauge":
            return families.GaugeMetricFamily(name, said, labels=labels)
        case "histogram":
            return families.HistogramMetricFamily(name, said, labels=labels)


def _add(family: families.Metric, sample: Sample) -> None:
    match family:
        case families.HistogramMetricFamily():
            buckets = [(_bound(le), count) for le, count in sample.buckets]
            family.add_metric(sample.labels, buckets=buckets, sum_value=sample.value)
        case families.CounterMetricFamily() | families.GaugeMetricFamily():
            family.add_metric(sample.labels, sample.value)


def _bound(le: float) -> str:
    return "+Inf" if le == inf else str(le)
