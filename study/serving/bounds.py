"""What a server takes on: how much of a request it reads, and how long and how many of them wait."""

import math
from dataclasses import dataclass, fields

from study.errors import SpecError
from trainables.datasets.pixels import MAX_PIXELS

MEGABYTE = 2**20


@dataclass(frozen=True, kw_only=True)
class Bounds:
    """Limits of a server; each is above 0. Raises SpecError for a value that breaks its rule."""

    request_bytes: int = 32 * MEGABYTE
    """Of the body of one request."""
    waiting_bytes: int = 256 * MEGABYTE
    """Of the bodies of all requests that are not answered yet; at least `request_bytes`."""
    image_pixels: int = 25_000_000
    """Of one image, by its header: an image of more is refused before it is decoded."""
    images_per_request: int = 64
    images_per_batch: int = 32
    """That go through the network together."""
    gather_milliseconds: float = 2.0
    """How long a batch waits for requests that are being read; none are, so it does not wait."""
    waiting_requests: int = 256
    """That are read, or wait for the network; one more is answered 429."""
    seconds: float = 30.0
    """From the first byte of a request to its answer."""

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if not (math.isfinite(value) and value > 0) and not (
                field.name == "gather_milliseconds" and value == 0
            ):
                raise SpecError(f"{_words(field.name)} must be above 0, got {value:g}")
        if self.image_pixels > MAX_PIXELS:
            raise SpecError(
                f"pixels of an image may be limited to {MAX_PIXELS:,} at most, got {self.image_pixels:,}"
            )
        if self.waiting_bytes < self.request_bytes:
            raise SpecError(
                f"all requests together may take no fewer bytes than one, {self.request_bytes:,}; "
                f"got {self.waiting_bytes:,}"
            )

    @property
    def waiting_images(self) -> int:
        """Decoded images that wait for the network; reading goes on once there is room."""
        return 4 * max(self.images_per_batch, self.images_per_request)


def _words(field: str) -> str:
    return field.replace("_", " ")
