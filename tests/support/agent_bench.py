"""How fast a worker, an agent and a database erase people together, and how far a standby of the database lags meanwhile.

It starts a PostgreSQL of its own with a standby (pg_basebackup of the same server), fills a table of customers and three tables that belong
to it, starts a worker whose lane is asked by an agent over HTTP, writes the commands to Kafka, and waits until every request is completed.
Everything that it made goes away in the end.

    tests/run --services                                     # prints where Kafka is
    python3 tests/support/agent_bench.py --lacuna target/release/lacuna --kafka 127.0.0.1:9092 \\
        --people 5000000 --subjects 50000 --standby

With `--rows N` it measures one person who has N rows instead, with the longest transaction. It needs confluent-kafka of PyPI.
"""

import argparse
import contextlib
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
import urllib.error
import urllib.request
import uuid

REGISTRY = """
[[processor]]
id = "shop-db"
kind = "hosting"
transport = { type = "agent" }
actions = ["erase"]
identities = ["email"]
"""

TABLES = """
[[sql.table]]
name = "customers"
match = { email = "email" }
action = "delete"
""" + "".join(
    f"""
[[sql.table]]
name = "{name}"
through = {{ parent = "customers", column = "customer_id", parent_column = "id" }}
action = "delete"
"""
    for name in ("orders", "addresses", "logins")
)


def free_port():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


class Bench:
    def __init__(self, arguments, folder):
        self.arguments = arguments
        self.folder = pathlib.Path(folder)
        self.children = []
        self.bin = arguments.postgres_bin or newest_postgres()
        self.port, self.standby_port, self.http = free_port(), free_port(), free_port()
        self.url = f"postgres://lacuna@127.0.0.1:{self.port}/postgres"
        self.lags = []
        self.longest = 0.0
        self.over = threading.Event()

    def as_postgres(self, command, wait=True):
        """The server refuses to run as root."""
        if os.geteuid() == 0:
            command = ["setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups", *command]
        if wait:
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd=self.folder)
        else:
            log = open(self.folder / "postgres.log", "a")
            self.children.append(subprocess.Popen(command, stdout=log, stderr=log, cwd=self.folder))

    def psql(self, statement, port=None):
        command = [f"{self.bin}/psql", "-h", "127.0.0.1", "-p", str(port or self.port), "-U", "lacuna", "-At", "-q"]
        done = subprocess.run([*command, "-v", "ON_ERROR_STOP=1", "-c", statement, "postgres"], check=True, capture_output=True, text=True)
        return done.stdout.strip()

    def wait_for(self, what, look, within=600):
        until = time.monotonic() + within
        while time.monotonic() < until:
            with contextlib.suppress(subprocess.CalledProcessError, urllib.error.URLError, ConnectionError):
                found = look()
                if found:
                    return found
            time.sleep(0.1)
        raise SystemExit(f"gave up: {what}")

    def start_postgres(self):
        data = self.folder / "primary"
        self.as_postgres([f"{self.bin}/initdb", "-D", str(data), "-U", "lacuna", "--auth=trust", "--encoding=UTF8", "--no-sync"])
        with open(data / "postgresql.conf", "a") as settings:
            settings.write(
                "listen_addresses = '127.0.0.1'\nunix_socket_directories = ''\nshared_buffers = 512MB\nmax_wal_size = 8GB\n"
                "wal_compression = lz4\nmax_connections = 100\nwal_level = replica\ntrack_commit_timestamp = on\n"
            )
        self.as_postgres([f"{self.bin}/postgres", "-D", str(data), "-p", str(self.port)], wait=False)
        self.wait_for("PostgreSQL answers", lambda: self.psql("select 1"))

    def start_standby(self):
        data = self.folder / "standby"
        self.as_postgres(
            [f"{self.bin}/pg_basebackup", "-h", "127.0.0.1", "-p", str(self.port), "-U", "lacuna", "-D", str(data), "-R", "-c", "fast", "--no-sync"]
        )
        self.as_postgres([f"{self.bin}/postgres", "-D", str(data), "-p", str(self.standby_port)], wait=False)
        self.wait_for("the standby streams", lambda: self.psql("select 1 from pg_stat_replication where state = 'streaming'"))

    def fill(self):
        people, rows = self.arguments.people, self.arguments.rows
        self.psql(
            "create table customers (id bigint primary key, email text not null, name text);"
            f"insert into customers select n, 'p' || n || '@example.org', 'Person ' || n from generate_series(1, {people}) n;"
            "create index on customers (email)"
        )
        for child in ("orders", "addresses", "logins"):
            owner = "n" if not rows or child != "orders" else "1"
            count = people if not rows or child != "orders" else rows
            self.psql(
                f"create table {child} (id bigserial primary key, customer_id bigint not null references customers (id), what text);"
                f"insert into {child} (customer_id, what) select {owner}, 'something' from generate_series(1, {count}) n;"
                f"create index on {child} (customer_id)"
            )
        self.psql("vacuum analyze")
        self.psql("checkpoint")

    def lacuna(self, *arguments, wait=True):
        command = [self.arguments.lacuna, *arguments]
        if wait:
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd=self.folder)
        else:
            log = open(self.folder / f"{arguments[0]}.log", "w")
            self.children.append(subprocess.Popen(command, stdout=log, stderr=log, cwd=self.folder))

    def start_worker(self):
        tag = f"lacuna_bench_{uuid.uuid4().hex[:8]}"
        self.commands = f"{tag}.commands"
        names = ("commands", "control", "acks", "backups", "status")
        topics = ", ".join(f'{name} = "{tag}.{name}"' for name in names)
        self.psql("create schema worker")
        (self.folder / "processors.toml").write_text(REGISTRY)
        (self.folder / "lacuna.toml").write_text(
            f'[kafka]\nbootstrap_servers = "{self.arguments.kafka}"\ngroup_id = "{tag}"\n'
            f'topics = {{ {topics}, dead_letters = "{tag}.dead-letters", tasks_prefix = "{tag}.tasks." }}\n'
            f'[store]\nurl = "{self.url}?options=-csearch_path%3Dworker"\n[http]\nlisten = "127.0.0.1:{self.http}"\n'
        )
        (self.folder / "agent.toml").write_text(
            f'processor = "shop-db"\n[source]\nhttp = {{ url = "http://127.0.0.1:{self.http}" }}\n'
            f'[sql]\nurl = "{self.url}"\n{TABLES}'
        )
        for step in (["keys", "init"], ["migrate"], ["topics", "create"]):
            self.lacuna(*step)
        self.lacuna("serve", wait=False)
        self.wait_for("the worker is ready", lambda: self.get("/readyz"))

    def get(self, path):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.http}{path}") as answer:
            return answer.read().decode()

    def completed(self):
        for line in self.get("/metrics").splitlines():
            if line.startswith('lacuna_requests{status="completed"}'):
                return int(float(line.split()[-1]))
        return 0

    def submit(self, people):
        from confluent_kafka import Producer

        producer = Producer({"bootstrap.servers": self.arguments.kafka, "linger.ms": 20})
        for person in people:
            command = {
                "command_id": str(uuid.uuid4()),
                "type": "erase",
                "reason": "account_closed",
                "subject": {"identities": [{"type": "email", "value": f"p{person}@example.org"}]},
            }
            while True:
                try:
                    producer.produce(self.commands, key=command["command_id"], value=json.dumps(command))
                    break
                except BufferError:
                    producer.poll(0.1)
            producer.poll(0)
        producer.flush()

    def watch(self):
        """How far the standby is behind, and how long the agent's transactions are open."""
        while not self.over.wait(0.2):
            with contextlib.suppress(subprocess.CalledProcessError):
                lag = self.psql("select coalesce(max(extract(epoch from replay_lag)), 0) from pg_stat_replication")
                self.lags.append(float(lag))
                age = self.psql(
                    "select coalesce(max(extract(epoch from clock_timestamp() - xact_start)), 0) from pg_stat_activity "
                    "where application_name = 'lacuna-agent' and xact_start is not null"
                )
                self.longest = max(self.longest, float(age))

    def measure(self):
        self.start_postgres()
        self.fill()
        if self.arguments.standby:
            self.start_standby()
        self.start_worker()
        subjects = 1 if self.arguments.rows else self.arguments.subjects
        step = max(1, self.arguments.people // subjects)
        watching = threading.Thread(target=self.watch)
        watching.start()
        began = time.monotonic()
        self.lacuna("agent", wait=False)
        self.submit(n * step + 1 for n in range(subjects))
        self.wait_for("every request is completed", lambda: self.completed() >= subjects, within=1800)
        seconds = time.monotonic() - began
        self.over.set()
        watching.join()
        left = self.psql("select (select count(*) from customers), (select count(*) from orders)")
        print(
            json.dumps(
                {
                    "people": self.arguments.people,
                    "subjects": subjects,
                    "rows_of_one": self.arguments.rows,
                    "seconds": round(seconds, 1),
                    "per_second": round(subjects / seconds),
                    "longest_transaction_seconds": round(self.longest, 3),
                    "standby_lag_seconds_most": round(max(self.lags, default=0), 3) if self.arguments.standby else None,
                    "left": left,
                }
            )
        )

    def end(self):
        self.over.set()
        for child in reversed(self.children):
            child.send_signal(signal.SIGINT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.wait(20)
            child.kill()


def newest_postgres():
    found = sorted(pathlib.Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
    if found:
        return str(found[-1])
    return os.path.dirname(shutil.which("postgres") or "")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--lacuna", required=True, type=os.path.abspath)
    parser.add_argument("--kafka", required=True)
    parser.add_argument("--people", type=int, default=5_000_000)
    parser.add_argument("--subjects", type=int, default=50_000)
    parser.add_argument("--rows", type=int, default=0)
    parser.add_argument("--standby", action="store_true")
    parser.add_argument("--postgres-bin")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="lacuna-bench-") as folder:
        if os.geteuid() == 0:
            shutil.chown(folder, "postgres", "postgres")
        bench = Bench(arguments, folder)
        try:
            bench.measure()
        finally:
            bench.end()


if __name__ == "__main__":
    main()
