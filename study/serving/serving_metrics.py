"""What a server counts, as Prometheus reads it."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest

from study.serving.batching import Answer
from study.serving.loaded_version import LoadedVersion

# N images, K classes

_SECONDS = (0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.125, 0.25, 0.5, 1, 2, 4, 8, 16, 32)
_IMAGES = (1, 2, 4, 8, 16, 32, 64, 128)


class ServingMetrics:
    """Counters of one application; for several threads at once."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self._requests = Counter(
            "study_serve_requests", "Requests by path and status.", ("path", "status"), registry=self.registry
        )
        self._seconds = Histogram(
            "study_serve_request_seconds",
            "From the first byte of a request to the last of its answer.",
            ("path",),
            buckets=_SECONDS,
            registry=self.registry,
        )
        self._batches = Histogram(
            "study_serve_batch_images",
            "Images that went through the network together.",
            buckets=_IMAGES,
            registry=self.registry,
        )
        self._predicted = Counter(
            "study_serve_predictions",
            "Images by the version that answered and the class that it named.",
            ("version", "label"),
            registry=self.registry,
        )
        self.waiting = Gauge(
            "study_serve_waiting_requests", "Requests that are read or wait.", registry=self.registry
        )
        self._version = Gauge(
            "study_serve_version",
            "The number of the version that answers.",
            ("model",),
            registry=self.registry,
        )
        self._changes = Counter(
            "study_serve_version_changes", "How often another version took over.", registry=self.registry
        )
        self.is_following = Gauge(
            "study_serve_following",
            "1 while the version is the one that the name means, 0 where MLflow cannot be asked or it cannot "
            "be loaded.",
            registry=self.registry,
        )
        self._shadowed = Counter(
            "study_serve_shadow_images",
            "Images by what the shadow came to: same label, different label, dropped as it was busy, failed.",
            ("outcome",),
            registry=self.registry,
        )
        self._dropped = Counter(
            "study_serve_dropped",
            "Work beside answers that was left undone.",
            ("work",),
            registry=self.registry,
        )

    def note_request(self, path: str, status: int, seconds: float) -> None:
        """One request was answered."""
        self._requests.labels(path, str(status)).inc()
        self._seconds.labels(path).observe(seconds)

    def note_batch(self, num_images: int) -> None:
        """One batch went through the network."""
        self._batches.observe(num_images)

    def note_answer(self, answer: Answer) -> None:
        """One request got labels."""
        name, classes = answer.loaded.version.name, answer.loaded.config.classes
        for index in answer.probabilities_NK.argmax(1).tolist():
            self._predicted.labels(name, classes[index]).inc()

    def note_version(self, loaded: LoadedVersion, *, is_first: bool = False) -> None:
        """A version answers from now on."""
        self._version.labels(loaded.version.model).set(loaded.version.number)
        if not is_first:
            self._changes.inc()

    def note_shadow(self, outcome: str, num_images: int = 1) -> None:
        """The shadow has seen some images: `same`, `different`, `dropped` or `failed`."""
        self._shadowed.labels(outcome).inc(num_images)

    def note_dropped(self, work: str) -> None:
        """Work beside an answer, such as its recording, was left undone."""
        self._dropped.labels(work).inc()

    def text(self) -> bytes:
        """In Prometheus' text format."""
        return generate_latest(self.registry)
