"""Measures and features as a playbook declares them, checked and compiled."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

from operators.expressions import Expression
from operators.features import OF_NOTHING, Feature
from operators.hints import near
from operators.measures import ABOUT_THE_EVENT, FIELD, NOTHING, PATH, Measure
from operators.money import MILLION
from operators.paths import Getter, compile_path, field_of
from schemas import durations
from schemas import playbook as form

Wrong = Callable[[str, str], None]  # path in the playbook, what is wrong there


def measures(declared: Mapping[str, form.Measure], wrong: Wrong) -> dict[str, Measure]:
    return {name: _measure(name, measure, wrong) for name, measure in declared.items()}


def _measure(name: str, measure: form.Measure, wrong: Wrong) -> Measure:
    path, value = f"measures.{name}", measure.value
    if not name.isidentifier():
        wrong(path, "a name has letters, digits and _ only")
    take, field, getter = NOTHING, "", None
    if value in ABOUT_THE_EVENT:
        take = ABOUT_THE_EVENT[value]
        if measure.unit != "text":
            wrong(path + ".unit", f"{value} is text by itself; leave the unit out")
    elif value is not None:
        field, getter = field_of(value), _getter(value, path, wrong)
        take = FIELD if field else PATH
    if measure.closes and (value is None or measure.unit != "text"):
        wrong(path + ".closes", "needs a value of text, the key of what is opened and closed")
    both = sorted(set(measure.on) & set(measure.closes))
    if both:
        wrong(path + ".closes", f"{both[0]!r} cannot both open and close")
    where = None
    if measure.where is not None:
        try:
            where = Expression(measure.where, _Anything())
        except ValueError as error:
            wrong(path + ".where", str(error))
    return Measure(name, measure.unit, take, field, getter, where, tuple(measure.on), tuple(measure.closes))


def _getter(value: str, path: str, wrong: Wrong) -> Getter | None:
    if "." not in value and (meant := near(value, ABOUT_THE_EVENT)):
        wrong(path + ".value", f"unknown {value!r}{meant}")
        return None
    try:
        return compile_path(value)
    except ValueError as error:
        wrong(path + ".value", str(error))
        return None


class _Anything(tuple[str, ...]):
    """Senders may put more into an event than its contract names, so any property may be there."""

    def __contains__(self, name: object) -> bool:
        return True


def features(
    declared: Mapping[str, form.Feature],
    compiled: Mapping[str, Measure],
    written: Collection[str],
    every: Collection[str],
    wrong: Wrong,
) -> dict[str, Feature | Expression]:
    """`written`: names in the section of measures, those with mistakes included; `every`: of features."""
    found: dict[str, Feature | Expression] = {}
    for name, feature in declared.items():
        path = f"features.{name}"
        if not name.isidentifier():
            wrong(path, "a name has letters, digits and _ only")
        if feature.expression is not None:
            given = [key for key in ("measure", "aggregate", "window") if getattr(feature, key) is not None]
            if given:
                wrong(f"{path}.{given[0]}", "a feature has an expression or a measure, not both")
            _derive(name, feature.expression, declared, every, found, wrong)
            continue
        missing = [key for key in ("measure", "aggregate") if getattr(feature, key) is None]
        for key in missing:
            wrong(f"{path}.{key}", "is missing")
        window = _window(feature, path, wrong)
        if feature.measure is None or feature.aggregate is None:
            continue
        measure = compiled.get(feature.measure)
        if measure is not None:
            _fits(feature, measure, path, wrong)
            scale = MILLION if measure.unit == "number" else 1
            found[name] = Feature(name, measure.slot, feature.aggregate, window, scale)
        elif feature.measure not in written:  # else its own mistake is already listed
            wrong(path, f"unknown measure {feature.measure!r}{near(feature.measure, written)}")
    return found


def _derive(
    name: str,
    text: str,
    declared: Mapping[str, form.Feature],
    every: Collection[str],
    found: dict[str, Feature | Expression],
    wrong: Wrong,
) -> None:
    """What reads only features above it or measured ones cannot go round in a circle."""
    path = f"features.{name}.expression"
    try:
        expression = Expression(text, every)
    except ValueError as error:
        wrong(path, str(error))
        return
    for inner in sorted(expression.names):
        if inner not in found and inner in declared and declared[inner].expression is not None:
            wrong(path, f"{inner!r} is an expression too; it must stand above {name!r}")
    found[name] = expression


def _window(feature: form.Feature, path: str, wrong: Wrong) -> int:
    if feature.window is None:
        return 0
    try:
        window = durations.parse(feature.window)
    except ValueError as error:
        wrong(path + ".window", str(error))
        return 0
    if not window:
        wrong(path + ".window", "must be longer than 0; leave it out for a lifetime")
    if feature.aggregate == "open":
        wrong(path + ".window", "what is open is open however old it is; leave it out")
    return window


def _fits(feature: form.Feature, measure: Measure, path: str, wrong: Wrong) -> None:
    aggregate = feature.aggregate
    if aggregate in ("sum", "mean") and (measure.unit == "text"):
        wrong(path, f"cannot {aggregate} text; give {feature.measure} a unit")
    elif aggregate not in OF_NOTHING and measure.take == NOTHING:
        wrong(path, f"{aggregate} needs a value; {feature.measure} has none")
    if aggregate == "open" and not measure.closes:
        wrong(path, f"what closes it? give {feature.measure} the events in closes")
