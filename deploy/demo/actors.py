"""Who takes part in the demonstration: the daemon with its private PostgreSQL, and the application's instances."""

import json
import os
import re
import select
import signal
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path


class Failed(Exception):
    """Something that must hold does not."""


def start(command: list, log: Path, environment: dict | None = None) -> subprocess.Popen:
    """In a session of its own, so that Ctrl-C reaches only us, who stop everybody in order; ends when we die."""
    with log.open("ab") as errors:
        return subprocess.Popen(
            ["setpriv", "--pdeathsig", "TERM", *map(str, command)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            env=os.environ | (environment or {}),
            start_new_session=True,
            bufsize=0,
        )


def first_line(process: subprocess.Popen, who: str, timeout: float) -> str:
    if not select.select([process.stdout], [], [], timeout)[0]:
        raise Failed(f"{who} was not ready after {timeout:.0f} s")
    line = process.stdout.readline().decode().strip()
    if not line:
        raise Failed(f"{who} ended with status {process.wait()} before it was ready")
    return line


def stop(process: subprocess.Popen, timeout: float) -> float:
    """The seconds it took; Failed, after killing it, when that was too long."""
    begin = time.monotonic()
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(timeout)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        raise Failed(f"{process.args[3]} did not stop within {timeout:.0f} s of SIGTERM") from None
    return time.monotonic() - begin


def alive(pid: int) -> bool:
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return status.rpartition(")")[2].split()[0] != "Z"


class Daemon:
    """diastoled --dev with its command line, its API and its database."""

    STOPS_WITHIN_S = 10

    def __init__(self, build: Path, directory: Path):
        self.log = directory / "diastoled.log"
        self._client = build / "src" / "diastole"
        self._data = directory / "data"
        options = ["--dev", "--data", self._data, "--listen", "127.0.0.1:0"]
        options += ["--heartbeat", "1s", "--suspect-after", "4s"]
        self.process = start([build / "src" / "diastoled", *options], self.log)
        self.url = self.dsn = ""
        self.postgres_pids: list[int] = []

    def wait_ready(self) -> None:
        line = first_line(self.process, "diastoled", 60)
        ready = re.fullmatch(r"diastoled ready: (http://\S+)\s+target main: (.+)", line)
        if not ready:
            raise Failed(f"diastoled said {line!r} instead of that it is ready")
        self.url, self.dsn = ready.groups()
        self.postgres_pids = self._running_postgres()

    def _running_postgres(self) -> list[int]:
        return [int(file.read_text().split()[0]) for file in self._data.rglob("postmaster.pid")]

    def get(self, path: str) -> dict:
        try:
            with urllib.request.urlopen(self.url + path, timeout=10) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            raise Failed(f"GET {path}: {error.code} {error.read().decode()}") from None
        except OSError as error:
            raise Failed(f"GET {path}: {error}") from None

    def command(self, *arguments: str) -> str:
        """What the command line prints."""
        done = subprocess.run(
            [self._client, "--server", self.url, *arguments], capture_output=True, text=True, timeout=30, check=False
        )
        if done.returncode != 0:
            raise Failed(f"diastole {' '.join(arguments)}: status {done.returncode}: {done.stdout}{done.stderr}")
        return done.stdout.strip()

    def sql(self, text: str) -> str:
        done = subprocess.run(
            ["psql", self.dsn, "-XAtq", "-v", "ON_ERROR_STOP=1", "-c", text],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        if done.returncode != 0:
            raise Failed(f"psql: {done.stderr}")
        return done.stdout.strip("\n")

    def stop(self) -> float:
        return stop(self.process, self.STOPS_WITHIN_S)

    def clean_up(self) -> None:
        """After a failure: nothing that this daemon started may stay behind."""
        if self.process.poll() is None:
            try:
                self.stop()
            except Failed:  # it had to be killed, its PostgreSQL goes on
                for pid in filter(alive, self._running_postgres()):
                    os.kill(pid, signal.SIGINT)


class Instance:
    """One process of the application."""

    def __init__(self, build: Path, directory: Path, daemon: Daemon, name: str, version: str, slot: int, slots: int,
                 rows: int, rate: int):  # fmt: skip
        self.name, self.version, self.slot = name, version, slot
        self._journal = directory / name
        command = [build / "deploy" / "demo" / "demo_app", "--version", version, "--instance", name, "--slot", slot]
        command += ["--slots", slots, "--rows", rows, "--rate", rate]
        command += ["--daemon", daemon.url, "--journal", self._journal]
        self.log = directory / f"{name}.log"
        self.process = start(command, self.log, {"DEMO_DSN": daemon.dsn})
        self.summary = ""

    def wait_ready(self) -> None:
        if first_line(self.process, self.name, 20) != "ready":
            raise Failed(f"{self.name} is not ready")

    def stop(self) -> None:
        stop(self.process, 10)
        self.summary = self.process.stdout.read().decode().strip()

    @property
    def latency_file(self) -> Path:
        return self._journal.with_name(self.name + ".latency")

    def errors(self) -> str:
        journal = self._journal.with_name(self.name + ".errors")
        return "\n".join(file.read_text().strip() for file in (journal, self.log) if file.exists()).strip()

    def writes(self) -> list[tuple[str, str, str]]:
        """Acknowledged ones: insert or update, id, value."""
        text = self._journal.with_name(self.name + ".acks").read_text()
        return [tuple(line.split(" ", 2)) for line in text.splitlines()]
