"""What a person or a test may set: the limits and habits of the rehearsal CRM."""

import dataclasses

MEBIBYTE = 1024 * 1024


@dataclasses.dataclass(frozen=True, slots=True)
class Knobs:
    """Settings of one sandbox; the defaults are what the vendor documents, or our best guess of it.

    `limit` requests an API user may make in `window_seconds`, counted from the first. `any_id` makes every lead and
    user that is mentioned exist. `latency_seconds` is waited before each answer, after the work is done.
    `profile` names how strictly a communication is judged, one of rules.PROFILES.
    The sizes answer differently: above `upload_bytes` 422, above `post_bytes` JSON 413, above `proxy_bytes` HTML 413.
    """

    limit: int = 200
    window_seconds: float = 60.0
    any_id: bool = False
    latency_seconds: float = 0.0
    profile: str = "strict"
    proxy_bytes: int = 20 * MEBIBYTE
    post_bytes: int = 18 * MEBIBYTE
    upload_bytes: int = 16 * MEBIBYTE
