"""Tells a plan's events and what it waits for as lines for people."""

import time

_BEGIN = time.monotonic()


def say(text: str) -> None:
    print(f"{time.monotonic() - _BEGIN:6.1f} s  {text}", flush=True)


def heading(text: str) -> None:
    print(f"\n{text}", flush=True)


def milliseconds(us: int) -> str:
    return f"{us / 1000:.1f} ms"


def describe(event: dict) -> str | None:
    """None for an event that another line tells better."""
    step = event.get("step", "")
    match event["kind"]:
        case "phase_started":
            return f"diastole begins {event['phase']}"
        case "phase_finished":
            return f"diastole has finished {event['phase']}"
        case "phase_approved":
            return f"{event['phase']} approved by {event['by']}"
        case "step_started":
            return f"  {step}" + (f", attempt {event['attempt']}" if event["attempt"] > 1 else "")
        case "step_progressed":
            return f"  {step}: {_progress(event['progress'])}"
        case "step_finished":
            rows = f", {event['rows']:,} rows" if event["rows"] else ""
            return f"  {step}: done in {event['duration_ms']:,} ms{rows}"
        case "lock_waited":
            blockers = ", ".join(f"{b.get('application') or 'pid'} ({b['pid']})" for b in event["blockers"])
            return f"  {step}: no lock yet, blocked by {blockers or 'nobody now'}; again in {event['retry_in_ms']} ms"
        case "step_failed":
            failure = event["failure"]
            return f"  {step} FAILED: {failure.get('sqlstate', '')} {failure['message']}"
        case "gate_fencing":
            return "the gate is open: the fence goes up, versions below 3.0.0 are retired"
        case "fence_raised":
            return "the fence is up; now no old session may be left"
        case "gate_drained":
            return f"two looks have found no old session ({event['terminated']} had to be ended)"
        case "gate_fell_back":
            return f"the gate falls back: {event['reasons'][0]['message']}"
        case "plan_submitted" | "plan_waits":
            return None
        case kind:
            return f"{kind} {step}".strip()


def _progress(progress: dict) -> str:
    text = f"{progress.get('rows', 0):,} rows"
    if total := progress.get("rows_total"):
        text += f" of about {total:,}"
    if rate := progress.get("rows_per_second"):
        text += f", {rate:,.0f} a second"
    if progress.get("eta_ms") is not None:
        text += f", {progress['eta_ms'] / 1000:.1f} s to go"
    return text


class Waiting:
    """What a plan waits for, told in full whenever it has changed; what only has to last tells how far it is."""

    def __init__(self):
        self._told: list[str] = []
        self._obstacles: list[str] = []

    def tell(self, plan: dict, gate: dict | None) -> None:
        reasons = list(plan["waiting"])
        lines = []
        if gate:  # the plan's own list repeats the gate's, as of when it was last recorded
            reasons = gate["reasons"] + [reason for reason in reasons if reason["kind"] == "approval_missing"]
            for s in gate["services"]:
                counts = f"{s['new']} of {s['min_instances']} new, {s['old']} old, {s['unknown']} unknown"
                lines.append(f"gate {gate['state']}: {s['service']} {s['required']}: {counts}")
        messages = {f"  waits: {reason['message']}": reason["kind"] for reason in reasons}
        obstacles = lines + sorted(
            kind if kind in ("soaking", "watching") else message for message, kind in messages.items()
        )
        lines += sorted(messages)
        for line in lines:
            if obstacles != self._obstacles or line not in self._told:
                say(line)
        self._told, self._obstacles = lines, obstacles
