"""How well churn is foretold: real transactions, in order of time, through the code that runs live.

    python -m bench.churn [--data DIR] [--file NAME=PATH,HORIZON_DAYS[,STEP_DAYS] ...] [--contestants ...]

DIR has, itself or in folders, `online_retail.csv.gz` (UCI Online Retail), `CDNOW_master.txt` and
`online_shoppers_intention.csv` (purchase intent, see `bench/intent.py`); files of --file are in one of the
first two formats, which their first line tells, and may be gzipped.

At each snapshot all customers seen so far are scored, by the model that was published last: the champion as
it was then, which has seen the labels up to the snapshot before. The label, no purchase within the horizon,
reaches the learner a horizon later, and nothing is known earlier. `auc` is the mean of the AUCs of the
last 30 % of the snapshots, `auc_pooled` that of all their scores together, `ece` the calibration error
(10 bins) of the last third. The one-line rules go by recency or by the number of purchases alone.
`gain_interval`: 95 % of 500 bootstraps over customers of the gain over the better rule. `learn_us` is the
processor time of a label, judging and learning of all contestants together, `champion_us` that of the first
champion and the rule alone, over the first ALONE labels, which `champion_labels_per_second` follows from.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import itertools
import json
import time
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from bench import intent
from bench.judging import auc, calibration_error
from operators.churn import customer, published, scoring
from operators.churn.customer import ChurnKeeper
from operators.churn.definition import Definition
from operators.churn.learner import Course, Learner
from operators.churn.parts import Churn
from operators.churn.statistics import DAY
from schemas.churn import Example

MORE = ("items", "products", "returns")
ALONE = 50_000


class Deal(NamedTuple):
    at: int
    customer: str
    value: int
    items: int
    products: frozenset[str]
    returned: bool


class Task(NamedTuple):
    name: str
    path: Path
    horizon: int
    step: int


def deals(path: Path) -> list[Deal]:
    """Purchases and returns in order of time, from a file in either format."""
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "rt", encoding="utf-8", errors="replace", newline="") as file:
        head = file.readline()
        lines = itertools.chain([head], file)
        found = list(_online_retail(lines) if "InvoiceNo" in head else _cdnow(lines))
    if not found:
        raise SystemExit(f"{path} has no purchase in the format of CDNOW_master.txt or of online_retail.csv")
    return sorted(found, key=lambda deal: (deal.at, deal.customer))


def _cdnow(lines: Iterable[str]) -> Iterator[Deal]:
    """customer, date (YYYYMMDD), units, dollars; separated by blanks."""
    for line in lines:
        words = line.split()
        if len(words) == 4 and words[1].isdigit():
            at = datetime.strptime(words[1], "%Y%m%d").replace(tzinfo=UTC)
            yield Deal(
                int(at.timestamp() * 1000), words[0], round(float(words[3]) * 100), int(words[2]),
                frozenset(), False,
            )  # fmt: skip


def _online_retail(lines: Iterable[str]) -> Iterator[Deal]:
    """Invoice lines; one with a C before its number is a return. Lines without a customer do not count."""
    invoices: dict[tuple[str, str], list[Any]] = {}
    for row in csv.DictReader(lines):
        if row["CustomerID"]:
            key = row["InvoiceNo"], row["CustomerID"]
            about = invoices.setdefault(key, [row["InvoiceDate"], 0.0, 0, set()])
            about[1] += float(row["Quantity"]) * float(row["UnitPrice"])
            about[2] += int(row["Quantity"])
            about[3].add(row["StockCode"])
    for (invoice, who), (when, value, items, products) in invoices.items():
        at = datetime.fromisoformat(when).replace(tzinfo=UTC)
        yield Deal(
            int(at.timestamp() * 1000), who, round(value * 100), items, frozenset(products),
            invoice.startswith("C"),
        )  # fmt: skip


class Shop:
    """Customers' records, as the customer step would keep them."""

    def __init__(self, definition: Definition) -> None:
        self.keeper = ChurnKeeper(definition)
        self.churns: dict[str, Churn] = {}
        self.items: dict[str, int] = {}
        self.products: dict[str, set[str]] = {}
        self.returns: dict[str, int] = {}

    def take(self, deal: Deal) -> None:
        who = deal.customer
        if deal.returned:
            self.returns[who] = self.returns.get(who, 0) + 1
            return
        churn = self.churns.get(who)
        if churn is None:
            churn = self.churns[who] = customer.empty()
        self.keeper.bought(churn, deal.at, deal.value)
        self.items[who] = self.items.get(who, 0) + max(deal.items, 0)
        self.products.setdefault(who, set()).update(deal.products)

    def score(self, at: int, scorer: scoring.Scorer) -> None:
        for who, churn in self.churns.items():
            more = (float(self.items[who]), float(len(self.products[who])), float(self.returns.get(who, 0)))
            self.keeper.score(churn, who, at, more, scorer)

    def known(self, at: int) -> list[Example]:
        found = [example for churn in self.churns.values() for example in self.keeper.examples(churn, at)]
        return sorted(found, key=lambda example: (example.known_at, example.customer))


def run(task: Task, kinds: tuple[str, ...]) -> dict[str, Any]:
    horizon, step = task.horizon * DAY, task.step * DAY
    definition = Definition(
        on=frozenset({"purchase"}), value="", horizon=horizon, every=step, apart=step, more=MORE
    )
    shop = Shop(definition)
    course = Course(definition.inputs, horizon, task.name, version("river"), kinds=kinds, champion=kinds[0])
    learner = Learner(course)
    rows: list[Example] = []
    spent = {"score": 0.0, "learn": 0.0}
    scores = place = 0
    log = deals(task.path)
    end = log[-1].at // DAY * DAY + DAY
    at = log[0].at // DAY * DAY
    events: list[str] = []

    scorer = scoring.rule(len(MORE))

    def learn(until: int) -> None:
        nonlocal scorer
        known = shop.known(until)
        began = time.process_time()
        for example in known:
            rows.append(example)
            for out in learner.apply(len(rows), example):
                if out.metrics is not None:
                    events.extend(out.metrics.events)
                if out.model is not None:
                    scorer = published.scorer(out.model, task.name, definition.inputs)
        spent["learn"] += time.process_time() - began

    while at + step <= end:
        at += step
        while place < len(log) and log[place].at < at:
            shop.take(log[place])
            place += 1
        learn(at)
        began = time.process_time()
        shop.score(at, scorer)
        spent["score"] += time.process_time() - began
        scores += len(shop.churns)
    while place < len(log):
        shop.take(log[place])
        place += 1
    learn(end)
    return {
        **judge(rows),
        "champion": learner.race.champion,
        "events": events,
        "contestants": {
            kind: {"auc": figures.auc, "log_loss": figures.log_loss, "ece": figures.ece}
            for kind, figures in learner.figures().items()
        },
        "score_us": round(spent["score"] / scores * 1e6, 1),
        "learn_us": round(spent["learn"] / max(1, len(rows)) * 1e6, 1),
        **alone(rows[:ALONE], course._replace(kinds=kinds[:1])),
    }


def alone(rows: list[Example], course: Course) -> dict[str, float]:
    learner = Learner(course)
    began = time.process_time()
    for offset, example in enumerate(rows):
        learner.apply(offset, example)
    each = (time.process_time() - began) / max(1, len(rows))
    return {"champion_us": round(each * 1e6, 1), "champion_labels_per_second": round(1 / each)}


def judge(rows: list[Example]) -> dict[str, Any]:
    """Of the scores that customers were given, not of any found out later."""
    at = np.array([row.at for row in rows])
    score = np.array([row.score for row in rows])
    churned = np.array([row.label for row in rows])
    rules = {
        "recency": np.array([row.facts[0] for row in rows]),
        "frequency": -np.array([row.facts[1] for row in rows]),
    }
    who = np.unique(np.array([row.customer for row in rows]), return_inverse=True)[1]
    moments = np.unique(at)
    last = moments[int(len(moments) * 0.7) :]
    third = at >= moments[int(len(moments) * 2 / 3)]

    def mean(of: np.ndarray, weights: np.ndarray | None = None) -> float:
        parts = [at == moment for moment in last]
        return float(
            np.mean([auc(of[p], churned[p], None if weights is None else weights[p]) for p in parts])
        )

    of_rules = {name: mean(of) for name, of in rules.items()}
    best = rules[max(of_rules, key=lambda name: of_rules[name])]
    dice = np.random.default_rng(1)
    part = np.isin(at, last)
    gains = []
    for _ in range(500):
        drawn = np.bincount(dice.integers(0, who.max() + 1, who.max() + 1), minlength=who.max() + 1)
        weights = drawn[who[part]].astype(float)
        gains.append(auc(score[part], churned[part], weights) - auc(best[part], churned[part], weights))
    return {
        "auc": round(mean(score), 4),
        "auc_pooled": round(auc(score[part], churned[part]), 4),
        "auc_last_third": round(auc(score[third], churned[third]), 4),
        "ece": round(calibration_error(score[third], churned[third]), 4),
        "labels": len(rows),
        "snapshots": len(moments),
        "rules": {name: round(value, 4) for name, value in of_rules.items()},
        "gain_interval": [round(float(np.quantile(gains, q)), 4) for q in (0.025, 0.975)],
    }


def find(folder: Path, name: str) -> Path:
    """The file of this name in the folder or below it. Ends the program when there is none."""
    found = sorted(folder.rglob(name))
    if not found:
        raise SystemExit(f"{folder} has no {name}, neither itself nor in its folders")
    return found[0]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder with the files named above")
    parser.add_argument("--file", action="append", default=[], metavar="NAME=PATH,HORIZON_DAYS[,STEP_DAYS]")
    parser.add_argument("--contestants", nargs="+", default=["recursive"], help="the first is the champion")
    parser.add_argument("--out", type=Path, default=Path("bench/results/churn.json"))
    options = parser.parse_args()
    tasks = []
    if options.data:
        tasks = [
            Task("online_retail_60d", find(options.data, "online_retail.csv.gz"), 60, 7),
            Task("cdnow_91d", find(options.data, "CDNOW_master.txt"), 91, 14),
        ]
    for text in options.file:
        name, _, rest = text.partition("=")
        path, horizon, *step = rest.split(",")
        tasks.append(Task(name, Path(path), int(horizon), int(step[0]) if step else 7))
    if not tasks:
        parser.error("give --data or --file")
    results = {}
    for task in tasks:
        results[task.name] = run(task, tuple(options.contestants))
        print(task.name, json.dumps(results[task.name], indent=2), flush=True)
    if options.data:
        results["intent_online_shoppers"] = found = intent.run(
            find(options.data, "online_shoppers_intention.csv")
        )
        print("intent_online_shoppers", json.dumps(found, indent=2), flush=True)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
