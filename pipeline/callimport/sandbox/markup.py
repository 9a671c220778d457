"""HTML that cannot be written without escaping: text is text until an element is made of it."""

import html

STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; margin: 2rem auto; max-width: 78rem; padding: 0 1rem; color: #1c2733 }
h1 { font-size: 1.5rem; margin: 0 0 .25rem }
p, form, nav { margin: .5rem 0 1rem }
table { border-collapse: collapse; width: 100% }
caption { text-align: left; color: #566; padding: .25rem 0 }
th, td { text-align: left; vertical-align: top; padding: .4rem .6rem; border-bottom: 1px solid #dde3e8 }
th { background: #f2f5f7; white-space: nowrap }
td { unicode-bidi: isolate; overflow-wrap: anywhere }
td.tight { white-space: nowrap; font-variant-numeric: tabular-nums }
.gone { text-decoration: line-through; color: #889 }
.note { color: #566 }
a { color: #0b5cad }
"""


class Markup(str):
    """Text that is HTML already."""

    __slots__ = ()


def element(name: str, /, *children: str, **attributes: str) -> Markup:
    """`<name …>children</name>`; of both, what is not Markup is escaped. `class_` stands for `class`."""
    given = "".join(f' {key.rstrip("_")}="{html.escape(value)}"' for key, value in attributes.items())
    return Markup(f"<{name}{given}>{joined(*children)}</{name}>")


def void(name: str, /, **attributes: str) -> Markup:
    """An element without an end, as `<input …>`."""
    given = "".join(f' {key.rstrip("_")}="{html.escape(value)}"' for key, value in attributes.items())
    return Markup(f"<{name}{given}>")


def joined(*children: str) -> Markup:
    """One after the other."""
    return Markup("".join(child if isinstance(child, Markup) else html.escape(child) for child in children))


def table(caption: str, heads: list[str], rows: list[Markup]) -> Markup:
    """A table of rows that are made already."""
    head = element("tr", *(element("th", each, scope="col") for each in heads))
    return element("table", element("caption", caption), element("thead", head), element("tbody", *rows))


def page(title: str, *body: Markup) -> str:
    """A whole document."""
    head = joined(void("meta", charset="utf-8"), element("title", title), element("style", Markup(STYLE)))
    return "<!DOCTYPE html>\n" + element("html", element("head", head), element("body", *body), lang="en")
