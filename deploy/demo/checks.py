"""What must hold once the rename is over. Every check is made and told, also after one that failed."""

import hashlib
import uuid

import latency
from actors import Daemon, Failed, Instance, alive
from narration import milliseconds

# What holds, and a query with the answer that shows it.
CATALOG = [
    (
        "the column name is gone",
        "display_name",
        "SELECT string_agg(attname, ',') FROM pg_attribute WHERE attrelid = 'users'::regclass"
        " AND attname IN ('name', 'display_name') AND NOT attisdropped",
    ),
    (
        "display_name is NOT NULL",
        "t",
        "SELECT attnotnull FROM pg_attribute WHERE attrelid = 'users'::regclass AND attname = 'display_name'",
    ),
    (
        "its index is valid",
        "t",
        "SELECT indisvalid AND indisready FROM pg_index WHERE indexrelid = 'idx_users_display_name'::regclass",
    ),
    (
        "no CHECK constraint is left over",
        "0",
        "SELECT count(*) FROM pg_constraint WHERE conrelid = 'users'::regclass AND contype = 'c'",
    ),
]


class Checks:
    def __init__(self, daemon: Daemon, instances: list[Instance], rows: int):
        self._daemon = daemon
        self._instances = instances
        self._rows = rows
        self.hold = True

    def expect(self, holds: bool, what: str, found: str = "") -> None:
        self.hold = self.hold and holds
        print(f"  {'ok    ' if holds else 'FAILED'}  {what}" + ("" if holds else f"; found: {found}"), flush=True)

    def application(self) -> None:
        for instance in self._instances:
            clean = instance.process.returncode == 0
            self.expect(
                clean,
                f"{instance.name} ({instance.version}): no failed statement, no wrong answer, exit status 0",
                f"status {instance.process.returncode}, {instance.summary}\n{instance.errors()}",
            )

    def rows(self) -> None:
        names = [f"user {n}" for n in range(self._rows)]
        expected = {str(uuid.UUID(hashlib.md5(name.encode()).hexdigest())): name for name in names}
        writes = [write for instance in self._instances for write in instance.writes()]
        inserts = [id_ for kind, id_, _ in writes if kind == "insert"]
        # One writer a row at a time, and the number in a value grows: the greatest is the last.
        for _, id_, value in sorted(writes, key=lambda write: int(write[2].split()[1])):
            expected[id_] = value
        lines = self._daemon.sql("SELECT id, display_name FROM users").splitlines()
        actual = dict(line.split("|", 1) for line in lines)
        self.expect(
            actual.keys() == expected.keys(),
            f"all {self._rows:,} users and the {len(inserts):,} that were added are there, and nobody else",
            f"{len(expected.keys() - actual.keys())} lost, {len(actual.keys() - expected.keys())} unknown",
        )
        differing = [id_ for id_ in expected.keys() & actual.keys() if expected[id_] != actual[id_]]
        self.expect(
            not differing and len(writes) > len(inserts) > 0,
            f"every display_name is the last of {len(writes):,} acknowledged writes, or what name was",
            f"{len(differing)} differ, e.g. {[(id_, expected[id_], actual[id_]) for id_ in differing[:3]]}",
        )

    def database(self, plan: dict) -> None:
        self.expect(plan["stage"] == "completed", "the plan is completed", plan["stage"])
        for what, expected, query in CATALOG:
            found = self._daemon.sql(query)
            self.expect(found == expected, what, found)

    def shutdown(self) -> None:
        try:
            seconds = self._daemon.stop()
        except Failed as failure:
            return self.expect(False, "diastoled stops on SIGTERM", str(failure))
        status = self._daemon.process.returncode
        self.expect(status == 0, f"diastoled stopped on SIGTERM in {seconds:.1f} s with status 0", f"status {status}")
        left = [pid for pid in self._daemon.postgres_pids if alive(pid)]
        self.expect(bool(self._daemon.postgres_pids) and not left, "its PostgreSQL is gone", f"running: {left}")

    def latency(self, spans: dict[str, list[float]]) -> None:
        windows = latency.read_windows([instance.latency_file for instance in self._instances])
        print("\nApplication latency, counted from when each operation was due")
        print(f"  {'':24}{'operations':>12}{'median':>12}{'p99':>12}{'worst':>12}")
        merged = {name: latency.between(windows, *spans[name]) for name in sorted(spans, key=spans.get)}
        labels = {"baseline": "without the migration", "migration": "with the migration"}
        for name in ["baseline", "migration", *(name for name in merged if name not in labels)]:
            it = merged[name]
            times = (it.percentile_us(0.5), it.percentile_us(0.99), it.worst_us)
            columns = "".join(f"{milliseconds(us):>12}" for us in times)
            print(f"  {labels.get(name, '  of this: ' + name):24}{it.count:>12,}{columns}")
        calm, busy = merged["baseline"], merged["migration"]
        measured = calm.count > 0 and busy.count > 0
        self.expect(measured, "both were measured", f"{calm.count} and {busy.count} operations")
        if measured:
            worst, p99 = busy.worst_us / calm.worst_us, busy.percentile_us(0.99) / calm.percentile_us(0.99)
            print(f"  with : without           worst ×{worst:.1f}, p99 ×{p99:.1f}", flush=True)
