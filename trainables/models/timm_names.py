"""The names of timm's models, read from its source files: importing timm takes seconds, reading it some
milliseconds.
"""

import importlib.util
import re
from functools import cache
from pathlib import Path

_REGISTERED = re.compile(r"^@register_model\b.*\n(?:@.*\n)*def (\w+)", re.MULTILINE)


@cache
def timm_names() -> frozenset[str]:
    """What `timm.list_models()` lists; empty where timm is not installed."""
    package = importlib.util.find_spec("timm")
    if package is None or package.origin is None:
        return frozenset()
    sources = (Path(package.origin).parent / "models").glob("*.py")
    return frozenset(
        name for source in sources for name in _REGISTERED.findall(source.read_text(encoding="utf-8"))
    )
