"""`--model`: the published models that give every score, whichever was published when."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from flows import tail
from flows.plan import Plan
from operators.churn import published
from operators.churn.published import Incompatible
from operators.foretold import KINDS, Foretold
from operators.playbook import Playbook
from schemas.churn import Model
from schemas.mendable import Mendable
from state.errors import unusable

RULE = 0  # the version that scores say as long as there is no model
MOST = 12  # versions that a message lists


class BadModel(Mendable, ValueError):
    """What was written for --model cannot be used; a line for each mistake."""


def versions(asked: Sequence[str], book: Playbook) -> dict[str, int]:
    """By subject the version that is asked for, as `churn=7`, or `7` where the playbook foretells only one
    thing. Raises BadModel."""
    found, wrong = _parse(asked, book.foretold)
    if wrong:
        raise BadModel("\n".join(wrong))
    return found


def models(
    asked: Sequence[str], book: Playbook, there: Callable[[], Iterable[bytes]], where: str
) -> dict[str, bytes]:
    """By subject the model that is asked for, as it was published; empty for the rule. `there`: the models
    of all subjects to choose from, which are in `where`. Raises BadModel with all mistakes."""
    found, wrong = _parse(asked, book.foretold)
    chosen = {subject: b"" for subject, version in found.items() if version == RULE}
    wanted = {subject: version for subject, version in found.items() if version != RULE}
    held: dict[str, list[Model]] = {subject: [] for subject in wanted}
    for raw in there() if wanted else ():
        try:
            model = published.read(raw)
        except Incompatible:  # no program that serves could use it either
            continue
        if model.subject in held:
            held[model.subject].append(model)
            if model.version == wanted[model.subject]:
                chosen[model.subject] = raw
    for subject, version in wanted.items():
        definition = book.foretold[subject].definition
        fit = [it.version for it in held[subject] if it.definition == definition.fingerprint]
        if subject not in chosen:
            wrong.append(
                f"--model {subject}={version}: {where} holds no {subject} model {version}. "
                f"Of the playbook's definition there are {_listed(fit)}"
            )
            continue
        try:
            book.foretold[subject].served.always(chosen[subject])
        except Incompatible as error:
            wrong.append(f"--model {subject}={version}: {error}. Of its definition there are {_listed(fit)}")
    if wrong:
        raise BadModel("\n".join(wrong))
    return chosen


def on_topic(topic: str, brokers: str) -> Iterable[bytes]:
    """All models that were published and that their topic still holds."""
    values = (record.value() for record in tail.history(brokers, [topic], partitions=[0]))
    return (raw for raw in values if raw)


def write(root: Path, chosen: Mapping[str, bytes]) -> None:
    """Keep them beside the plan of a replay: its topic may not hold them when it goes on."""
    try:
        root.mkdir(parents=True, exist_ok=True)
        for subject, raw in chosen.items():
            _file(root, subject).write_bytes(raw)
    except OSError as error:
        raise unusable(f"cannot write in {root}", error) from None


def forget(root: Path) -> None:
    for subject in KINDS:
        _file(root, subject).unlink(missing_ok=True)


def of(book: Playbook, plan: Plan | None, root: Path) -> Playbook:
    """The playbook with the models that the plan at `root` asks for, if there is one."""
    if plan is None or not plan.fixed:
        return book
    try:
        return scoring(book, {subject: _file(root, subject).read_bytes() for subject in plan.fixed})
    except (OSError, Incompatible) as error:
        raise unusable(f"cannot use what --model chose in {root}", error) from None


def scoring(book: Playbook, chosen: Mapping[str, bytes]) -> Playbook:
    """The playbook with these models giving all scores. Raises Incompatible."""
    fixed = {
        subject: it._replace(served=it.served.always(chosen[subject])) if subject in chosen else it
        for subject, it in book.foretold.items()
    }
    return book._replace(foretold=fixed)


def _file(root: Path, subject: str) -> Path:
    return root / f"model-{subject}.json"


def _parse(asked: Sequence[str], foretold: Mapping[str, Foretold]) -> tuple[dict[str, int], list[str]]:
    """What is asked for, and what is wrong with it."""
    found: dict[str, int] = {}
    wrong = []
    there = " and ".join(foretold)
    for one in asked:
        subject, equals, number = one.rpartition("=")
        if not number.isdecimal():
            wrong.append(f"--model {one}: write SUBJECT=VERSION, such as churn=7, or only the version")
        elif not foretold:
            wrong.append(f"--model {one}: the playbook foretells nothing, there is nothing to score")
        elif not equals and len(foretold) > 1:
            wrong.append(
                f"--model {one}: the playbook foretells {there}. Say which of them: "
                + " or ".join(f"--model {name}={number}" for name in foretold)
            )
        elif equals and subject not in foretold:
            wrong.append(f"--model {one}: the playbook has no section {subject!r}, it foretells {there}")
        else:
            name = subject or next(iter(foretold))
            if found.setdefault(name, int(number)) != int(number):
                wrong.append(f"--model {one}: it is {name}={found[name]} already; a subject has one model")
    return found, wrong


def _listed(numbers: list[int]) -> str:
    """
    >>> _listed([3, 5]), _listed([*range(20)])
    ('3, 5', '8 older ones and 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19')
    """
    if not numbers:
        return f"none; {RULE} is the rule that scores without one"
    newest = sorted(set(numbers))
    older = len(newest) - MOST
    return (f"{older} older ones and " if older > 0 else "") + ", ".join(map(str, newest[-MOST:]))
