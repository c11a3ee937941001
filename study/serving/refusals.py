"""What a server says instead of an answer."""


class RequestRefusedError(Exception):
    """A request that is not answered; the text is one sentence with rule, value and way out."""

    def __init__(self, status: int, text: str, *, retry_after: int | None = None) -> None:
        """`status` is that of HTTP, `retry_after` after how many seconds the same request may succeed."""
        super().__init__(text)
        self.status = status
        self.retry_after = retry_after

    @property
    def headers(self) -> dict[str, str]:
        """Of the answer."""
        return {} if self.retry_after is None else {"Retry-After": str(self.retry_after)}
