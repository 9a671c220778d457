"""Reading leads: one, a page of them, or what a search finds."""

import random
from collections.abc import Collection, Iterable

from callimport.sandbox import (
    answers,
    clock,
    controllers,
    faults,
    filters,
    incoming,
    knobs,
    paging,
    resources,
    rules,
    untidy,
    wording,
    world,
)

_SEARCH_SHOWS = ("account", "advisor", "emails", "phones", "vehicles")
_PAGING = ("page", "per_page")


class Leads:
    """The three ways to read leads, given the CRM's state."""

    def __init__(
        self, state: world.World, settings: knobs.Knobs, profile: rules.Rules, now: clock.Now, mischief: faults.Faults
    ) -> None:
        self._state = state
        self._settings = settings
        self._is_untidy = profile.is_untidy
        self._now = now
        self._mischief = mischief

    async def show(self, call: incoming.Call) -> controllers.Commit:
        """GET /leads/:id. Its communications are what the faults let a read see."""
        lead_id = controllers.number(call.target)
        own = self._state.own_account.id
        lead = lead_id and self._state.lead(lead_id, own, self._now())
        if not lead:
            if self._settings.foreign == "403" and self._state.is_foreign(lead_id or 0, own):
                raise answers.Refused(answers.forbidden(call.request))
            raise answers.Refused(answers.no_model(call.request, "Lead", call.target))
        includes = self._includes(call)
        shape = self._shape(lead, includes, self._mischief.view(call) if "communications" in includes else None)
        return lambda: answers.data(untidy.untidy(shape) if self._is_untidy else shape)

    async def listed(self, call: incoming.Call) -> controllers.Commit:
        """GET /leads, newest created first. What was made after a page was read moves the next one on."""
        tests, errors = filters.chosen(call.query, self._settings)
        strangers = [name for name in filters.unknown(call.query, _PAGING) if not incoming.is_include(name)]
        leads = (lead for lead in self._state.leads_of(self._state.own_account.id) if not lead.deleted)
        return self._paged(call, (lead for lead in leads if all(test(lead) for test in tests)), (), errors, strangers)

    async def searched(self, call: incoming.Call) -> controllers.Commit:
        """GET /leads/search: the deleted ones as well, and some things that nobody asked for."""
        query = dict(call.query).get("query", "").strip()
        errors = {}
        if not query and self._settings.bare_search == "422":
            errors = {"query": [wording.required("query")]}
        known = (*_PAGING, "query")
        strangers = [name for name, _ in call.query if name not in known and not incoming.is_include(name)]
        leads = self._state.leads_of(self._state.own_account.id)
        return self._paged(
            call, (lead for lead in leads if filters.found(query, lead)), _SEARCH_SHOWS, errors, strangers
        )

    def _paged(
        self,
        call: incoming.Call,
        leads: Iterable[world.Lead],
        always: Collection[str],
        errors: dict[str, list[str]],
        strangers: Collection[str],
    ) -> controllers.Commit:
        page, wrong = paging.wanted(call.query, self._settings)
        includes = self._includes(call) | frozenset(always)
        call.entry.unknown_fields = tuple(sorted({*call.entry.unknown_fields, *strangers}))
        if errors or wrong:
            raise answers.Refused(answers.invalid(call.request, errors | wrong))
        ordered = sorted(leads, key=lambda lead: (lead.created_at, lead.id), reverse=True)
        view = self._mischief.view(call) if "communications" in includes else None
        shapes: list[object] = [self._shape(lead, includes, view) for lead in ordered[page.of(len(ordered))]]
        if self._is_untidy:
            shapes = [untidy.untidy(shape) for shape in shapes]
        found = paging.envelope(shapes, page, len(ordered), call.request, is_untidy=self._is_untidy)
        return lambda: answers.compact(found)

    def _includes(self, call: incoming.Call) -> frozenset[str]:
        """Those there are; the others are noted, and answered as the knob says."""
        strangers = sorted(call.includes - incoming.LEAD_INCLUDES)
        call.entry.unknown_fields = tuple(f"include[]={name}" for name in strangers)
        if strangers and self._settings.unknown_include == "422":
            raise answers.Refused(answers.invalid(call.request, {"include": [wording.selected("include")]}))
        if strangers and self._settings.unknown_include == "400":
            raise answers.Refused(answers.bad_request(call.request, wording.no_include(strangers)))
        return call.includes & incoming.LEAD_INCLUDES

    def _shape(self, lead: world.Lead, includes: Collection[str], view: faults.View | None) -> resources.Shape:
        shape = resources.lead(lead, self._state, includes)
        seen = None if view is None else view(self._state.communications_of(lead.id))
        if seen is not None:
            if self._settings.order == "shuffled":
                random.Random(lead.id).shuffle(seen)
            shape["communications"] = [resources.communication(each) for each in seen]
        return shape
