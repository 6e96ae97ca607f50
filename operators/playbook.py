"""From the analyst's YAML to what the engine runs: checked, every mistake listed, compiled once."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from typing import Any, NamedTuple
from zoneinfo import available_timezones

import msgspec

from operators import declared, features, told, yamlfile
from operators.expressions import Expression
from operators.features import Feature, Plan
from operators.foretold import Foretold
from operators.hints import near, slips
from operators.identifiers import TYPES, Policy
from operators.measures import Form, LocalTime, Measure
from operators.paths import Getter, compile_path
from operators.questions import Question
from operators.records import Kept
from operators.rules import Reaction, Rule, compile_rules, digest
from operators.shapes import Misfit, Mistake, fit
from operators.subjects import FORMS, compile_subject
from schemas import durations
from schemas import playbook as form
from schemas import topics as naming
from schemas.currency import CODES
from schemas.mendable import Mendable
from schemas.reference import RECORDS


class BadPlaybook(Mendable, ValueError):
    """All mistakes of a playbook. `str()` gives one line each: file, line, path, what is wrong."""

    def __init__(self, name: str, mistakes: Iterable[Mistake]) -> None:
        self.mistakes = sorted(mistakes)
        super().__init__("\n".join(f"{name}:{m.line}: {m.path}: {m.problem}" for m in self.mistakes))


class Profiles(NamedTuple):
    """`every` in ms; `features` by name."""

    every: int
    features: tuple[str, ...]


class Times(NamedTuple):
    """The engine's durations in ms."""

    epoch: int
    cut: int
    heartbeat: int
    alignment: int
    grace: int
    idle_delay: int
    settle: int
    refresh: int
    dedupe: int


class Playbook(NamedTuple):
    """A checked playbook. `hash` changes with anything that could change a decision."""

    scope: str
    hash: str
    currency: str
    region: str
    topics: dict[str, str]  # source name -> topic
    reference: dict[str, str]  # kind of reference data -> topic
    policies: tuple[Policy, ...]
    measures: dict[str, Measure]
    features: dict[str, Feature | Expression]
    rules: dict[str, Rule]
    profiles: Profiles | None
    foretold: Mapping[str, Foretold]  # subject -> its section
    plan: Plan  # what to keep of the measures
    forms: dict[str, Form]  # event name -> what to take from it
    reactions: dict[str, tuple[Reaction, ...]]  # event name -> rules
    engine: form.Engine
    times: Times
    history: bool  # whether events are kept
    keep: int  # for how long (ms), 0: for ever; what is older is folded
    # Of features that were added to state with a history: generation -> the last cut before it (-1: not known
    # yet), and -> the features that need it. `hidden`: those that cannot be told yet; who folds, fills it.
    generations: Mapping[int, int]
    later: Mapping[int, frozenset[str]]
    hidden: set[str]
    asked: dict[tuple[str, ...], Question]  # by the features that were asked for together

    @property
    def inputs(self) -> list[str]:
        """The inbound topics. Reference data is first, so that it is so before an event of the same time."""
        return [*sorted(self.reference.values()), *sorted(set(self.topics.values()))]

    def serving(self) -> Playbook:
        """The same with models of its own, none yet, for a shard or a reader of one."""
        own = {subject: it._replace(served=it.served.anew()) for subject, it in self.foretold.items()}
        return self._replace(foretold=own)

    @property
    def kept(self) -> Kept:
        """What records keep."""
        return Kept(self.plan, self.foretold)

    @property
    def outputs(self) -> dict[int, naming.Output]:
        """The output topics of the scope, by code."""
        return {
            code: it
            for code, it in enumerate(naming.OUTPUTS)
            if not it.section or it.section in self.foretold
        }


def load(
    text: str,
    name: str = "playbook",
    placed: Mapping[str, int] | None = None,
    generations: Mapping[int, int] | None = None,
) -> Playbook:
    """Check and compile. Raises BadPlaybook with every mistake, never only the first.

    `placed` and `generations` say where features are counted, see `operators/slots.py`.
    """
    try:
        raw = yamlfile.load(text)
    except yamlfile.BadYaml as error:
        found = re.match(r"line (\d+)[^:]*: (.*)", str(error), re.S)
        raise BadPlaybook(name, [Mistake(int(found[1]) if found else 1, "file", str(error))]) from None
    return _Compiler(raw, name).compile(placed or {}, generations or {})


def notes(text: str) -> list[Mistake]:
    """What a good playbook says that is allowed but looks like a slip: names of one's own that are
    nearly those of the contract."""
    return sorted(Mistake(*slip) for slip in slips(yamlfile.load(text)))


def _moved(
    ready: dict[str, Feature | Expression], built: dict[str, Measure], placed: Mapping[str, int]
) -> tuple[dict[str, Feature | Expression], list[Measure]]:
    """The features where they are counted, and the measures once more for each later generation."""
    slots = {it.slot: it for it in built.values()}
    found = dict(ready)
    more: dict[str, Measure] = {}
    for name, generation in placed.items():
        old = found[name]
        assert isinstance(old, Feature)
        measure = replace(slots[old.slot], generation=generation)
        more[measure.slot] = measure
        found[name] = Feature(name, measure.slot, old.aggregate, old.window, old.scale)
    return found, list(more.values())


def _later(
    ready: Mapping[str, Feature | Expression], placed: Mapping[str, int], generations: Mapping[int, int]
) -> dict[int, frozenset[str]]:
    """Generation -> features that need it, those derived from others too."""
    found = {}
    for generation in generations:
        names = {name for name, its in placed.items() if its == generation}
        for name, feature in ready.items():  # what is derived stands behind what it is derived from
            if isinstance(feature, Expression) and not names.isdisjoint(feature.names):
                names.add(name)
        if names:
            found[generation] = frozenset(names)
    return found


class _Compiler:
    def __init__(self, raw: yamlfile.Located, name: str) -> None:
        self.raw = raw
        self.name = name
        self.mistakes: list[Mistake] = []
        self.misfits: set[str] = set()

    def compile(self, placed: Mapping[str, int], generations: Mapping[int, int]) -> Playbook:
        raw = self.raw
        fields = {field.name: field for field in msgspec.structs.fields(form.Playbook)}
        for key in raw:
            if key not in fields:
                self.wrong(raw.lines[key], key, f"unknown section{near(key, fields)}")
        for line, path in raw.twice:
            self.wrong(line, path, "is there twice; which one counts?")
        scope = self.text("scope", None, r"^[a-z][a-z0-9-]{0,39}$", "lower-case letters, digits and -")
        currency = self.text("currency", "USD", r"^[A-Z]{3}$", "an ISO 4217 code such as USD")
        if currency not in CODES:
            self.wrong(
                raw.lines["currency"], "currency", f"{currency!r} is no currency{near(currency, CODES)}"
            )
        region = self.text("region", "US", r"^[A-Z]{2}$", "an ISO 3166 code such as US")
        sources = self.section("sources", form.Source, required=True)
        identifiers = self.section("identifiers", form.Identifier, required=True, known=TYPES)
        reference = self.section("reference", form.Reference, known=RECORDS)
        measures = self.section("measures", form.Measure)
        asked = self.section("features", form.Feature)
        triggers = self.section("triggers", form.Trigger)
        channels = self.section("channels", form.Channel)
        engine = self.convert(raw.get("engine", {}), form.Engine, "engine", raw.lines.get("engine", 1))
        times = self.engine_times(engine or form.Engine())

        topics = {name: source.topic or f"{scope}.{name}" for name, source in sources.items()}
        references = self.references(scope, reference, topics)
        clock = self.clock()
        built = declared.measures(measures, self.at)
        said = told.names(raw)
        for name in said:
            if name in asked:
                problem = f"is given by the section {told.OF[name]}; choose another name"
                self.wrong(1, f"features.{name}", problem)
        names = {*self.written("features"), *said}
        ready = declared.features(asked, built, self.written("measures"), names, self.at)
        rules, reactions = compile_rules(self, triggers, [*ready, *said], channels, currency)
        profiles = self.profiles([*ready, *said]) if "profiles" in raw else None
        foretold = self.foretold(built, ready)
        keep = self.keep() if "history" in raw else 0
        if self.mistakes:
            raise BadPlaybook(self.name, self.mistakes)
        ready, built_later = _moved(ready, built, placed)
        plan = features.plan(it for it in ready.values() if isinstance(it, Feature))
        used = [measure for measure in (*built.values(), *built_later) if measure.slot in plan]
        assert engine is not None
        return Playbook(
            scope=scope,
            hash=digest(
                {key: value for key, value in raw.items() if key != "engine"}, times.dedupe, times.grace
            ),
            currency=currency,
            region=region,
            topics=topics,
            reference=references,
            policies=tuple(
                Policy(n, i.limit, frozenset(map(str.lower, i.junk))) for n, i in identifiers.items()
            ),
            measures=built,
            features=ready,
            rules=rules,
            profiles=profiles,
            foretold=foretold,
            plan=plan,
            forms={
                event: Form(event, used, currency, clock)
                for event in dict.fromkeys(name for it in used for name in (*it.on, *it.closes))
            },
            reactions=reactions,
            engine=engine,
            times=times,
            history="history" in raw,
            keep=keep,
            generations=generations,
            later=_later(ready, placed, generations),
            hidden=set(),
            asked={},
        )

    def references(
        self, scope: str, reference: dict[str, form.Reference], topics: dict[str, str]
    ) -> dict[str, str]:
        taken = {topic: f"sources.{name}" for name, topic in topics.items()}
        found = {}
        for kind, it in reference.items():
            topic = found[kind] = it.topic or naming.reference(scope, kind)
            if topic in taken:
                problem = f"{topic} is the topic of {taken[topic]} already; each needs its own"
                self.wrong(self.line("reference", kind), f"reference.{kind}", problem)
            taken[topic] = f"reference.{kind}"
        return found

    def clock(self) -> LocalTime:
        zone = self.raw.get("timezone", "UTC")
        try:
            return LocalTime(zone)
        except (ValueError, TypeError, OSError, KeyError):
            hint = near(str(zone), available_timezones())
            self.wrong(
                self.raw.lines["timezone"],
                "timezone",
                f"{zone!r} is no IANA zone such as Europe/Berlin{hint}",
            )
            return LocalTime("UTC")

    def profiles(self, features: Collection[str]) -> Profiles | None:
        line = self.raw.lines["profiles"]
        section = self.convert(self.raw["profiles"] or {}, form.Profiles, "profiles", line)
        if section is None:
            return None
        every = self.duration(line, "profiles.every", section.every)
        if every < 1000:
            self.wrong(line, "profiles.every", "must be 1s or more")
        names = self.written("features") if section.features == "all" else section.features
        for name in names:
            if name not in self.written("features") and name not in features:
                hint = near(name, self.written("features"))
                self.wrong(line, "profiles.features", f"unknown feature {name!r}{hint}")
        return Profiles(every, tuple(names))

    def keep(self) -> int:
        line = self.raw.lines["history"]
        section = self.convert(self.raw["history"] or {}, form.History, "history", line)
        if section is None or section.keep is None:
            return 0
        keep = self.duration(line, "history.keep", section.keep)
        if keep < 1000:
            self.wrong(line, "history.keep", "must be 1s or more")
        return keep

    def foretold(
        self, measures: dict[str, Measure], ready: dict[str, Feature | Expression]
    ) -> dict[str, Foretold]:
        """The sections about what is foretold, in the order in which that is done."""
        found = {}
        for name, kind in FORMS.items():
            if name not in self.raw:
                continue
            line = self.raw.lines[name]
            section = self.convert(self.raw[name] or {}, kind, name, line)
            if section is not None:
                compiled = compile_subject(name, section, self, line, measures, ready)
                if compiled is not None:
                    found[name] = compiled
        return found

    def engine_times(self, engine: form.Engine) -> Times:
        line = self.raw.lines.get("engine", 1)
        for name in (
            "shards",
            "partitions",
            "cut_events",
            "hot_customers",
            "hot_identifiers",
            "hot_reference",
        ):
            if getattr(engine, name) < 1:
                self.wrong(line, f"engine.{name}", "must be 1 or more")
        return Times(
            *(self.duration(line, f"engine.{name}", getattr(engine, name)) for name in Times._fields)
        )

    def section(
        self, name: str, kind: type[Any], required: bool = False, known: Collection[str] | None = None
    ) -> dict[str, Any]:
        raw = self.raw.get(name)
        line = self.raw.lines.get(name, 1)
        if raw is None and not required:
            return {}
        if not isinstance(raw, yamlfile.Located) or (required and not raw):
            self.wrong(line, name, "is missing or empty" if not raw else "must be a mapping of names")
            return {}
        found = {}
        for key, item in raw.items():
            at = raw.lines[key]
            if known is not None and key not in known:
                self.wrong(at, f"{name}.{key}", f"unknown{near(key, known)}; one of {', '.join(known)}")
                continue
            built = self.convert(item if item is not None else {}, kind, f"{name}.{key}", at)
            if built is not None:
                found[key] = built
        return found

    def convert(self, item: Any, kind: type[Any], path: str, line: int) -> Any:
        try:
            return fit(item, kind, path, line, self.misfit)
        except Misfit:
            return None

    def text(self, key: str, default: str | None, pattern: str, form: str) -> str:
        value = self.raw.get(key, default)
        if not isinstance(value, str) or not re.match(pattern, value):
            self.wrong(self.raw.lines.get(key, 1), key, f"{value!r} is not {form}" if value else "is missing")
            return default or ""
        return value

    def duration(self, line: int, path: str, value: str) -> int:
        try:
            return durations.parse(value)
        except ValueError as error:
            self.misfit(line, path, str(error))
            return 0

    def path(self, line: int, path: str, value: str) -> Getter:
        try:
            return compile_path(value)
        except ValueError as error:
            self.wrong(line, path, str(error))
            return lambda properties: []

    def written(self, section: str) -> Collection[str]:
        """The names in a section, those with mistakes included."""
        found = self.raw.get(section)
        return found if isinstance(found, yamlfile.Located) else ()

    def line(self, section: str, name: str) -> int:
        return int(self.raw[section].lines[name])

    def at(self, path: str, problem: str) -> None:
        """A mistake at `path`, on the line of its innermost key."""
        self.wrong(1, path, problem)

    def misfit(self, line: int, path: str, problem: str) -> None:
        self.wrong(line, path, problem)
        self.misfits.add(path)

    def wrong(self, line: int, path: str, problem: str) -> None:
        """`line`: of the whole; the mistake is at the innermost key of `path` that was written."""
        if path in self.misfits:
            return  # what follows from it
        inside: Any = self.raw
        for name in path.split("."):
            if not isinstance(inside, yamlfile.Located) or name not in inside:
                break
            line = max(line, inside.lines[name])
            inside = inside[name]
        self.mistakes.append(Mistake(line, path, problem))
