"""How well purchase intent is foretold on UCI Online Shoppers Purchasing Intention (`;` separated).

A row is a session without a time or a customer. PageValues leaks the outcome and is left out. All that a row
says goes to the model as it is, names as flags; so this measures the learner, its contestants and its
delayed labels, not the facts that oncue makes of a visitor's events.

Sessions come ten minutes apart, a label a day (144 sessions) after its score, and each is scored by the
model that was published by then. The file is not in order of time (the months from June on are mixed), so
`auc` is the mean over SHUFFLES orders, each decided by its number, as the ten folds that batch models are
measured with are drawn; of the last 30 % of the sessions, as for churn. `auc_all` is of all sessions,
the first day's included, when nothing was known; `auc_file_order` of the last 30 % in the order of the file.
"""

from __future__ import annotations

import csv
from importlib.metadata import version
from math import log1p
from pathlib import Path
from typing import Any

import numpy as np

from bench.judging import auc, calibration_error
from operators.churn import published
from operators.churn.learner import Course, Learner
from operators.churn.parts import Fitted
from operators.churn.scoring import Linear, Scorer
from operators.intent import vector
from operators.intent.vector import DAY
from schemas.churn import Example

SHUFFLES = 5
APART = DAY // 144
COUNTS = ("Administrative", "Informational", "ProductRelated")
NUMBERS = (*COUNTS, *(f"{name}_Duration" for name in COUNTS))
RATES = ("BounceRates", "ExitRates")
# What should matter most comes first: the first flags are crossed with the numbers.
NAMES = ("Month", "VisitorType", "Weekend", "TrafficType", "OperatingSystems", "Browser", "Region")
KINDS = ("curved", "recursive")

Row = tuple[tuple[float, ...], bool]


def sessions(path: Path) -> tuple[tuple[str, ...], list[Row]]:
    """The names of the facts; facts and outcome of each session. Rates in thousandths."""
    with path.open(newline="") as lines:
        rows = list(csv.DictReader(lines, delimiter=";"))
    flags = [(name, value) for name in NAMES for value in sorted({row[name] for row in rows})]
    paces = tuple(f"{name}_pace" for name in COUNTS)
    names = (*NUMBERS, *RATES, "SpecialDay", *paces, *(f"{name}_{value}" for name, value in flags))
    found = []
    for row in rows:
        numbers = [float(row[name]) for name in NUMBERS]
        paces_of = [
            duration / max(1.0, count) for count, duration in zip(numbers[:3], numbers[3:], strict=True)
        ]
        facts = (
            *numbers, *(1000 * float(row[name]) for name in RATES), float(row["SpecialDay"]), *paces_of,
            *(float(row[name] == value) for name, value in flags),
        )  # fmt: skip
        found.append((facts, row["Revenue"] == "TRUE"))
    return names, found


def run(path: Path) -> dict[str, Any]:
    names, rows = sessions(path)
    ordered, _ = foretold(names, rows)
    last, third = slice(int(len(rows) * 0.7), None), slice(len(rows) * 2 // 3, None)
    late, whole, errors, champions = [], [], [], []
    for number in range(SHUFFLES):
        drawn = [rows[place] for place in np.random.default_rng(number).permutation(len(rows))]
        happened = np.array([label for _, label in drawn])
        scores, champion = foretold(names, drawn)
        late.append(auc(scores[last], happened[last]))
        whole.append(auc(scores, happened))
        errors.append(calibration_error(scores[third], happened[third]))
        champions.append(champion)
    return {
        "auc": round(float(np.mean(late)), 4),
        "auc_each": [round(one, 4) for one in late],
        "auc_all": round(float(np.mean(whole)), 4),
        "auc_file_order": round(auc(ordered[last], np.array([label for _, label in rows])[last]), 4),
        "ece": round(float(np.mean(errors)), 4),
        "labels": len(rows),
        "champions": champions,
    }


def foretold(names: tuple[str, ...], rows: list[Row]) -> tuple[np.ndarray, str]:
    """The scores that the sessions were given, in their order, and the last champion."""
    subject = vector.subject(0, len(names) - len(vector.FACTS))._replace(rule=_even)
    course = Course(names, DAY, "online shoppers", version("river"), kinds=KINDS, champion=KINDS[0])
    learner = Learner(course, subject)
    scorer = _even(len(names))
    scores: list[float] = []
    for place, (facts, _) in enumerate(rows):
        at = place * APART
        known = place - DAY // APART
        if known >= 0:
            example = Example(
                str(known),
                known * APART,
                at,
                rows[known][0],
                rows[known][1],
                scores[known],
                0,
                "all sessions",
            )
            for out in learner.apply(known, example):
                if out.model is not None:
                    scorer = published.scorer(out.model, course.definition, names)
        scores.append(scorer.score(vector.inputs(facts, scorer.fitted, DAY)))
    return np.array(scores), learner.race.champion


def _even(count: int) -> Scorer:
    """Nothing known, nobody told from another: one visit in fifty brings an order."""
    return Scorer(Linear(-log1p(48), [0.0] * count, [0.0] * count), Fitted())
