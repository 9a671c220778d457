"""A request as it came in, read and noted, before anybody judges it."""

import dataclasses
import re
import urllib.parse
from collections.abc import Mapping

from starlette import requests

from callimport.sandbox import journal, recordings

_INCLUDE = re.compile(r"include\[\d*\]", re.ASCII)
# All the names that `include[]` may have with a lead; with an account there are others.
LEAD_INCLUDES = frozenset(
    {
        *("account", "advisor", "associated_leads", "bdc", "commercial", "communications", "custom_fields"),
        *("delivered_by", "emails", "events", "phones", "products", "service_advisor", "service_agent"),
        *("takeover_director", "tasks", "vehicles"),
    }
)


@dataclasses.dataclass(frozen=True, slots=True)
class Call:
    """`template` is its route as `/leads/:id`, empty where nobody serves the path, and `target` the id in there.

    `fields` is its JSON object, `form` what it uploads; both empty where it has none, and before it was read.
    """

    request: requests.Request
    template: str
    target: str
    entry: journal.Entry
    fields: Mapping[str, object] = dataclasses.field(default_factory=dict)
    form: recordings.Form = dataclasses.field(default_factory=recordings.Form)

    @property
    def includes(self) -> frozenset[str]:
        """What `include[]` asks for."""
        return frozenset(value for name, value in self.query if is_include(name))

    @property
    def query(self) -> list[tuple[str, str]]:
        """Its names and values, in their order; a `+` that was not encoded is a blank, as everywhere."""
        return urllib.parse.parse_qsl(self.request.url.query, keep_blank_values=True)


def is_include(name: str) -> bool:
    """Whether a name in a query is `include[]`, numbered or not."""
    return _INCLUDE.fullmatch(name) is not None
