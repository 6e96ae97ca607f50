"""A real Apache Kafka broker on this machine: one node in KRaft mode, reachable from 127.0.0.1 only.

    python deploy/kafka/broker.py [--data DIR] [--port N]

prints its address on one line when it answers, and runs until a signal comes, its parent ends, or the
pipe on its standard input is closed. The jars are Kafka's published Maven artifacts (`pom.xml` names
the version); they are gathered into `target/lib` once. Without `--data` everything it wrote is removed.

It is set up for tests: nothing is replicated, nothing is flushed by force, internal topics have few
partitions, topics must be created before use.
"""

import argparse
import base64
import fcntl
import hashlib
import os
import random
import re
import select
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

HERE = Path(__file__).resolve().parent
POM = HERE / "pom.xml"
LIB = HERE / "target" / "lib"
STAMP = LIB / "gathered-from"
FORMATTED = LIB.parent / "formatted"
CLASSES = LIB.parent / "classes.jsa"

JAVA_VERSION = 17  # what Kafka 4 brokers ask for
CLUSTER = base64.urlsafe_b64encode(b"oncue-test-kafka").decode().rstrip("=")
JVM = ["-Xms64m", "-Xmx512m", "-XX:+UseSerialGC", "-XX:-UsePerfData", "-Djava.awt.headless=true"]
# Less thorough compiling is right for a program that runs for minutes (measured: a start 4.1 instead of 7.3 s
# of CPU, and a third of a broker's whole life in the crash tests).
BRIEF = ["-XX:TieredStopAtLevel=1"]
STOPPING = 60.0  # seconds that an end in good order may take on a busy machine

PROPERTIES = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
controller.listener.names=CONTROLLER
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}
log.dirs={data}
auto.create.topics.enable=false
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
# It talks to nobody but itself, and a machine that stands still for a while is no reason to shut it out.
broker.session.timeout.ms=30000
broker.heartbeat.interval.ms=2000
# No record every half a second that says nothing. With them and five heartbeats a second it took 0.035 of a
# core when idle, like this 0.013.
metadata.max.idle.interval.ms=0
offsets.topic.num.partitions=2
offsets.topic.replication.factor=1
transaction.state.log.num.partitions=2
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.abort.timed.out.transaction.cleanup.interval.ms=500
share.coordinator.state.topic.num.partitions=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
log.cleaner.dedupe.buffer.size=4194304
num.network.threads=2
num.io.threads=4
"""
# A killed broker is let back in when its old session has run out.
KILLED = """\
broker.session.timeout.ms=2000
broker.heartbeat.interval.ms=200
"""


class Unavailable(RuntimeError):
    """This machine cannot run the broker; the message says in one line what it lacks."""


class KafkaBroker:
    """A broker process and its data.

    `start` and `stop` are the whole life of it; `stop` removes the data unless a folder was given.
    In between, `kill`, `restart`, `pause` and `resume` are what operators and outages do to it: port
    and data stay the same.

    Parameters
    ----------
    data
        A folder to keep; a temporary one by default.
    port
        A free one by default.
    brief
        It will not live long: start quickly rather than become fast.
    killed
        It will be, and should be back soon.
    """

    def __init__(
        self, data: Path | None = None, port: int | None = None, brief: bool = False, killed: bool = False
    ) -> None:
        self._brief = brief
        self._killed = killed
        self._options: list[str] = []
        self.port = port or free_port()
        self.bootstrap = f"127.0.0.1:{self.port}"
        self.folder = data
        self._temporary = data is None
        self._process: subprocess.Popen[bytes] | None = None
        self._line: int | None = None

    def start(self) -> None:
        """Gather the jars if need be, format the storage of a new folder, run until it answers."""
        reason = missing()
        if reason:
            raise Unavailable(reason)
        gather()
        if self._brief:
            self._options = [*BRIEF, *_shared_classes()]
        try:
            if self.folder is None:
                self.folder = Path(tempfile.mkdtemp(prefix="oncue-kafka-"))
            self._configure(self.folder)
            self._launch(self.folder)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End the process in good order; remove the temporary folder."""
        self._end(signal.SIGTERM)
        if self._temporary and self.folder is not None:
            shutil.rmtree(self.folder, ignore_errors=True)
            self.folder = None

    def kill(self) -> None:
        """End the process as a power cut would; the data stays for `restart`."""
        self._end(signal.SIGKILL)

    def restart(self) -> None:
        """End the process in good order if it runs, and run it again on the same port and data."""
        if self.folder is None:
            raise RuntimeError("restart of a broker that was never started or is stopped for good")
        self._end(signal.SIGTERM)
        self._launch(self.folder)

    def pause(self) -> None:
        """Freeze the process: connections stay open and nothing answers."""
        self._signal(signal.SIGSTOP)
        if self._process is not None:  # a busy machine takes its time
            os.waitid(os.P_PID, self._process.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)

    def resume(self) -> None:
        self._signal(signal.SIGCONT)

    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def log(self, lines: int = 15) -> str:
        """The newest warnings and console lines, for error messages."""
        if self.folder is None:
            return ""
        texts = [f.read_text(errors="replace") for f in _logs(self.folder) if f.exists()]
        return "\n".join("\n".join(texts).splitlines()[-lines:])

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _configure(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        data = folder.resolve() / "data"
        properties = folder / "server.properties"
        properties.write_text(self._properties(port=self.port, controller=free_port(), data=data))
        if (data / "meta.properties").exists():
            return
        shutil.copytree(_formatted(), data, dirs_exist_ok=True)

    def _properties(self, **places: object) -> str:
        return PROPERTIES.format(**places) + (KILLED if self._killed else "")

    def _launch(self, folder: Path) -> None:
        command = _java(folder, self._options, ["kafka.Kafka", str(folder / "server.properties")])
        removable = str(folder) if self._temporary else ""
        end, self._line = os.pipe()
        with open(_logs(folder)[1], "ab") as console:
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-S", str(HERE / "tether.py"), str(end), removable, *command],
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=console,
                pass_fds=(end,),
                start_new_session=True,  # Ctrl-C is for us; we then stop it in good order
            )
        os.close(end)
        self._await(timeout=180.0)

    def _await(self, timeout: float) -> None:
        """Return when the broker lists itself as alive, which it does once it takes requests."""
        deadline = time.monotonic() + timeout
        client: AdminClient | None = None
        while time.monotonic() < deadline:
            if not self.running():
                raise RuntimeError(f"the Kafka broker ended while starting:\n{self.log()}")
            try:
                if client is None:
                    # librdkafka complains and backs off when refused: let the port open first.
                    socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
                    client = AdminClient({"bootstrap.servers": self.bootstrap, "log_level": 0})
                if client.list_topics(timeout=1).brokers:
                    return
            except (OSError, KafkaException):
                pass
            time.sleep(0.05)
        raise RuntimeError(f"the Kafka broker did not answer within {timeout:.0f} s:\n{self.log()}")

    def _signal(self, number: signal.Signals) -> None:
        if self._process is None:
            raise RuntimeError("the Kafka broker does not run")
        self._process.send_signal(number)

    def _end(self, number: signal.Signals) -> None:
        if self._process is None:
            return
        self._process.send_signal(number)
        self._process.send_signal(signal.SIGCONT)  # a paused process would not notice
        try:
            self._process.wait(timeout=STOPPING)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None
        if self._line is not None:
            os.close(self._line)
            self._line = None


def missing() -> str | None:
    """Why the broker cannot run here, in one line; None when it can."""
    java = _java_program()
    if java is None:
        return f"the Kafka broker needs Java {JAVA_VERSION} or later: none on PATH or in JAVA_HOME"
    told = subprocess.run([java, "-version"], capture_output=True, text=True, check=False).stderr
    found = re.search(r'version "(\d+)', told)
    if found is None or int(found[1]) < JAVA_VERSION:
        return f"the Kafka broker needs Java {JAVA_VERSION} or later: {java} is {found[1] if found else '?'}"
    if not _gathered() and shutil.which("mvn") is None:
        return "the Kafka broker's jars are fetched with Maven: no mvn on PATH"
    return None


def gather() -> None:
    """Fetch the broker's jars into `target/lib`, unless this pom's are there."""
    with _alone():
        if _gathered():
            return
        shutil.rmtree(LIB, ignore_errors=True)
        shutil.rmtree(FORMATTED, ignore_errors=True)
        CLASSES.unlink(missing_ok=True)
        done = subprocess.run(
            ["mvn", "-q", "-B", "-Dstyle.color=never", "-f", str(POM), "dependency:copy-dependencies"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            said = (done.stdout + done.stderr).strip() or "no message"
            raise Unavailable(f"Maven could not fetch the Kafka broker's jars: {said.splitlines()[0]}")
        STAMP.write_text(_pom_digest())


def _formatted() -> Path:
    """Storage as Kafka's tool formats it. That takes a JVM and more than a second, so it is done once."""
    with _alone():
        if not FORMATTED.exists():
            with tempfile.TemporaryDirectory(dir=LIB.parent) as name:
                folder = Path(name)
                data, properties = folder / "data", folder / "server.properties"
                properties.write_text(PROPERTIES.format(port=1, controller=2, data=data))
                tool = ["kafka.tools.StorageTool", "format", "-t", CLUSTER, "-c", str(properties)]
                done = subprocess.run(_java(folder, BRIEF, tool), capture_output=True, text=True, check=False)
                if done.returncode:
                    raise RuntimeError(f"Kafka could not format {data}:\n{done.stdout}{done.stderr}")
                data.rename(FORMATTED)
    return FORMATTED


def _shared_classes() -> list[str]:
    """Options with which the JVM maps Kafka's classes from a file instead of loading each (measured: a start
    takes 2.1 instead of 4.7 s of CPU). A broker that runs for nothing else writes it once, when it ends."""
    with _alone("classes.lock"):
        if not CLASSES.exists():
            writer = KafkaBroker()
            writer._options = [*BRIEF, f"-XX:ArchiveClassesAtExit={CLASSES.resolve()}"]
            with writer:
                pass
            CLASSES.touch()  # also where this JVM writes none: with an empty file it does without
    return [f"-XX:SharedArchiveFile={CLASSES.resolve()}"]


@contextmanager
def _alone(lock: str = "lock") -> Iterator[None]:
    """Two test sessions may start together."""
    LIB.parent.mkdir(exist_ok=True)
    with open(LIB.parent / lock, "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def free_port() -> int:
    """A port nobody listens on, below those the kernel hands to outgoing connections.

    A client that keeps trying a port of the kernel's own range while the broker is down can be given
    that very port, and then it talks to itself and keeps the broker from coming back.
    """
    for port in random.sample(range(20_000, 32_000), 100):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise RuntimeError("no free port between 20000 and 32000")


def _gathered() -> bool:
    return STAMP.exists() and STAMP.read_text() == _pom_digest()


def _pom_digest() -> str:
    return hashlib.sha256(POM.read_bytes()).hexdigest()


def _java_program() -> str | None:
    home = os.environ.get("JAVA_HOME")
    return shutil.which(f"{home}/bin/java" if home else "java") or shutil.which("java")


def _java(folder: Path, options: list[str], program: list[str]) -> list[str]:
    settings = [f"-Dlog4j2.configurationFile={HERE / 'log4j2.xml'}", f"-Dbroker.log={_logs(folder)[0]}"]
    return [_java_program() or "java", *JVM, *options, *settings, "-cp", f"{LIB.resolve()}/*", *program]


def _logs(folder: Path) -> tuple[Path, Path]:
    """Where warnings go, and where whatever the JVM itself prints goes."""
    return folder / "broker.log", folder / "console.log"


def run(broker: KafkaBroker, address: Callable[[], str]) -> None:
    """Start it, print its address, and stop it when nobody wants it any more."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: sys.exit(0))
    try:
        with broker:
            print(address(), flush=True)
            _serve(broker)
            if not broker.running():
                sys.exit(f"the Kafka broker ended:\n{broker.log()}")
    except RuntimeError as error:
        sys.exit(str(error))


def _serve(broker: KafkaBroker) -> None:
    """Return when nobody wants the broker any more, or when it has ended."""
    parent = os.getppid()
    mode = os.fstat(0).st_mode
    piped = stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)
    while broker.running() and os.getppid() == parent:
        if select.select([0] if piped else [], [], [], 0.5)[0] and not os.read(0, 65536):
            return


def main() -> None:
    parser = argparse.ArgumentParser(description="Run an Apache Kafka broker for tests on 127.0.0.1.")
    parser.add_argument("--data", type=Path, metavar="DIR", help="keep the data here (default: temporary)")
    parser.add_argument("--port", type=int, metavar="N", help="listen here (default: a free port)")
    chosen = parser.parse_args()
    broker = KafkaBroker(chosen.data, chosen.port)
    run(broker, lambda: broker.bootstrap)


if __name__ == "__main__":
    main()
