"""Put load on a server of this machine, from a process of its own, and note each answer.

``with under(plan) as load:`` begins it, and ends it with the block; then ``load.answers`` has what
came. It is bounded in answers and in time, and asks servers on loopback only. The program that
asks is this file: ``python load.py PLAN REPORT`` prints ``begun`` when each connection has had an
answer, and stops when its standard input ends.
"""

import asyncio
import base64
import contextlib
import ipaddress
import itertools
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

PAUSE = 0.01  # seconds after an answer that did not come
LARGEST = 64 << 20  # bytes of an answer
REMEMBERED = 1000  # bodies that were parsed


class Broken(Exception):
    """The program that asks failed itself; its words."""


@dataclass(frozen=True)
class Plan:
    """What is asked.

    Attributes:
        host: a loopback address.
        bodies: each connection sends them in turn.
        headers: besides Host, Content-Length and Connection.
        keep_alive: one connection for many requests; else a new one for each.
        connections: at once.
        seconds: after which it ends by itself.
        most: answers after which it ends by itself.
        patience: seconds until an answer counts as not given.
        pause: seconds between an answer and the next request of its connection.
    """

    host: str
    port: int
    path: str
    bodies: tuple[bytes, ...] = (b"",)
    headers: Mapping[str, str] = field(default_factory=dict)
    method: str = "POST"
    keep_alive: bool = True
    connections: int = 8
    seconds: float = 1800.0
    most: int = 1_000_000
    patience: float = 30.0
    pause: float = 0.0

    def __post_init__(self) -> None:
        if not ipaddress.ip_address(self.host).is_loopback:
            raise ValueError(f"{self.host} is not a loopback address")

    def to_json(self) -> dict[str, Any]:
        """What ``from_json`` reads."""
        bodies = [base64.b64encode(body).decode() for body in self.bodies]
        return {**asdict(self), "bodies": bodies}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "Plan":
        """Read what ``to_json`` gave."""
        return cls(**{**value, "bodies": tuple(map(base64.b64decode, value["bodies"]))})


@dataclass(frozen=True, slots=True)
class Answer:
    """One request, and what came.

    Attributes:
        begin: before the first byte was sent (or the connection opened), by the monotonic clock,
            which is the same for all processes of a machine.
        end: when the last byte of the answer was there.
        connection: its number.
        body: which of the plan's was sent.
        status: 0 where no answer came; ``error`` says why.
        version: that the answer claims; None where it names none.
        generation: the same, of a number that rises with each swap.
        outputs: the numbers of the first output, flat.
        error: why there is no answer, or why it contradicts itself.
    """

    begin: float
    end: float
    connection: int
    body: int
    status: int
    version: str | None = None
    generation: int | None = None
    outputs: tuple[float, ...] = ()
    error: str = ""


@dataclass
class Load:
    """What is running, or has run; ``answers`` is empty until the end of the block."""

    process: "subprocess.Popen[str]"
    answers: list[Answer] = field(default_factory=list)
    is_bounded: bool = False

    def wait(self) -> None:
        """Until the bounds of the plan are reached."""
        self.is_bounded = True
        self.process.wait()


@contextlib.contextmanager
def under(plan: Plan) -> Iterator[Load]:
    """Ask until the block ends; it begins when each connection has had an answer.

    Raises:
        Broken: the program that asks failed, or reached a bound of the plan before the block ended.
    """
    with tempfile.TemporaryDirectory() as name:
        plan_file, report = Path(name, "plan.json"), Path(name, "report.json")
        plan_file.write_text(json.dumps(plan.to_json()))
        process = subprocess.Popen(
            [sys.executable, "-I", "-S", __file__, plan_file, report],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        load = Load(process)
        try:
            if process.stdout is None or process.stdout.readline() != "begun\n":
                raise Broken(process.communicate()[1])
            yield load
            is_early = process.poll() == 0 and not load.is_bounded
            _, errors = process.communicate(timeout=plan.patience + 60)
        finally:
            process.kill()  # nothing, where it has ended
            process.communicate()
        if process.returncode or is_early:
            raise Broken(errors or "a bound of the plan was reached before the end")
        load.answers += _read(report)


def asked(plan: Plan) -> list[Answer]:
    """Ask until the bounds of the plan are reached."""
    with under(plan) as load:
        load.wait()
    return load.answers


def infer(
    address: tuple[str, int], model: str, batches: Iterable[Sequence[Sequence[float]]], **how: Any
) -> Plan:
    """A plan of inference requests in the Open Inference Protocol, one body a batch of rows."""
    bodies = tuple(json.dumps({"inputs": [tensor(rows)]}).encode() for rows in batches)
    headers = {"Content-Type": "application/json"}
    return Plan(*address, f"/v2/models/{model}/infer", bodies, headers, **how)


def tensor(rows: Sequence[Sequence[float]]) -> dict[str, Any]:
    """Rows of numbers as the protocol has them."""
    shape = [len(rows), len(rows[0])]
    data = [float(number) for row in rows for number in row]
    return {"name": "input-0", "shape": shape, "datatype": "FP64", "data": data}


def binary(
    address: tuple[str, int], model: str, shape: Sequence[int], data: Iterable[bytes], **how: Any
) -> Plan:
    """A plan of requests whose FP32 tensor is in the binary extension, one body a tensor."""
    tensors = list(data)
    parameters = {"binary_data_size": len(tensors[0])}
    facts = {"name": "input-0", "shape": shape, "datatype": "FP32", "parameters": parameters}
    head = json.dumps({"inputs": [facts]}).encode()
    headers = {
        "Content-Type": "application/octet-stream",
        "Inference-Header-Content-Length": str(len(head)),
    }
    bodies = tuple(head + tensor for tensor in tensors)
    return Plan(*address, f"/v2/models/{model}/infer", bodies, headers, **how)


def _read(report: Path) -> list[Answer]:
    value = json.loads(report.read_bytes())
    outputs = [tuple(each) for each in value["outputs"]]
    return [Answer(*[*facts, outputs[index], error]) for *facts, index, error in value["answers"]]


# the program that asks


@dataclass
class _Notes:
    """What came so far."""

    plan: Plan
    answers: list[tuple[Any, ...]] = field(default_factory=list)
    outputs: dict[tuple[float, ...], int] = field(default_factory=dict)
    heard: set[int] = field(default_factory=set)
    parsed: dict[bytes, tuple[str | None, tuple[float, ...]]] = field(default_factory=dict)
    stop: asyncio.Event = field(default_factory=asyncio.Event)

    def note(self, answer: Answer) -> None:
        index = self.outputs.setdefault(answer.outputs, len(self.outputs))
        self.answers.append((
            answer.begin, answer.end, answer.connection, answer.body, answer.status,
            answer.version, answer.generation, index, answer.error,
        ))  # fmt: skip
        if answer.connection not in self.heard:
            self.heard.add(answer.connection)
            if len(self.heard) == min(self.plan.connections, self.plan.most):
                sys.stdout.write("begun\n")
                sys.stdout.flush()
        if len(self.answers) >= self.plan.most:
            self.stop.set()

    def read(self, body: bytes) -> tuple[str | None, tuple[float, ...]]:
        """The version and the outputs of a body; the same bytes are parsed once."""
        if body not in self.parsed:
            if len(self.parsed) >= REMEMBERED:
                self.parsed.clear()
            self.parsed[body] = _claims(body)
        return self.parsed[body]

    def to_json(self) -> dict[str, Any]:
        return {"answers": self.answers, "outputs": list(self.outputs)}


def _claims(body: bytes) -> tuple[str | None, tuple[float, ...]]:
    """Of a body in the Open Inference Protocol, or in that of ``api/`` before it."""
    value = json.loads(body)
    if not isinstance(value, dict):
        return None, ()
    outputs = value.get("outputs") or []
    if outputs and isinstance(outputs[0], dict):
        return value.get("model_version"), tuple(_flat(outputs[0].get("data", [])))
    return value.get("version"), tuple(_flat(outputs))


def _flat(value: Any) -> Iterator[float]:
    if isinstance(value, list):
        for each in value:
            yield from _flat(each)
    elif isinstance(value, (int, float)):
        yield float(value)


async def _connection(notes: _Notes, number: int, requests: Sequence[bytes]) -> None:
    """One connection, or one after the other."""
    plan, link = notes.plan, None
    for turn in itertools.count(number):
        if notes.stop.is_set():
            break
        index = turn % len(requests)
        begin = time.monotonic()
        try:
            async with asyncio.timeout(plan.patience):
                link = link or await asyncio.open_connection(plan.host, plan.port)
                status, headers, body = await _exchange(link, requests[index])
            end = time.monotonic()
            answer = _answer(notes, (begin, end, number, index, status), headers, body)
            stays = plan.keep_alive and headers.get("connection") == "keep-alive"
        except (OSError, EOFError, ValueError, TimeoutError) as error:
            words = f"{type(error).__name__}: {error}"
            answer = Answer(begin, time.monotonic(), number, index, 0, error=words)
            stays = False
        notes.note(answer)
        if not stays and link:
            link[1].close()
            link = None
        if pause := plan.pause or (PAUSE if answer.status == 0 else 0.0):
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(notes.stop.wait(), pause)
    if link:
        link[1].close()


def _answer(
    notes: _Notes,
    facts: tuple[float, float, int, int, int],
    headers: Mapping[str, str],
    body: bytes,
) -> Answer:
    told = headers.get("x-tagship-generation")
    generation, named = int(told) if told else None, headers.get("x-model-version")
    if facts[-1] != 200 or not body:
        return Answer(*facts, named, generation, error=body[:200].decode(errors="replace"))
    version, outputs = notes.read(body)
    error = f"{version} in the body, {named} in the header" if named not in (None, version) else ""
    return Answer(*facts, version or named, generation, outputs, error)


async def _exchange(
    link: tuple[asyncio.StreamReader, asyncio.StreamWriter], request: bytes
) -> tuple[int, dict[str, str], bytes]:
    """Send a request, and read its answer: status, headers in lower case, body."""
    reader, writer = link
    writer.write(request)
    first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    protocol, status = first.split(" ")[:2]
    pairs = (line.partition(":") for line in lines if line)
    headers = {name.strip().lower(): value.strip() for name, _, value in pairs}
    headers.setdefault("connection", "keep-alive" if protocol == "HTTP/1.1" else "close")
    headers["connection"] = headers["connection"].lower()
    if "transfer-encoding" in headers:
        return int(status), headers, await _chunks(reader)
    if "content-length" in headers:
        return int(status), headers, await reader.readexactly(_bounded(headers["content-length"]))
    headers["connection"] = "close"
    return int(status), headers, await reader.read(LARGEST)


async def _chunks(reader: asyncio.StreamReader) -> bytes:
    parts: list[bytes] = []
    while size := _bounded((await reader.readuntil(b"\r\n")).split(b";")[0], 16):
        parts.append((await reader.readexactly(size + 2))[:-2])
        _bounded(str(sum(map(len, parts))))
    await reader.readuntil(b"\r\n")
    return b"".join(parts)


def _bounded(text: str | bytes, base: int = 10) -> int:
    if (count := int(text, base)) > LARGEST:
        raise ValueError(f"an answer of {count} bytes")
    return count


def _request(plan: Plan, body: bytes) -> bytes:
    host = f"[{plan.host}]" if ":" in plan.host else plan.host
    headers = {
        "Host": f"{host}:{plan.port}",
        **plan.headers,
        **({} if plan.method == "GET" else {"Content-Length": str(len(body))}),
        "Connection": "keep-alive" if plan.keep_alive else "close",
    }
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"{plan.method} {plan.path} HTTP/1.1\r\n{lines}\r\n".encode() + body


async def _ask(plan: Plan) -> _Notes:
    notes, loop = _Notes(plan), asyncio.get_running_loop()
    loop.add_reader(sys.stdin.fileno(), _stop, loop, notes)
    loop.call_later(plan.seconds, notes.stop.set)
    requests = [_request(plan, body) for body in plan.bodies]
    await asyncio.gather(*(_connection(notes, i, requests) for i in range(plan.connections)))
    return notes


def _stop(loop: asyncio.AbstractEventLoop, notes: _Notes) -> None:
    if not os.read(sys.stdin.fileno(), 1):  # its end
        loop.remove_reader(sys.stdin.fileno())
        notes.stop.set()


def main(plan_file: str, report: str) -> None:
    """Ask as the plan says, and write the report."""
    plan = Plan.from_json(json.loads(Path(plan_file).read_bytes()))
    notes = asyncio.run(_ask(plan))
    Path(report).write_text(json.dumps(notes.to_json()))


if __name__ == "__main__":
    main(*sys.argv[1:])
