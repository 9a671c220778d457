"""A request as it came in, read and noted, before anybody judges it."""

import dataclasses
import re
import urllib.parse
from collections.abc import Mapping

from starlette import requests

from pipeline.sandbox import journal

_INCLUDE = re.compile(r"include\[\d*\]", re.ASCII)


@dataclasses.dataclass(frozen=True, slots=True)
class Call:
    """`template` is its route as `/leads/:id`, empty where nobody serves the path, and `target` the id in there.

    `fields` is its JSON object.
    """

    request: requests.Request
    template: str
    target: str
    body: bytes
    fields: Mapping[str, object]
    entry: journal.Entry

    @property
    def includes(self) -> frozenset[str]:
        """What `include[]` asks for."""
        query = urllib.parse.parse_qsl(self.request.url.query)
        return frozenset(value for name, value in query if _INCLUDE.fullmatch(name))
