"""Every point of a scene, then every point of the recovery.

A life is a function of the world it begins in. So a scene is played once, showing at each point the worlds that a
death there leaves; most points leave the same few worlds, and from each of these the scene is played to its end, once.
That end is the end of all the points that leave this world. `Explored` counts the points, and beside them the worlds.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from callimport.core.errors import ExitCode
from tests.crash import comparison, scenes
from tests.crash.commands import Offline, Run
from tests.crash.comparison import Allowed, Finding
from tests.crash.crm import Memory
from tests.crash.life import Death, Mark, Point
from tests.crash.scenes import SCENES, Act
from tests.crash.stage import Lived, Stage
from tests.crash.world import World

# How often a person types the same command again while it ends with an error of which it says: run again.
PATIENCE = 4


@dataclass(frozen=True, slots=True)
class Crash:
    """A death and where it came: in which act, at which point of which life of it."""

    act: int
    point: Point
    name: str
    death: Death

    def __str__(self) -> str:
        return f"{self.death} {self.point.side} step {self.point.step} of act {self.act + 1} ({self.name})"


@dataclass(frozen=True, slots=True)
class Broken:
    """What was found after these crashes, in their order."""

    crashes: tuple[Crash, ...]
    finding: Finding


@dataclass(slots=True)
class Explored:
    """What one scene came to."""

    scene: str
    points: Counter[str] = field(default_factory=Counter)
    steps: Counter[str] = field(default_factory=Counter)
    singles: int = 0
    worlds: int = 0
    pairs: int = 0
    pairs_covered: int = 0
    pair_worlds: int = 0
    died: int = 0
    lives: int = 0
    held: Counter[Allowed] = field(default_factory=Counter)
    broken: list[Broken] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Finish:
    findings: tuple[Finding, ...]
    held: Counter[Allowed]
    marks: tuple[Mark, ...]


@dataclass(slots=True)
class Exploration:
    """`worlds_every` and `pairs_every` go on from every so manieth world that a first or a second crash leaves, 0 from
    none. `dies` dies at each point, too, and looks whether that leaves what was shown."""

    stage: Stage
    pairs_every: int = 0
    worlds_every: int = 1
    dies: bool = False
    explored: Explored = field(init=False)
    _undisturbed: World | None = None
    _finished: dict[tuple[int, str], _Finish] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.explored = Explored(self.stage.scene.name)

    def explore(self) -> Explored:
        began = first_world(self.stage)
        played = self._play_undisturbed(began)
        for act, (begins, noted, lived) in enumerate(played):
            self._crash_everywhere(act, begins, noted, lived)
        self.explored.lives = self.stage.lives
        return self.explored

    def _play_undisturbed(self, world: World) -> list[tuple[World, tuple[Any, ...], Lived]]:
        played = []
        for act, said in enumerate(self.stage.scene.acts):
            # A day between two nights passes whether anybody died in the first or not.
            world = world.later(said.days) if said.days else world
            noted = said.command.note(world)
            lived = self.stage.live(world, act, noted, shows=True)
            assert lived.ended is not None
            assert lived.ended.code == said.code, (act, lived.ended)
            self._tell((), self._balance(lived))
            played.append((world, noted, lived))
            world = lived.world.later()
        self._undisturbed = world
        findings, held = comparison.judged(self.stage.scene, world)
        assert not held, "an item is held without a crash"
        self._tell((), [*findings, *self._sends_more(world)])
        return played

    def _crash_everywhere(self, act: int, begins: World, noted: tuple[Any, ...], lived: Lived) -> None:
        explored = self.explored
        explored.steps.update(lived.steps)
        explored.points["ledger"] += sum(name.startswith("ledger ") for name in lived.steps)
        explored.points["wire"] += sum(name.startswith("wire ") for name in lived.steps)
        worlds: dict[str, list[tuple[Crash, World]]] = {}
        for mark in lived.marks:
            for death, left in mark.left.items():
                crash, world = Crash(act, mark.point, mark.name, death), left.later()
                worlds.setdefault(world.digest, []).append((crash, world))
                explored.singles += 1
            if self.dies:
                self._die(act, begins, noted, mark)
        explored.worlds += len(worlds)
        for number, same in enumerate(worlds.values()):
            if self.worlds_every and number % self.worlds_every == 0:
                crash, world = same[0]
                finish = self._finish(act, world, noted, shows=self.pairs_every > 0)
                self._tell((crash,), finish.findings)
                explored.held += finish.held
                self._crash_again(act, noted, crash, len(same), finish.marks)

    def _crash_again(self, act: int, noted: tuple[Any, ...], first: Crash, alike: int, marks: Iterable[Mark]) -> None:
        explored = self.explored
        worlds: dict[str, list[tuple[Crash, World]]] = {}
        for mark in marks:
            for death, left in mark.left.items():
                world = left.later()
                worlds.setdefault(world.digest, []).append((Crash(act, mark.point, mark.name, death), world))
        explored.pair_worlds += len(worlds)
        for number, same in enumerate(worlds.values()):
            explored.pairs += alike * len(same)
            if self.pairs_every and number % self.pairs_every == 0:
                second, world = same[0]
                finish = self._finish(act, world, noted)
                explored.pairs_covered += alike * len(same)
                self._tell((first, second), finish.findings)
                explored.held += finish.held

    def _die(self, act: int, begins: World, noted: tuple[Any, ...], mark: Mark) -> None:
        """Really, where the showing only said what would be left."""
        lived = self.stage.live(begins, act, noted, dies_at=mark.point)
        self.explored.died += 1
        for death, left in mark.left.items():
            if lived.ended is not None or lived.left[death].later().digest != left.later().digest:
                crash = Crash(act, mark.point, mark.name, death)
                self._tell((crash,), [Finding("harness", "this death left another world than was shown")])

    def _finish(self, act: int, left: World, noted: tuple[Any, ...], *, shows: bool = False) -> _Finish:
        """From a world that a crash left to the end of the scene, as a person would go there."""
        known = self._finished.get((act, left.digest))
        if known is not None and (known.marks or not shows):
            return known
        world, marks = left, tuple[Mark, ...]()
        findings = [Finding("ledger", fault) for fault in left.faults()]
        for number in range(act, len(self.stage.scene.acts)):
            said = self.stage.scene.acts[number]
            world = world.later(said.days) if said.days and number > act else world
            noted = noted if number == act else said.command.note(world)
            lives = self._type_until_it_ends(number, world, noted, shows=shows and number == act)
            world, marks = lives[-1].world.later(), marks or lives[0].marks
            findings += [finding for lived in lives for finding in self._balance(lived)]
            findings += self._ending(number, lives[-1])
        assert self._undisturbed is not None
        wrong, held = comparison.judged(self.stage.scene, world, self._undisturbed)
        findings += [*wrong, *self._sends_more(world)]
        self._finished[act, left.digest] = finish = _Finish(tuple(findings), held, marks)
        return finish

    def _type_until_it_ends(self, act: int, world: World, noted: tuple[Any, ...], *, shows: bool) -> list[Lived]:
        """A person stops when the command says what it says where nobody dies, or says the same thing again."""
        lives: list[Lived] = []
        while len(lives) < PATIENCE:
            lived = self.stage.live(world, act, noted, shows=shows and not lives)
            said, world = [one.ended for one in lives], lived.world.later()
            lives.append(lived)
            if lived.ended in said or (lived.ended and lived.ended.code in (0, self.stage.scene.acts[act].code)):
                break
        return lives

    def _balance(self, lived: Lived) -> list[Finding]:
        ended = lived.ended
        if ended is None or not ended.adds_up:
            return [Finding("unbalanced", str(ended))]
        is_of_ledger = ended.error is not None and "the ledger" in ended.error and ended.code == ExitCode.STOPPED
        return [Finding("ledger", str(ended.error))] if is_of_ledger else []

    def _ending(self, act: int, lived: Lived) -> list[Finding]:
        """Where a call is held, the comparison says whether it may be; what a person decided before stays decided; and
        a trouble that met a life before may be over."""
        command, ended = self.stage.scene.acts[act].command, lived.ended
        usual = {self.stage.scene.acts[act].code, ExitCode.IN_DOUBT, ExitCode.OK}
        if isinstance(command, Offline):
            usual.add(ExitCode.USAGE)
        return [] if ended and ended.code in usual else [Finding("exit code", f"act {act + 1} ended with {ended}")]

    def _sends_more(self, world: World) -> list[Finding]:
        lived = self.stage.live(world, Act(self.stage.scene.last_run, leads=self.stage.scene.acts[-1].leads), ())
        creates = [request for request in lived.requests if request.startswith(("POST", "PUT"))]
        return [Finding("resent", f"a run after the end sent {len(creates)} creates")] if creates else []

    def _tell(self, crashes: tuple[Crash, ...], findings: Iterable[Finding]) -> None:
        self.explored.broken += [Broken(crashes, finding) for finding in findings]


def explored(name: str, *, pairs_every: int = 0, worlds_every: int = 1, dies: bool = False) -> Explored:
    """A scene by its name, on a stage of its own."""
    with Stage(SCENES[name]) as stage:
        return Exploration(stage, pairs_every, worlds_every, dies).explore()


def first_world(stage: Stage) -> World:
    """What a scene begins with: what the staff typed in, and the ledger of a quiet day, unless it is to be made."""
    memory = Memory()
    for call in stage.scene.staff:
        memory = memory.with_record(scenes.typed_in(call), -7200.0, staff=True)
    world = World((), memory)
    if stage.scene.is_new:
        return world
    lived = stage.live(world, Act(Run((scenes.QUIET,))), ())
    assert lived.ended is not None, "the quiet day did not end"
    assert lived.ended.code == ExitCode.OK, lived.ended
    return lived.world.later()
