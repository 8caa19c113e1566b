"""Processors that know nothing of Lacuna but the contract: the tests run this in a process of its own.

    python processors.py BROKERS TASKS_PREFIX ID=CHARACTER [ID=CHARACTER …]

Characters: fast, slow (answers 50 ms later), flaky (every third attempt fails), not_found, accepted_first,
fails_once. Every answer brings evidence. One line a task goes to stdout: what was asked of whom.
"""

import json
import sys
import time

from confluent_kafka import Consumer, Producer


def answers(character, task):
    """What this processor answers to one attempt: outcomes, in their order."""
    attempt = task["attempt"]
    if character == "not_found":
        return ["not_found"]
    if character == "accepted_first":
        return ["accepted", "erased"]
    if character == "fails_once" and attempt == 1:
        return ["failed"]
    if character == "flaky" and (int(task["task_id"][-2:], 16) + attempt) % 3 == 0:
        return ["failed"]
    return ["erased"]


def ack(task, outcome):
    body = {name: task[name] for name in ("request_id", "task_id", "generation", "attempt", "processor")}
    body["token"] = task["ack"]["token"]
    body["outcome"] = outcome
    if outcome == "erased":
        body["evidence"] = {"method": "delete", "records": 3, "reference": "job-" + task["task_id"][:8]}
    return json.dumps(body)


def main():
    brokers, prefix, *pairs = sys.argv[1:]
    characters = dict(pair.split("=") for pair in pairs)
    consumer = Consumer({
        "bootstrap.servers": brokers,
        "group.id": prefix + "processors",
        "auto.offset.reset": "earliest",
    })
    consumer.subscribe([prefix + processor for processor in characters])
    producer = Producer({"bootstrap.servers": brokers, "linger.ms": 5})
    late = []
    while True:
        message = consumer.poll(0.02)
        if message is not None and not message.error():
            task = json.loads(message.value())
            print(json.dumps({name: task[name] for name in ("task_id", "request_id", "processor", "generation",
                                                             "attempt", "action", "identities")}), flush=True)
            due = time.monotonic() + (0.05 if characters[task["processor"]] == "slow" else 0)
            late += [(due, task, outcome) for outcome in answers(characters[task["processor"]], task)]
        now = time.monotonic()
        for _, task, outcome in [entry for entry in late if entry[0] <= now]:
            producer.produce(task["ack"]["topic"], ack(task, outcome), key=task["request_id"])
        late = [entry for entry in late if entry[0] > now]
        producer.poll(0)


if __name__ == "__main__":
    main()
