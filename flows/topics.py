"""Making a scope's topics, and end-of-input for bounded runs."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient, ClusterMetadata, ConfigResource, NewTopic

from flows import kafka
from flows.kafka import SOON, KafkaTrouble
from operators.playbook import Playbook
from schemas import topics


def wanted(playbook: Playbook, partitions: int) -> list[NewTopic]:
    """Every topic of a scope; `partitions` is for the channels' ones."""
    scope = playbook.scope
    found = [
        NewTopic(playbook.reference[it.name], 1, config=it.settings)  # one: what is said is in order
        for it in topics.REFERENCE
        if it.name in playbook.reference
    ]
    found += [NewTopic(topic, partitions) for topic in sorted(set(playbook.topics.values()))]
    found += written(scope, playbook.engine.partitions, playbook.outputs)
    if playbook.foretold:
        found += [NewTopic(topics.learning(scope, it.name), 1, config=it.settings) for it in topics.LEARNING]
    return found


def written(space: str, partitions: int, codes: Iterable[int]) -> list[NewTopic]:
    """The topics that a run writes in its space: outputs by their codes, and `order`."""
    found = [
        NewTopic(topics.output(space, code), 1 if it.single else partitions, config=it.settings)
        for code, it in enumerate(topics.OUTPUTS)
        if code in codes
    ]
    return [*found, NewTopic(topics.order(space), 1, config=topics.ORDER_SETTINGS)]


def create(playbook: Playbook, brokers: str, partitions: int = 4, replication: int = -1) -> list[str]:
    """Make what a scope lacks; the names of the topics that were made. Raises KafkaTrouble.

    `replication` -1 leaves it to the broker's default.
    """
    return make(wanted(playbook, partitions), brokers, replication)


def make(new: list[NewTopic], brokers: str, replication: int = -1) -> list[str]:
    """Make those that are missing; their names."""
    admin = kafka.admin(brokers)
    made, wrong = [], []
    for topic in new:
        topic.replication_factor = replication
    cluster = _cluster(admin, brokers)
    missing = [topic for topic in new if topic.topic not in cluster.topics]
    if not missing:
        return []
    if cluster.controller_id not in cluster.brokers:
        return _touch(brokers, [topic.topic for topic in missing])
    for name, future in admin.create_topics(missing, request_timeout=SOON).items():
        try:
            future.result()
            made.append(name)
        except KafkaException as error:
            if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                wrong.append(f"{name}: {error.args[0].str()}")
    if wrong:
        raise KafkaTrouble(f"cannot make topics on {brokers}: {'; '.join(wrong)}")
    _await(admin, brokers, made)
    return made


def _await(admin: AdminClient, brokers: str, names: list[str]) -> None:
    """A topic is made when the controller has it; the brokers that clients ask hear of it a moment later."""
    until = time.monotonic() + SOON
    while True:
        known = _cluster(admin, brokers).topics
        late = [name for name in names if name not in known or known[name].error is not None]
        if not late:
            return
        if time.monotonic() > until:
            raise KafkaTrouble(
                f"{', '.join(late)}: made on {brokers}, but not there after {SOON:.0f} s. Try again when "
                "the cluster has settled; what is there is left as it is"
            )
        time.sleep(0.05)


def remove(names: list[str], brokers: str) -> dict[str, str]:
    """Remove topics; those that are still there, and why. The embedded broker can remove nothing."""
    admin = kafka.admin(brokers)
    cluster = _cluster(admin, brokers)
    there = [name for name in names if name in cluster.topics]
    if not there or cluster.controller_id not in cluster.brokers:
        return {}
    left = {}
    for name, future in admin.delete_topics(there, request_timeout=SOON).items():
        try:
            future.result()
        except KafkaException as error:
            left[name] = error.args[0].str()
    return left


def differing(playbook: Playbook, brokers: str) -> list[str]:
    """Settings of topics that are there and not as a new topic would get them, in words. They are left as
    they are: somebody may have meant them. Raises KafkaTrouble."""
    admin = kafka.admin(brokers)
    cluster = _cluster(admin, brokers)
    if cluster.controller_id not in cluster.brokers:
        return []  # the embedded broker has no settings
    asked = {
        ConfigResource(ConfigResource.Type.TOPIC, topic.topic): topic.config
        for topic in wanted(playbook, 1)
        if topic.config and topic.topic in cluster.topics
    }
    found = []
    for resource, future in admin.describe_configs(list(asked), request_timeout=SOON).items():
        try:
            settings = future.result()
        except KafkaException as error:
            raise KafkaTrouble(
                f"cannot read the settings of {resource.name}: {error.args[0].str()}"
            ) from None
        found += [
            f"{resource.name} has {name}={settings[name].value}; a new one would get {value}"
            for name, value in asked[resource].items()
            if settings[name].value != value
        ]
    return sorted(found)


def finish(playbook: Playbook, brokers: str) -> dict[str, int]:
    """Tell the scope that its input ends where the topics end now; the ends by topic/partition."""
    client = kafka.consumer(brokers, "oncue-finish")
    producer = kafka.producer(brokers)
    try:
        counts = kafka.partitions(client, playbook.inputs, brokers)
        ends = {
            kafka.show((topic, p)): kafka.bounds(client, (topic, p))[1]
            for topic, count in counts.items()
            for p in range(count)
        }
    finally:
        client.close()
    control = topics.output(playbook.scope, topics.CONTROL)
    producer.produce(control, json.dumps(ends).encode(), key=b"end", partition=0)
    if producer.flush(SOON):
        raise KafkaTrouble(f"{control} did not take the command within {SOON:.0f} s")
    return ends


def _cluster(admin: AdminClient, brokers: str) -> ClusterMetadata:
    try:
        return admin.list_topics(timeout=SOON)
    except KafkaException as error:
        raise kafka.away(brokers, error) from None


def _touch(brokers: str, names: list[str]) -> list[str]:
    """The embedded broker has no controller to make topics; it makes what a producer asks for."""
    producer = kafka.producer(brokers)
    for name in names:
        producer.list_topics(name, timeout=SOON)
    return names
