"""How a notice travels: as JSON to a webhook or to the standard input of a command, or as a mail.

Addresses and commands may hold secrets: no message shows more of them than a host.
"""

import http.client
import json
import os
import smtplib
import subprocess
import urllib.error
import urllib.request
from dataclasses import asdict, dataclass
from email.message import EmailMessage
from urllib.parse import unquote, urlsplit

from study.driver.notice import Notice

MAIL_SERVER_VARIABLE = "STUDY_MAIL_SERVER"
PORTS = {"smtp": 587, "smtps": 465}
TRY_SECONDS = 10.0
FAILURES = (OSError, http.client.HTTPException, smtplib.SMTPException, subprocess.SubprocessError, ValueError)
"""What a delivery may raise."""


@dataclass(frozen=True)
class Address:
    """A webhook, or `mailto:NAME@HOST`."""

    address: str

    def deliver(self, notice: Notice) -> None:
        """Sends a notice, within some seconds. Raises one of FAILURES."""
        if self.address.startswith("mailto:"):
            _mail(unquote(urlsplit(self.address).path), notice)
        else:
            _post(self.address, notice)

    def __str__(self) -> str:
        is_mail = self.address.startswith("mailto:")
        parts = urlsplit(os.environ[MAIL_SERVER_VARIABLE] if is_mail else self.address)
        return f"at {parts.hostname or 'its address'}"


@dataclass(frozen=True)
class Command:
    """A command of the shell, which reads the notice as JSON on its standard input."""

    command: str

    def deliver(self, notice: Notice) -> None:
        """Runs it, within some seconds; what it prints is passed over. Raises one of FAILURES."""
        subprocess.run(
            ["sh", "-c", self.command],
            input=_content(notice),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=TRY_SECONDS,
            check=True,
        )

    def __str__(self) -> str:
        return "by the command of `notify`"


Target = Address | Command


def may_pass(error: Exception) -> bool:
    """Whether another try may do better: not where the address, the account or the command is wrong."""
    if isinstance(error, urllib.error.HTTPError):
        return error.code >= 500 or error.code in (408, 429)
    if isinstance(error, smtplib.SMTPResponseException):
        return error.smtp_code < 500
    return not isinstance(error, ValueError | subprocess.SubprocessError)


def reason_of(error: Exception) -> str:
    """Without the address or the command, which an error may repeat."""
    if isinstance(error, urllib.error.HTTPError):
        return f"it answers {error.code}"
    if isinstance(error, smtplib.SMTPResponseException):
        return f"it answers {error.smtp_code}"
    if isinstance(error, subprocess.CalledProcessError):
        return f"it ended with code {error.returncode}"
    if isinstance(error, subprocess.TimeoutExpired):
        return f"it took more than {TRY_SECONDS:g} seconds"
    reason = getattr(error, "reason", error)
    return getattr(reason, "strerror", None) or type(reason).__name__


def _content(notice: Notice) -> bytes:
    return json.dumps({key: value for key, value in asdict(notice).items() if value is not None}).encode()


def _post(address: str, notice: Notice) -> None:
    request = urllib.request.Request(
        address,
        _content(notice),
        {"Content-Type": "application/json", "User-Agent": "study"},
        method="POST",
    )
    with urllib.request.urlopen(request, timeout=TRY_SECONDS) as answer:
        answer.read()


def _mail(to: str, notice: Notice) -> None:
    server = urlsplit(os.environ[MAIL_SERVER_VARIABLE])
    host, port = server.hostname or "", server.port or PORTS[server.scheme]
    kind = smtplib.SMTP_SSL if server.scheme == "smtps" else smtplib.SMTP
    message = EmailMessage()
    message["From"], message["To"] = to, to
    message["Subject"] = f"study {notice.study}: {notice.state}"
    message.set_content(notice.text)
    with kind(host, port, timeout=TRY_SECONDS) as client:
        if server.scheme == "smtp" and client.ehlo() and client.has_extn("starttls"):
            client.starttls()
        if server.username:
            client.login(unquote(server.username), unquote(server.password or ""))
        client.send_message(message)
