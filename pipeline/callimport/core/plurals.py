"""So many calls, numbers, leads or requests, in words for a person."""


def calls(count: int, kind: str = "") -> str:
    """`1 call`, `2,000 pending calls`."""
    return f"{count:,} {kind + ' ' if kind else ''}call{'' if count == 1 else 's'}"


def numbers(count: int) -> str:
    """`1 number`, `2,000 numbers`."""
    return f"{count:,} number{'' if count == 1 else 's'}"


def leads(count: int) -> str:
    """`1 lead`, `2,000 leads`."""
    return f"{count:,} lead{'' if count == 1 else 's'}"


def lines(count: int, where: str) -> str:
    """`1 line before the header`, `2,000 lines before the header`; `where` is the part behind the count."""
    return f"{count:,} line{'' if count == 1 else 's'} {where}"


def requests(count: int) -> str:
    """`1 request`, `2,000 requests`."""
    return f"{count:,} request{'' if count == 1 else 's'}"
