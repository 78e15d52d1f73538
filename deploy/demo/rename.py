#!/usr/bin/python3 -B
"""Renames users.name to users.display_name under load, while the application goes through three releases, and checks
that nobody noticed. Exit status 0 only if everything that is checked holds."""

import argparse
import shutil
import signal
import sys
import tempfile
import time
from datetime import datetime
from pathlib import Path

from actors import Daemon, Failed, Instance
from checks import Checks
from narration import Waiting, describe, heading, say

PLAN_FILE = Path(__file__).resolve().with_name("rename.yaml")
INSTANCES = 3
STAGES = ["accepted", "expanding", "expanded", "backfilling", "backfilled", "contracting", "completed"]
BASELINE_S = 12
LIMIT_S = 180


class Rename:
    def __init__(self, options: argparse.Namespace, directory: Path):
        self.options = options
        self.directory = directory
        self.daemon: Daemon | None = None
        self.plan_id: str | None = None
        self.plan: dict = {}
        self.instances: list[Instance] = []  # all that ever ran
        self.running: list[Instance] = []
        self.spans: dict[str, list[float]] = {}  # when what went on, in seconds since the epoch
        self._event = 0
        self._waiting = Waiting()

    # The play.

    def run(self) -> bool:
        self.prepare()
        self.measure_baseline()
        self.submit()
        self.begin("migration")
        self.follow("expanded")
        self.deploy("2.0.0", "writes both columns, reads display_name and falls back to name")
        heading("Backfill: every instance writes both columns, now the old rows get theirs")
        self.follow("backfilled")
        self.approve_too_early()
        self.deploy("3.0.0", "knows only display_name")
        heading("Contract: the gate stays shut until the fleet was all new for the whole soak of 5 s")
        self.follow("completed")
        self.end("migration")
        say("completed; the load goes on for 3 s without the column name")
        self.pass_time(3)
        return self.close()

    def prepare(self) -> None:
        heading(f"A private PostgreSQL, {self.options.rows:,} users, three instances of the application")
        self.daemon = Daemon(self.options.build, self.directory)
        self.daemon.wait_ready()
        say(f"diastoled serves {self.daemon.url} and has a PostgreSQL of its own, which is also its target main")
        self.daemon.sql(
            "CREATE TABLE users (id uuid PRIMARY KEY, name text NOT NULL, email text,"
            " created_at timestamptz NOT NULL DEFAULT now());"
            " INSERT INTO users (id, name, email)"
            f" SELECT md5('user ' || n)::uuid, 'user ' || n, 'user' || n || '@example.com'"
            f" FROM generate_series(0, {self.options.rows - 1}) AS n"
        )
        self.daemon.sql("VACUUM ANALYZE users")
        say(f"table users (id uuid, name text not null, …) has {self.options.rows:,} rows")
        for slot in range(INSTANCES):
            instance = self.start("1.0.0", slot)
            say(f"{instance.name} runs 1.0.0: reads and writes name, {self.options.rate} operations a second")

    def measure_baseline(self) -> None:
        say(f"measuring for {BASELINE_S} s how fast the application is when nothing happens")
        self.pass_time(2)
        self.begin("baseline")
        self.pass_time(BASELINE_S)
        self.end("baseline")

    def submit(self) -> None:
        heading("Expand: the plan is submitted; what it adds does not disturb version 1.0.0")
        self.plan_id = self.daemon.command("submit", str(PLAN_FILE)).split()[0]
        say(f"diastole submit {PLAN_FILE.name}: {self.plan_id}")

    def deploy(self, version: str, what: str) -> None:
        heading(f"Rolling deploy of {version}, one instance at a time: it {what}")
        self.begin(f"deploy {version}")
        for nth, old in enumerate(list(self.running)):
            if nth > 0:
                self.pass_time(1.5)
            new = self.start(version, old.slot)
            self.running.remove(old)
            old.stop()
            say(f"{new.name} runs {version}; {old.name} ({old.version}) has signed off: {old.summary}")
        self.end(f"deploy {version}")

    def approve_too_early(self) -> None:
        heading("An operator approves contract now; the approval alone opens nothing")
        self.daemon.command("approve", self.plan_id, "contract")
        self.pass_time(2)
        gate = self.daemon.get(f"/v1/plans/{self.plan_id}/gate")
        if self.plan["stage"] != "backfilled" or gate["state"] == "open" or not gate["reasons"]:
            raise Failed(f"approved with old instances, the plan is {self.plan['stage']} and the gate {gate['state']}")

    def close(self) -> bool:
        heading("Checks")
        for instance in list(self.running):
            self.running.remove(instance)
            instance.stop()
        checks = Checks(self.daemon, self.instances, self.options.rows)
        checks.database(self.plan)
        checks.application()
        checks.rows()
        checks.shutdown()
        checks.latency(self.spans)
        return checks.hold

    # What the play is made of.

    def start(self, version: str, slot: int) -> Instance:
        name = f"api-{len(self.instances) + 1}"
        instance = Instance(
            self.options.build, self.directory, self.daemon, name, version, slot, INSTANCES, self.options.rows,
            self.options.rate,
        )  # fmt: skip
        self.instances.append(instance)
        self.running.append(instance)
        instance.wait_ready()
        return instance

    def begin(self, span: str, at: float | None = None) -> None:
        self.spans[span] = [at or time.time(), 0]

    def end(self, span: str, at: float | None = None) -> None:
        self.spans[span][1] = at or time.time()

    def follow(self, stage: str) -> None:
        """Until the plan has got to the stage, or past it."""
        while not self.plan or STAGES.index(self.plan["stage"]) < STAGES.index(stage):
            self.watch()
            time.sleep(0.1)

    def pass_time(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.watch()
            time.sleep(0.1)

    def watch(self) -> None:
        """Tells what is new, and stops the play when an instance or the plan has failed."""
        if (status := self.daemon.process.poll()) is not None:
            raise Failed(f"diastoled has ended with status {status}")
        for instance in self.running:
            if (status := instance.process.poll()) is not None:
                raise Failed(f"{instance.name} has ended with status {status}:\n{instance.errors()}")
        if self.plan_id is None:
            return
        page = self.daemon.get(f"/v1/plans/{self.plan_id}/events?after={self._event}")
        for event in page["events"]:
            self._event = event["id"]
            self.note_phase(event)
            if line := describe(event):
                say(line)
        self.plan = self.daemon.get(f"/v1/plans/{self.plan_id}")
        if self.plan["condition"] == "failed" or self.plan["stage"] in ("aborting", "aborted"):
            raise Failed(f"the plan is {self.plan['state']}")
        waits_for_gate = self.plan["stage"] == "backfilled"
        self._waiting.tell(self.plan, self.daemon.get(f"/v1/plans/{self.plan_id}/gate") if waits_for_gate else None)

    def note_phase(self, event: dict) -> None:
        if event["kind"] in ("phase_started", "phase_finished"):
            note = self.begin if event["kind"] == "phase_started" else self.end
            note(event["phase"], datetime.fromisoformat(event["at"]).timestamp())

    def clean_up(self) -> None:
        for instance in self.running:
            instance.process.kill()
            instance.process.wait()
        if self.daemon:
            self.daemon.clean_up()


def tail(file: Path, lines: int) -> str:
    text = file.read_text(errors="replace") if file.exists() else ""
    return "\n".join(line[:300] for line in text.splitlines()[-lines:])


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", type=Path, required=True, help="CMake's build directory with the programs")
    parser.add_argument("--rows", type=int, default=200_000, help="users at the beginning (%(default)s)")
    parser.add_argument("--rate", type=int, default=200, help="operations a second of each instance (%(default)s)")
    parser.add_argument("--keep", action="store_true", help="keep the directory with the database and all logs")
    return parser.parse_args()


def out_of_time(*_) -> None:
    raise Failed(f"the run took longer than {LIMIT_S} s")


def main() -> int:
    options = parse()
    directory = Path(tempfile.mkdtemp(prefix="diastole-demo-"))
    directory.chmod(0o755)  # as root, PostgreSQL runs as the user postgres
    play = Rename(options, directory)
    signal.signal(signal.SIGALRM, out_of_time)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    signal.alarm(LIMIT_S)
    status = 1
    try:
        status = 0 if play.run() else 1
    except Failed as failure:
        print(f"\nFAILED: {failure}", flush=True)
    except KeyboardInterrupt:
        print("\ninterrupted", flush=True)
        status = 130
    finally:
        signal.alarm(0)
        play.clean_up()
        if status == 1:
            print(f"\nthe end of diastoled's log:\n{tail(directory / 'diastoled.log', 40)}", flush=True)
        if options.keep:
            print(f"kept: {directory}")
        else:
            shutil.rmtree(directory, ignore_errors=True)
    return status


if __name__ == "__main__":
    sys.exit(main())
