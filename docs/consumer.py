"""Acts on triggers: python docs/consumer.py HOST:PORT shop.triggers"""

import json
import sys

from confluent_kafka import Consumer

group = {"group.id": "mailer", "isolation.level": "read_committed", "auto.offset.reset": "earliest"}
consumer = Consumer({"bootstrap.servers": sys.argv[1], **group})
consumer.subscribe([sys.argv[2]])
while True:
    record = consumer.poll(1)
    if record is not None and record.error() is None:
        about, body = dict(record.headers()), json.loads(record.value())
        if about["ce_type"].startswith(b"oncue.trigger-cancelled."):
            print("do not send", body["trigger"], "because", body["reason"], flush=True)
        elif about["ce_type"].startswith(b"oncue.trigger."):
            print("send", about["ce_id"].decode(), "by", body["channel"], "to", body["customer"], flush=True)
