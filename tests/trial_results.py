"""What a trial of a test is, and what the result file of a given Harbor version says of it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Literal

from agent_logs import CLI_VERSION, START, Json, Run, cost_of, fixed_id, spent, turns_of
from job_configs import BENCH, agent_config, since, task_config, task_digest, trial_config
from other_logs import counted

State = Literal["finished", "running", "cancelled", "setup_failed", "verifier_failed"]

_ENDINGS = {
    "cancelled": ("CancelledError", ""),
    "setup_failed": ("AgentSetupTimeoutError", "Agent setup timed out after 360.0 seconds"),
    "verifier_failed": ("RewardFileNotFoundError", "No reward file found"),
}


@dataclass(frozen=True, kw_only=True)
class Step:
    """One step of a multi-step trial; an exception of its agent stays on the step."""

    name: str
    reward: float | None = 1.0
    rewards: dict[str, float] | None = None
    exception: str | None = None
    run: Run | None = None


@dataclass(frozen=True, kw_only=True)
class Trial:
    """What is to be built; `write_trial` says what each field means."""

    job: str
    task: str
    version: str = "0.25.0"
    attempt: int = 1
    reward: float | None = 1.0
    rewards: dict[str, float] | None = None
    reward_txt: float | None = None
    state: State = "finished"
    result: bool = True
    exception: str | None = None
    message: str = ""
    agent: str = "claude-code"
    model: str | None = "anthropic/claude-sonnet-4-5"
    import_path: str | None = None
    kwargs: Json = field(default_factory=dict)
    mcp_servers: tuple[Json, ...] = ()
    log: Literal["claude", "codex", "gemini", "atif"] | None = "claude"
    trajectory: bool = True
    run: Run | None = None
    steps: tuple[Step, ...] = ()
    source: str | None = "tasks"
    suffix: str | None = None
    started: datetime | None = None
    seconds: float = 60.0
    artifacts: dict[str, str] = field(default_factory=dict)

    @property
    def short(self) -> str:
        """Name the task without its organisation."""
        return self.task.rpartition("/")[2]

    @property
    def task_name(self) -> str:
        """Name the task as results do: with its organisation since 0.3.0."""
        return self.task if since(self.version, "0.3.0") else self.short

    @property
    def name(self) -> str:
        """Name the trial's directory."""
        head = self.short[:32]
        if since(self.version, "0.3.0"):
            head = head.rstrip("_-")
        servers = ",".join(server["name"] for server in self.mcp_servers)
        who = (self.agent, self.import_path or "", self.model or "", servers)
        own = fixed_id(self.job, self.task, *who, str(self.attempt))
        return f"{head}__{self.suffix or own.replace('-', '')[:7]}"

    @property
    def start(self) -> datetime:
        """Tell when it started: attempts begin ten minutes apart."""
        return self.started or START + timedelta(minutes=10 * (self.attempt - 1))

    @property
    def agent_config(self) -> Json:
        """Give the agent's configuration."""
        return agent_config(
            self.version,
            name=None if self.import_path else self.agent,
            import_path=self.import_path,
            model_name=self.model,
            kwargs=self.kwargs,
            mcp_servers=self.mcp_servers,
        )

    @property
    def config(self) -> Json:
        """Give the whole configuration of the trial."""
        return trial_config(
            self.version,
            job=self.job,
            task=task_config(self.version, self.short, self.source),
            agent=self.agent_config,
            trial_name=self.name,
            job_id=fixed_id(self.job, "job"),
        )

    def run_for(self, run: Run | None, *names: str) -> Run:
        """Give the run its own ids and times, and the servers that are configured."""
        servers = tuple((server["name"], "connected") for server in self.mcp_servers)
        model = (self.model or "unknown").rpartition("/")[2]
        seed = "/".join((self.job, self.name, *names))
        run = run or Run(ended=not self._killed, servers=servers)
        return replace(run, seed=seed, model=model, started=self.start + timedelta(seconds=5))

    @property
    def _killed(self) -> bool:
        return self.state == "cancelled" or self.exception == "AgentTimeoutError"

    @property
    def failure(self) -> tuple[str, str] | None:
        """Give the type and the message of the exception that ended the trial."""
        kind, message = _ENDINGS.get(self.state, (None, ""))
        kind = self.exception or kind
        return (kind, self.message or message) if kind else None

    @property
    def judged(self) -> dict[str, float] | None:
        """Give the rewards that the verifier's files hold; None when it left none."""
        if self.state in ("cancelled", "setup_failed", "verifier_failed"):
            return None
        return self.rewards or single(self.reward)


def to_trial(job: str, **fields: Any) -> Trial:
    """Make a trial of keyword arguments; steps may be plain dictionaries."""
    steps = [Step(**step) if isinstance(step, dict) else step for step in fields.pop("steps", ())]
    servers = fields.pop("mcp_servers", ())
    return Trial(job=job, steps=tuple(steps), mcp_servers=tuple(servers), **fields)


def single(reward: float | None) -> dict[str, float] | None:
    """Give a lone reward as rewards."""
    return None if reward is None else {"reward": reward}


def stamp(when: datetime, *, utc: bool) -> str:
    """Write a time: UTC with a Z, or (older versions, and job files) naive local time."""
    return when.strftime("%Y-%m-%dT%H:%M:%S.%f") + ("Z" if utc else "")


def to_result(trial: Trial) -> Json:
    """Give a trial's result.json."""
    version, config = trial.version, trial.config
    result = {
        "id": fixed_id(trial.job, trial.name),
        "task_name": trial.task_name,
        "trial_name": trial.name,
        "trial_uri": f"file://{BENCH}/jobs/{trial.job}/{trial.name}",
        "task_id": {"path": config["task"]["path"]},
        "source": trial.source,
        "task_checksum": task_digest(trial.short),
        "config": config,
        "agent_info": _agent_info(trial),
        "agent_result": None,
        "verifier_result": None,
        "verifier_environment_mode": None if trial.steps else "shared",
        "exception_info": exception_info(trial, trial.failure),
        **_phases(trial),
        "step_results": None,
    }
    if trial.steps:
        result |= _stepwise(trial)
    elif trial.state != "setup_failed":
        run = trial.run_for(trial.run)
        result |= {"agent_result": _agent_result(trial, run), "verifier_result": _verdict(trial)}
    if not since(version, "0.21.0"):
        del result["verifier_environment_mode"]
    if not since(version, "0.5.0"):
        del result["step_results"]
    return result


def _agent_info(trial: Trial) -> Json:
    known = trial.kwargs.get("version") or (CLI_VERSION if since(trial.version, "0.2.0") else None)
    model = None
    if trial.model:
        provider, _, name = trial.model.partition("/")
        model = {"name": name, "provider": provider}
    version = known if known and trial.state != "setup_failed" else "unknown"
    return {"name": trial.agent, "version": version, "model_info": model}


def _agent_result(trial: Trial, run: Run) -> Json:
    """Give the agent's context; no trajectory means no counts, except in 0.1.0."""
    keys = ("n_input_tokens", "n_cache_tokens", "n_output_tokens", "cost_usd")
    converted = trial.trajectory or not since(trial.version, "0.1.1")
    known = trial.log is not None and converted
    tokens: Json = counted(run, trial.version, trial.agent) if known else dict.fromkeys(keys)
    if since(trial.version, "0.23.0"):
        tokens["model_usage"] = _model_usage(run) if known else None
    if since(trial.version, "0.1.13"):
        return tokens | {"rollout_details": None, "metadata": None}
    return tokens | {"output_logprobs": None, "metadata": None}


def _model_usage(run: Run) -> Json:
    usage = {}
    for model, part in spent(turns_of(run), inside=True).items():
        read = part["cache_read_input_tokens"]
        usage[model] = {
            "n_input_tokens": part["input_tokens"] + part["cache_creation_input_tokens"] + read,
            "n_cache_tokens": read,
            "n_output_tokens": part["output_tokens"],
            "cost_usd": cost_of({model: part}),
        }
    return usage


def _verdict(trial: Trial) -> Json | None:
    rewards = trial.judged
    if rewards and trial.reward_txt is not None and not since(trial.version, "0.7.0"):
        rewards = {"reward": trial.reward_txt}  # reward.txt won until then
    return {"rewards": rewards} if rewards else None


def exception_info(
    trial: Trial, failure: tuple[str, str] | None, after: float = 0.0
) -> Json | None:
    """Describe an exception `after` seconds into the agent's run (default: its end)."""
    if failure is None:
        return None
    kind, message = failure
    traceback = (
        f'Traceback (most recent call last):\n  File "trial.py", line 1\n{kind}: {message}\n'
    )
    when = trial.start + timedelta(seconds=5 + (after or trial.seconds))
    return {
        "exception_type": kind,
        "exception_message": message,
        "exception_traceback": traceback,
        "occurred_at": stamp(when, utc=since(trial.version, "0.21.0")),
    }


def _span(trial: Trial, begin: float, end: float) -> Json:
    utc = since(trial.version, "0.1.36")
    first, last = (trial.start + timedelta(seconds=at) for at in (begin, end))
    return {"started_at": stamp(first, utc=utc), "finished_at": stamp(last, utc=utc)}


def _phases(trial: Trial) -> Json:
    """Set-up takes 5 s, the agent `seconds`, the verifier 8 s, the ends between 1 s."""
    ran = 5 + trial.seconds
    stopped = {"setup_failed": 5.0, "cancelled": ran}.get(trial.state, ran + 9)
    phases: Json = _span(trial, 0, stopped + 1)
    phases["environment_setup"] = _span(trial, 0.5, 2)
    inside = trial.state != "setup_failed" or "Setup" in (trial.failure or ("",))[0]
    phases["agent_setup"] = _span(trial, 2, 5) if inside else None
    alone = trial.state != "setup_failed" and not trial.steps
    phases["agent_execution"] = _span(trial, 5, ran) if alone else None
    judged = alone and trial.state != "cancelled"
    phases["verifier"] = _span(trial, ran + 1, ran + 9) if judged else None
    return phases


def _stepwise(trial: Trial) -> Json:
    """Give the results of the steps, and the mean of their rewards as the trial's."""
    results: list[Json] = []
    share = trial.seconds / len(trial.steps)
    for number, step in enumerate(trial.steps):
        rewards = step.rewards or single(step.reward)
        begin = 5 + share * number
        failure = (step.exception, "the step failed") if step.exception else None
        results.append(
            {
                "step_name": step.name,
                "agent_result": _agent_result(trial, trial.run_for(step.run, step.name)),
                "verifier_result": {"rewards": rewards} if rewards else None,
                "exception_info": exception_info(trial, failure, share * (number + 0.8)),
                "agent_execution": _span(trial, begin, begin + share * 0.8),
                "verifier": _span(trial, begin + share * 0.9, begin + share),
            }
        )
    given = [row["verifier_result"]["rewards"] for row in results if row["verifier_result"]]
    keys = dict.fromkeys(key for rewards in given for key in rewards)
    mean = {key: sum(rewards.get(key, 0) for rewards in given) / len(given) for key in keys}
    return {"step_results": results, "verifier_result": {"rewards": mean} if mean else None}
