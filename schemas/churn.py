"""Between the customer step and the learning flow, JSON on `<scope>.churn-examples` and
`<scope>.intent-examples` (examples and commands, one partition: their order decides what is learnt),
`<scope>.models` and `<scope>.model-metrics`. Times are milliseconds since 1970 in event time.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

COMMAND = b"command"  # the record key of an operator's command among the examples
FORMAT = 1  # of Model.scorer; raised when a program of before could misread it


class Example(msgspec.Struct, gc=False):
    """What was known of a customer at `at`, and what had become of it by `known_at`. `label`: they churned,
    or ordered where that is foretold. `score`: the probability they were given then, by model `version`."""

    customer: str
    at: int
    known_at: int
    facts: tuple[float, ...]
    label: bool
    score: float
    version: int
    segment: str


class Command(msgspec.Struct, gc=False):
    """Of an operator. `promote`: make `contestant` the champion. `rollback`: serve the published model
    `version` again and publish no other until a promotion."""

    command: Literal["promote", "rollback"]
    contestant: str = ""
    version: int = 0


class Figures(msgspec.Struct, gc=False):
    """Prequential quality: every prediction is of a model as it was when the customer was scored.

    `auc`: area under the ROC curve; `log_loss` in nats; `ece`: expected calibration error over 10 bins
    of equal width; `lift`: share of positive labels among the 10 % with the highest scores over that of all.
    None where too few of either kind were seen."""

    labels: int
    positive: int
    auc: float | None
    log_loss: float | None
    ece: float | None
    lift: float | None


class Model(msgspec.Struct, gc=False):
    """A published model of `subject`. `version` is the position among the subject's examples of what made
    it, plus one: it rises, and repeating the same input gives the same version and the same model.

    `trained_until`: it knows the labels known before this time. `definition`: what it was learnt for; a
    scorer for other facts is refused. `values`: percentiles (1 to 99) of the value to expect of customers
    within the horizon, in major units. `why`: what made it be published.
    """

    format: int
    river: str
    version: int
    contestant: str
    labels: int
    trained_until: int
    definition: str
    inputs: list[str]
    scorer: dict[str, Any]
    fitted: dict[str, list[float]]
    calibration: list[float]
    figures: Figures
    why: str
    values: list[float] = []
    subject: str = "churn"


class Metrics(msgspec.Struct, gc=False):
    """How all contestants did on the labels since the report before this one. `figures`: contestant ->
    segment ("all" for everybody) -> figures; `total`: since the beginning. `curve`: of the champion, 10
    bins of (labels, mean score, share of positive labels); `tenths`: (labels, positive ones) by its score,
    highest tenth first; `weights`: by input, how far it moved a score on average, in log-odds, and from -1
    to 1 whether large values raise it. `drifts`: contestants whose loss changed (ADWIN)."""

    version: int
    at: int
    labels: int
    champion: str
    figures: dict[str, dict[str, Figures]]
    total: dict[str, Figures]
    curve: list[tuple[int, float, float]]
    tenths: list[tuple[float, float]]
    weights: dict[str, tuple[float, float]]
    drifts: list[str]
    events: list[str]
