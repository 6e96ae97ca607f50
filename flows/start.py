"""What is checked before a run starts, by one process for all of them. It knows nothing of the dataflow:
supervisors start faster without (Bytewax' operators take .15 s to import)."""

from __future__ import annotations

from pathlib import Path

from bytewax.recovery import init_db_dir

from flows import kafka, reach, swap
from flows.copies import Copying
from flows.kafka import KafkaTrouble
from flows.plan import FILE as REPLAY
from flows.settings import Run
from flows.telemetry import log
from flows.telemetry.settings import Settings
from operators import playbook
from operators.compatible import differences, linking
from schemas import topics
from state.errors import StateError
from state.verify import history_folders

RECOVERY_PARTITIONS = 4
PATIENCE = 120.0  # seconds that a peer waits for the first one to make the state directory


def open_run(
    config: Path, brokers: str, state: Path, on_gap: str = "stop", telemetry: Settings | None = None,
    copying: Copying | None = None,
) -> Run:  # fmt: skip
    """A run of the playbook at `config`. Raises OSError, BadPlaybook."""
    text = config.read_text()
    telemetry = telemetry or Settings()
    run = Run(playbook.load(text, str(config)), text, brokers, state, on_gap, telemetry, copying)
    about = {"oncue.worker": telemetry.worker} if telemetry.worker else {}
    log.use(telemetry.log_format, **{"oncue.scope": run.scope}, **about)
    return run


def prepare(run: Run, peer: int | None = None) -> None:
    """Check broker, topics and state directory before anything starts; of several peers the first makes the
    directory. Raises KafkaTrouble, StateError."""
    client = kafka.consumer(run.brokers, "oncue-check")
    try:
        wanted = run.playbook.engine.partitions
        named = {code: run.output(code) for code in run.outputs}
        outputs = sorted(name for code, name in named.items() if not topics.OUTPUTS[code].single)
        inputs = run.inputs if run.plan is None else run.plan.read_topics
        counts = kafka.partitions(client, [*inputs, run.order, *sorted(named.values())], run.brokers)
        wrong = [f"{topic} has {counts[topic]}" for topic in outputs if counts[topic] != wanted]
        if wrong:
            raise KafkaTrouble(
                f"output topics need engine.partitions = {wanted} partitions each, but {', '.join(wrong)}"
            )
    finally:
        client.close()
    directory = run.directory
    if run.plan is None and (directory.root / REPLAY).exists():
        raise StateError(
            f"{directory.root} holds a replay, which must not write to the topics of {run.scope}. Make it "
            "live with: oncue promote, or give another --state"
        )
    swap.check_settled(directory.root)
    if peer and not directory.await_made(PATIENCE):
        raise StateError(
            f"{directory.root} was not made within {PATIENCE:.0f} s, which peer 0 does: does it run, and is "
            "this the same volume?"
        )
    directory.open(run.fixed, prepare_recovery)
    directory.lock(peer)
    _check_identifiers(run)
    _check_history(run)
    reach.tell(run)


def _check_identifiers(run: Run) -> None:
    """Whether the identities that are kept are still right. Raises StateError."""
    made_with = run.directory.remembered()
    wrong = differences(linking(made_with), linking(run.text)) if made_with else []
    if wrong:
        raise StateError(
            f"the identities in {run.directory.root} were resolved with other identifiers: "
            f"{'; '.join(wrong)}. Use the old identifiers, or give the playbook another scope, whose topics "
            "and identities begin anew. Any other change of the playbook is fine"
        )


def _check_history(run: Run) -> None:
    """A history with a gap would say something wrong. Raises StateError."""
    kept = history_folders(run.directory.root)
    if kept and not run.playbook.history:
        raise StateError(
            f"{run.directory.root} holds a history, but the playbook has no section history any more: what "
            "happens now would be missing in it. Put the section back, or give the history up: delete "
            f"{kept[0].with_name('history-*')}"
        )


def prepare_recovery(folder: Path) -> None:
    init_db_dir(folder, RECOVERY_PARTITIONS)
