"""The files of one run, opened and recognised, and the settings that shape their calls."""

import hashlib
from collections.abc import Iterable
from datetime import datetime

from callimport.core import mapping
from callimport.core.settings import Settings
from callimport.profiles.exports import Exports, ProfileFiles
from callimport.resolve import leads
from callimport.resolve.agents import AGENT_COLUMNS, Agents
from callimport.resolve.resolution import Resolution
from callimport.transform.staged_calls import StagedCalls
from callimport.transform.staging import Staging

PIPELINE_VERSION = "2"
# A waiting call may be taken up by runs that differ in these settings.
_NOT_OF_A_CALL = ("leads", "several-leads", "agents", "since", "until")


class Inputs:
    """The exports, the leads file and the agents file of one run."""

    def __init__(self, settings: Settings, now: datetime, area: Staging) -> None:
        """Opens every file and looks at its first rows: whatever is wrong with a file is known before anything is sent.

        Raises SourceError, SchemaMismatch or ConfigError.
        """
        self.exports = Exports(settings)
        self.sources, self.by_profile = self.exports.sources, self.exports.by_profile
        zones = [its.zone for its in self.by_profile]
        # For the lists that are written beside the answer; their calls may be of several systems.
        self.zone = next(filter(None, zones), None)
        self._leads = (
            leads.Leads.from_file(settings.leads, settings.dialling, settings.several_leads) if settings.leads else None
        )
        self.agents = Agents.of(settings, self.zone if all(zones) else None)
        self.staged = StagedCalls(self.exports, settings, now, area, self.agents.unknown.complaint)
        self._drafts_agents = settings.draft_agents is not None
        self._with_reference = settings.reference
        self._shaping = self._shaping_of_all(settings)
        self.batch = mapping.batch(self.sources, self._shaping_of(self.by_profile))
        # What to say before any row is read, and which rows of the leads and agents files are not used.
        beside = [one for one in (self._leads, self.agents.file) if one is not None]
        self.told = (*self.exports.told, *(one.columns_told for one in beside if one.columns_told))
        self.unused_told = tuple(line for one in beside for line in one.unused)
        self.finds_leads = self._leads is not None or self.exports.has("lead_id") or settings.find_leads
        named = [name for name in AGENT_COLUMNS if self.exports.has(name)]
        self.may_need_users = self.agents.may_need_users(named)
        self.may_check_users = self.agents.may_check_users(named)

    def resolution(self) -> Resolution:
        """Return a way through the staged calls. Read them first, see `StagedCalls.stage`."""
        return Resolution(
            self.staged,
            self._leads,
            self.agents,
            drafts_agents=self._drafts_agents,
            with_mark=self._with_reference,
        )

    def shape(self, its: ProfileFiles) -> dict[str, str]:
        """Return the settings that a run must share to take up a waiting call, by name."""
        settings = self._shaping_of((its,))
        return {name: value for name, value in settings.items() if name not in _NOT_OF_A_CALL}

    def _shaping_of(self, several: Iterable[ProfileFiles]) -> dict[str, str]:
        """The settings that shape calls, by name: runs with the same settings belong together. The names of the second
        profile's settings end in its number, see `mapping.numbered`."""
        shaping = dict(self._shaping)
        ordered = sorted(several, key=lambda its: its.profile.name)
        for number, its in enumerate(ordered, start=1):
            told = f"{its.profile.name} {its.profile.version} {its.profile.fingerprint[:12]}"
            shaping[mapping.numbered("profile", number)] = told
            shaping[mapping.numbered("system", number)] = its.system
            shaping[mapping.numbered("timezone", number)] = its.zone or ""
        return shaping

    def _shaping_of_all(self, settings: Settings) -> dict[str, str]:
        """The settings that shape the calls of every profile."""
        return {
            "pipeline": PIPELINE_VERSION,
            "ambiguous-hour": settings.ambiguous_hour,
            "region": settings.region,
            "since": str(settings.since or ""),
            "until": str(settings.until or ""),
            "only": settings.only or "",
            "min-duration": str(settings.min_duration or ""),
            "own-number": _digest(self.staged.own),
            "exclude-numbers": _digest(self.staged.excluded),
            "leads": self._leads.sha256[:12] if self._leads else "",
            "unknown-agent": settings.unknown_agent,
            "reference": "yes" if settings.reference else "no",
            **({"several-leads": settings.several_leads} if settings.several_leads != "reject" else {}),
            **({"agent": settings.agent} if settings.agent != "last" else {}),
            **({"outside-line": settings.outside_line or "none"} if settings.outside_line is not None else {}),
            **({"area-code": settings.area_code} if settings.area_code else {}),
            **({"agents": self.agents.file.sha256[:12]} if self.agents.file else {}),
        }


def _digest(numbers: frozenset[str]) -> str:
    """Of no number in particular: settings are shown."""
    return hashlib.sha256("\n".join(sorted(numbers)).encode()).hexdigest()[:12] if numbers else ""
