# -*- test-case-name: tests.test_benchmarks -*-
"""The benchmark's own reckoning, without putting a load on anything."""

import json
import os
import socket
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from io import StringIO
from pathlib import Path
from unittest.mock import patch

from attrs import evolve
from twisted.trial.unittest import SynchronousTestCase

from benchmarks import __main__ as command
from benchmarks import backends, hold, loads, machine, others, programs, run, systems
from benchmarks.frp import OUR_COMMAND, find_frp, frp_systems, our_system
from benchmarks.loads import (
    Reading,
    iperf3_command,
    read_iperf3,
    read_wrk_latency,
    read_wrk_rate,
    wrk_command,
)
from benchmarks.programs import BenchmarkError
from benchmarks.report import Figure, Line, as_json, as_text, shown, summarise
from benchmarks.rows import IDLE, LOADS, ROWS, RSS, TCP, Entry, Goal, Row
from benchmarks.run import Failure, Plan, Run, Sample
from benchmarks.systems import Launch, Site, System, Tunnel

IPERF3 = {
    "end": {
        "sum_sent": {"bits_per_second": 9.5e9, "retransmits": 2},
        "sum_received": {"bits_per_second": 9.25e9},
    }
}

WRK = """\
Running 1s test @ http://127.0.0.1:20080/
  1 threads and 50 connections
Requests/sec:   6200.10
{"requests":%d,"microseconds":2000000,"bytes":99,"connect":0,"read":%d,"write":0,"status":0,\
"timeout":0,"mean":187.25,"p50":180.00,"p99":400.00}
"""

ROW = {row.key: row for row in ROWS}


def not_launched(site: Site) -> Launch:
    raise AssertionError("a unit test starts no tunnel")


def system(name: str, entries: frozenset[Entry] = TCP, is_mixed: bool = False) -> System:
    return System(name=name, launch=not_launched, entries=entries, is_mixed=is_mixed)


class LoadTests(SynchronousTestCase):
    def test_iperf3(self) -> None:
        reading = read_iperf3(json.dumps(IPERF3))
        self.assertEqual(reading, Reading(9.25, {"sent_gbit_per_second": 9.5}))

    def test_iperf3_says_what_is_wrong(self) -> None:
        text = json.dumps({"error": "the server is busy"})
        error = self.assertRaises(BenchmarkError, read_iperf3, text)
        self.assertIn("the server is busy", str(error))

    def test_iperf3_moved_nothing(self) -> None:
        text = json.dumps(
            {"end": {"sum_sent": {"bits_per_second": 1}, "sum_received": {"bits_per_second": 0}}}
        )
        self.assertRaises(BenchmarkError, read_iperf3, text)

    def test_not_iperf3(self) -> None:
        for text in ("", "[]", "{}", '{"end": []}', "iperf3: error"):
            self.assertRaises(BenchmarkError, read_iperf3, text)

    def test_wrk_rate(self) -> None:
        reading = read_wrk_rate(WRK % (12400, 3))
        self.assertEqual(reading.value, 6200)
        self.assertEqual((reading.details["p99"], reading.details["read"]), (400, 3))

    def test_wrk_latency(self) -> None:
        self.assertEqual(read_wrk_latency(WRK % (10, 0)).value, 187.25)

    def test_wrk_failures_spoil_the_number(self) -> None:
        for text in (WRK % (1000, 11), WRK % (0, 0)):
            self.assertRaises(BenchmarkError, read_wrk_rate, text)
        self.assertEqual(read_wrk_rate(WRK % (1000, 10)).value, 500)

    def test_not_wrk(self) -> None:
        for text in ("", "unable to connect", "{}", "{", '{"requests": "x"}'):
            self.assertRaises(BenchmarkError, read_wrk_latency, text)

    def test_commands(self) -> None:
        self.assertEqual(
            " ".join(iperf3_command(7, 4, streams=8, reverse=True)),
            "iperf3 -J -c 127.0.0.1 -p 7 -t 4 -P 8 -R",
        )
        words = wrk_command(8, 2, connections=1, host="a.example", close=True)
        self.assertEqual(words[:4], ("wrk", "-t1", "-c1", "-d2s"))
        self.assertIn("Host: a.example", words)
        self.assertIn("Connection: close", words)
        self.assertNotIn("-H", wrk_command(8, 2))

    def test_script_is_there(self) -> None:
        """What it writes is what we read."""
        text = loads.REPORT_SCRIPT.read_text(encoding="utf-8")
        for key in ("requests", "microseconds", "mean", "timeout"):
            self.assertIn(f'"{key}":', text)


class RowTests(SynchronousTestCase):
    def test_goals(self) -> None:
        self.assertEqual(str(Goal(1.5)), "≥ 1.5")
        self.assertTrue(Goal(1.5).is_reached(1.5))
        self.assertFalse(Goal(1.5).is_reached(1.49))
        self.assertEqual(str(Goal(0.9, at_least=False)), "≤ 0.9")
        self.assertTrue(Goal(0.9, at_least=False).is_reached(0.9))
        self.assertFalse(Goal(0.9, at_least=False).is_reached(0.91))

    def test_rows_are_the_contract(self) -> None:
        """Goals with TLS off and on, as agreed."""
        self.assertEqual(
            {key: f"{row.goals[False]} {row.goals[True]}" for key, row in ROW.items()},
            {
                **dict.fromkeys(
                    ("bulk-1-up", "bulk-1-down", "bulk-8-up", "bulk-8-down"), "≥ 1.5 ≥ 1.2"
                ),
                "keepalive": "≥ 1 ≥ 1",
                "connections": "≥ 1.2 ≥ 1.2",
                "latency": "≤ 0.9 ≤ 0.9",
                "vhost-keepalive": "≥ 1.5 ≥ 1.5",
                "vhost-connections": "≥ 1.2 ≥ 1.2",
                **dict.fromkeys(("rss-server", "rss-client"), "≤ 1.2 ≤ 1.2"),
                **dict.fromkeys(("idle-server", "idle-client"), "≤ 0.5 ≤ 0.5"),
            },
        )
        self.assertEqual(str(ROW["latency"].mixed_goal), "≤ 1.25")
        self.assertEqual(str(ROW["keepalive"].mixed_goal), "≥ 0.8")

    def test_loads_use_the_port_they_are_given(self) -> None:
        for row in LOADS:
            assert row.command is not None
            words = " ".join(row.command(20123, 3))
            self.assertIn("20123", words)
            self.assertEqual("Host:" in words, row.entry is Entry.VHOST, row.key)
            self.assertEqual("iperf3" in words, row.entry is Entry.BULK, row.key)


def samples(row: str, name: str, *values: float, tls: bool = False) -> list[Sample]:
    return [Sample(number, tls, row, name, value) for number, value in enumerate(values)]


class ReportTests(SynchronousTestCase):
    frp, ours, mixed, other = (
        system("frp"),
        system("tunnelsvc"),
        system("tunnelsvc+frpc", is_mixed=True),
        system("bore"),
    )

    def lines(self, *given: Sequence[Sample], row: str = "keepalive") -> list[Line]:
        every = (self.frp, self.ours, self.mixed, self.other)
        return summarise([sample for some in given for sample in some], [ROW[row]], every)

    def test_figure(self) -> None:
        self.assertEqual(Figure.of([3.0, 1.0, 10.0]), Figure(3.0, 1.0, 10.0))
        self.assertEqual(Figure.of([3.0, 1.0]), Figure(2.0, 1.0, 3.0))
        self.assertIsNone(Figure.of([]))

    def test_ratio_is_of_medians_and_its_spread_of_runs(self) -> None:
        _, ours = self.lines(
            samples("keepalive", "frp", 100, 200, 400),
            samples("keepalive", "tunnelsvc", 220, 210, 200),
        )
        self.assertEqual(ours.figure, Figure(210, 200, 220))
        self.assertEqual((ours.ratio, ours.ratio_least, ours.ratio_most), (1.05, 0.5, 2.2))
        self.assertEqual((ours.goal, ours.reached), ("≥ 1", True))

    def test_who_has_goals(self) -> None:
        frp, ours, mixed, other = self.lines(
            *(
                samples("keepalive", s.name, 79 + 21 * (s is self.frp))
                for s in (self.frp, self.ours, self.mixed, self.other)
            )
        )
        self.assertEqual((frp.goal, other.goal), (None, None))
        self.assertEqual((frp.reached, other.reached), (None, None))
        self.assertEqual((ours.goal, ours.reached), ("≥ 1", False))
        self.assertEqual((mixed.goal, mixed.reached), ("≥ 0.8", False))

    def test_without_frp(self) -> None:
        (line,) = self.lines(samples("keepalive", "tunnelsvc", 100))
        self.assertIsNone(line.ratio)
        self.assertIsNone(line.reached)
        self.assertIn("| – ", as_text([line], [], {}))
        self.assertIn("| ? ", as_text([line], [], {}))
        self.assertIn("Goals reached: 0 of 0.", as_text([line], [], {}))

    def test_frp_missing_in_one_run(self) -> None:
        missing = [Sample(1, False, "keepalive", "frp", 100)]
        _, ours = self.lines(missing, samples("keepalive", "tunnelsvc", 50, 120))
        self.assertEqual((ours.ratio_least, ours.ratio_most), (1.2, 1.2))

    def test_memory_that_does_not_grow(self) -> None:
        lines = self.lines(
            samples("idle-server", "frp", 0),
            samples("idle-server", "tunnelsvc", 5),
            row="idle-server",
        )
        self.assertEqual([line.ratio for line in lines], [None, None])

    def test_tls_settings_are_kept_apart(self) -> None:
        lines = self.lines(
            samples("keepalive", "frp", 100),
            samples("keepalive", "frp", 50, tls=True),
            samples("keepalive", "tunnelsvc", 100, tls=True),
        )
        self.assertEqual([(li.tls, li.ratio) for li in lines], [(False, 1), (True, 1), (True, 2)])

    def test_numbers(self) -> None:
        self.assertEqual(
            [shown(value) for value in (None, 0, 0.123, 0.5, 9.876, 18.04, 187.6, 29712.4)],
            ["–", "0.00", "0.12", "0.50", "9.88", "18.0", "188", "29700"],
        )

    def test_table(self) -> None:
        lines = self.lines(
            samples("keepalive", "frp", 100, 110, 120),
            samples("keepalive", "tunnelsvc", 121, 122, 123),
        )
        failure = Failure(2, True, "", "bore", "never listening\n--- bore: exit status 1")
        self.assertEqual(
            as_text(lines, [failure], {"rathole": "not installed: rathole"}),
            """\
TLS off:

| workload            | unit | system    | median | min – max | × frp | min – max   | goal | reached |
|---------------------|------|-----------|--------|-----------|-------|-------------|------|---------|
| keep-alive requests | 1/s  | frp       | 110    | 100 – 120 | 1.00  | 1.00 – 1.00 |      |         |
|                     |      | tunnelsvc | 122    | 121 – 123 | 1.11  | 1.02 – 1.21 | ≥ 1  | yes     |

Skipped: rathole: not installed: rathole
Failed: bore, start, run 3, TLS on: never listening
Goals reached: 1 of 1.
""",  # noqa: E501
        )

    def test_json_has_everything(self) -> None:
        done = FakeRun(self).made([self.frp, self.ours], rows=[ROW["keepalive"]])
        done.samples.extend(samples("keepalive", "frp", 100))
        done.failures.append(Failure(0, True, "latency", "tunnelsvc", "why"))
        lines = summarise(done.samples, done.plan.rows, done.plan.systems)
        answer = json.loads(as_json({"kernel": "6"}, done, lines, {"bore": "not installed"}))
        self.assertEqual(answer["machine"], {"kernel": "6"})
        self.assertEqual(answer["options"], {"runs": 2, "seconds": 1, "idle": 100})
        self.assertEqual(answer["samples"][0]["value"], 100)
        self.assertEqual(answer["lines"][0]["figure"], {"median": 100, "least": 100, "most": 100})
        self.assertEqual(answer["failures"][0]["reason"], "why")
        self.assertEqual(answer["skipped"], {"bore": "not installed"})


class FakeRun:
    """A `Run` whose tunnels and loads only say that they would have been there."""

    web_port, bulk_port = 1, 2

    def __init__(self, test: SynchronousTestCase) -> None:
        self.events: list[str] = []
        self.broken: set[str] = set()
        self.notices: list[str] = []
        test.patch(run, "PAUSE", 0)
        test.patch(run, "running", self.running)
        test.patch(run, "measure", self.measure)
        test.patch(run, "measure_idle", self.measure_idle)

    def renew_bulk(self) -> None:
        self.events.append("renew")

    def running(self, what: System, site: Site) -> "AbstractContextManager[FakeTunnel]":
        if what.name in self.broken:
            raise BenchmarkError(f"{what.name} is broken")
        return self.tunnel(what.name)

    @contextmanager
    def tunnel(self, name: str) -> "Iterator[FakeTunnel]":
        self.events.append(f"+{name}")
        yield FakeTunnel(name)
        self.events.append(f"-{name}")

    def measure(self, row: Row, tunnel: "FakeTunnel", seconds: int) -> Reading:
        self.events.append(f"{row.key} {tunnel.name}")
        if row.key in self.broken:
            raise BenchmarkError("no load")
        return Reading(float(seconds), {"detail": 1.0})

    def measure_idle(self, tunnel: "FakeTunnel", count: int) -> dict[str, float]:
        self.events.append(f"idle {tunnel.name} {count}")
        if "idle" in self.broken:
            raise BenchmarkError("stuck")
        return {"server": 2048.0, "client": 1024.0}

    def made(self, which: Sequence[System], rows: Sequence[Row], runs: int = 2) -> Run:
        plan = Plan(runs=runs, seconds=1, idle=100, settings=(False,), rows=rows, systems=which)
        return Run(plan=plan, directory=Path("nowhere"), backends=self, notice=self.notices.append)


class FakeTunnel:
    def __init__(self, name: str) -> None:
        self.name = name

    def rss_bytes(self, side: str) -> int:
        if self.name == "dying":
            raise BenchmarkError("has ended")
        return {"server": 3, "client": 5}[side] << 20


class RunTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.fake = FakeRun(self)
        self.a, self.b = system("a"), system("b")

    def test_systems_take_turns(self) -> None:
        """Row by row, and each run begins with another one."""
        rows = [ROW["keepalive"], ROW["latency"]]
        self.fake.made([self.a, self.b], rows).go()
        self.assertEqual(
            self.fake.events,
            [
                *("+a", "+b", "keepalive a", "keepalive b", "latency a", "latency b", "-b", "-a"),
                *("+b", "+a", "keepalive b", "keepalive a", "latency b", "latency a", "-a", "-b"),
            ],
        )

    def test_samples(self) -> None:
        done = self.fake.made([self.a], [ROW["keepalive"], *RSS.values(), *IDLE.values()], runs=1)
        done.go()
        self.assertEqual(
            [(sample.row, sample.value) for sample in done.samples],
            [
                *(("keepalive", 1.0), ("rss-server", 3.0), ("rss-client", 5.0)),
                *(("idle-server", 2.0), ("idle-client", 1.0)),
            ],
        )
        self.assertEqual(done.samples[0].details, {"detail": 1.0})
        self.assertEqual(len(self.fake.notices), 5)

    def test_idle_connections_go_through_a_new_tunnel_each(self) -> None:
        self.fake.made([self.a, self.b], list(IDLE.values()), runs=1).go()
        self.assertEqual(self.fake.events[4:], ["+a", "idle a 100", "-a", "+b", "idle b 100", "-b"])

    def test_bulk_has_an_iperf3_of_its_own(self) -> None:
        self.fake.made([self.a], [ROW["bulk-1-up"], ROW["bulk-8-up"]], runs=1).go()
        self.assertEqual(
            self.fake.events, ["+a", "renew", "bulk-1-up a", "renew", "bulk-8-up a", "-a"]
        )

    def test_rows_that_a_system_lacks(self) -> None:
        done = self.fake.made([self.a], [ROW["vhost-keepalive"]], runs=1)
        done.go()
        self.assertEqual((done.samples, done.failures), ([], []))
        only_web = system("web", entries=frozenset({Entry.VHOST}))
        self.fake.made([only_web], list(IDLE.values()), runs=1).go()
        self.assertNotIn("idle web 100", self.fake.events)

    def test_settings_that_a_system_lacks(self) -> None:
        plan = self.fake.made([self.a, evolve(system("ssh"), tls=(True,))], []).plan
        self.assertEqual([s.name for s in plan.in_turn(0, False)], ["a"])
        self.assertEqual([s.name for s in plan.in_turn(1, True)], ["ssh", "a"])
        self.assertEqual(evolve(plan, systems=[]).in_turn(3, True), [])

    def test_failures_cost_only_their_own_number(self) -> None:
        self.fake.broken = {"a", "latency", "idle"}
        rows = [ROW["latency"], ROW["keepalive"], *IDLE.values()]
        done = self.fake.made([self.a, self.b], rows, runs=1)
        done.go()
        self.assertEqual(
            [(failure.system, failure.row) for failure in done.failures],
            [("a", ""), ("b", "latency"), ("a", "idle"), ("b", "idle")],
        )
        self.assertEqual([sample.row for sample in done.samples], ["keepalive"])
        self.assertIn("FAILED: a is broken", self.fake.notices[0])

    def test_memory_of_the_dead(self) -> None:
        done = self.fake.made([system("dying"), self.b], [RSS["server"]], runs=1)
        done.go()
        self.assertEqual([one.system for one in done.samples], ["b"])
        self.assertEqual([one.reason for one in done.failures], ["has ended"])


class SystemTests(SynchronousTestCase):
    def site(self, made: System, *, tls: bool = True) -> Site:
        directory = Path(self.mktemp()).absolute()
        return systems.make_site(made, directory, tls=tls, backends=(80, 5201))

    def test_ours(self) -> None:
        """As installed, with nothing in the files but what has to be."""
        ours = our_system()
        site = self.site(ours, tls=False)
        launch = ours.launch(site)
        self.assertEqual(launch.server[:5], (sys.executable, "-P", "-m", "tunnelsvc", "server"))
        server = Path(launch.server[-1]).read_text(encoding="utf-8")
        client = Path(launch.clients[0][-1]).read_text(encoding="utf-8")
        self.assertIn(f"bind_port = {site.control_port}\n", server)
        self.assertIn("tls_enable = false\n", client)
        self.assertIn(f"remote_port = {site.user_ports[Entry.BULK]}\n", client)
        self.assertNotIn("pool", server + client)

    def test_mixtures(self) -> None:
        frp, server_ours, client_ours = frp_systems("/frps", "/frpc")
        self.assertEqual(frp.launch(self.site(frp)).server[0], "/frps")
        self.assertFalse(frp.is_mixed)
        launch = server_ours.launch(self.site(server_ours))
        self.assertEqual((launch.server[:4], launch.clients[0][0]), (OUR_COMMAND, "/frpc"))
        launch = client_ours.launch(self.site(client_ours))
        self.assertEqual((launch.server[0], launch.clients[0][:4]), ("/frps", OUR_COMMAND))
        self.assertTrue(server_ours.is_mixed and client_ours.is_mixed)

    def executable(self, name: str, text: str) -> Path:
        path = Path(self.mktemp()).absolute() / name
        path.parent.mkdir(parents=True)
        path.write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
        path.chmod(0o755)
        return path.parent

    def test_newest_frp(self) -> None:
        directory = self.executable("frps-new", "echo 0.70.1")
        for name, version in (("frps-old", "0.9.0"), ("frpc-a", "0.70.1"), ("frpc-b", "0.51.3")):
            (self.executable(name, f"echo {version}") / name).rename(directory / name)
        found = find_frp({"FRP_BIN_DIR": str(directory)})
        self.assertEqual(found, ("0.70.1", f"{directory}/frps-new", f"{directory}/frpc-a"))

    def test_no_frp(self) -> None:
        self.assertRaises(BenchmarkError, find_frp, {})
        lonely = self.executable("frps", "echo 0.70.1")
        self.assertRaises(BenchmarkError, find_frp, {"FRP_BIN_DIR": str(lonely)})

    def test_others_found(self) -> None:
        self.patch(others, "find_program", {"rathole": "/rathole", "ssh": "/ssh"}.get)
        found, missing = others.find_others()
        self.assertEqual([one.name for one in found], ["rathole"])
        self.assertEqual(missing["ssh -R"], "not installed: sshd, ssh-keygen")
        self.assertIn("localtunnel", missing)

    def test_others_are_told_the_ports(self) -> None:
        """Every port that a site has is in the commands or the files that they name."""
        self.patch(others, "find_program", lambda name: f"/nowhere/{name}")
        self.patch(others, "run_to_end", self.make_key)
        self.patch(others, "getuser", lambda: "me")
        found, missing = others.find_others()
        self.assertEqual((len(found), missing), (6, {}))
        for one in found:
            site = self.site(one)
            launch = one.launch(site)
            words = [word for words in (launch.server, *launch.clients) for word in words]
            files = [Path(word).read_text("utf-8") for word in words if Path(word).is_file()]
            text = " ".join((*words, *files))
            ports = set(site.user_ports.values()) | {80}
            for port in ports | ({site.control_port} - {others.BORE_PORT}):
                self.assertIn(str(port), text, one.name)

    @staticmethod
    def make_key(words: Sequence[str]) -> str:
        path = Path(words[-1])
        path.with_suffix(".pub").write_text("ssh-ed25519 AAAA", encoding="ascii")
        return ""

    def test_choice(self) -> None:
        every = [system("a"), system("b")]
        self.assertEqual(systems.chosen(every, []), every)
        self.assertEqual(systems.chosen(every, ["b"]), every[1:])
        error = self.assertRaises(BenchmarkError, systems.chosen, every, ["c"])
        self.assertIn("There is: a, b", str(error))

    def test_one_port_for_all(self) -> None:
        site = self.site(evolve(system("x"), shares_port=True, control_port=7835))
        self.assertEqual(set(site.user_ports.values()), {7835})


LISTEN = """\
import socket, sys, time
with socket.create_server(("127.0.0.1", int(sys.argv[1]))):
    time.sleep(60)
"""


DEAF = """\
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("deaf", flush=True)
time.sleep(60)
"""


class ProgramTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.directory = Path(self.mktemp()).absolute()
        self.programs = programs.Programs(self.directory)
        self.addCleanup(self.programs.stop)

    def python(self, text: str, *words: object) -> programs.Program:
        line = (sys.executable, "-c", text, *map(str, words))
        return self.programs.start(line, "a python")

    def test_started_and_stopped(self) -> None:
        port = programs.free_port()
        program = self.python(LISTEN, port)
        program.wait_until(lambda: programs.is_listened_on(port), "listening")
        self.assertGreater(program.rss_bytes(), 1 << 20)
        self.programs.stop()
        self.assertFalse(programs.is_listened_on(port))
        self.assertEqual(program.rss_bytes(), 0)

    def test_children_count(self) -> None:
        """sshd's memory is mostly that of its children."""
        fork = "import os, time; child = os.fork(); time.sleep(60)"
        program = self.python(fork)

        def has_child() -> bool:
            return len(programs._family(program.process.pid)) == 2

        program.wait_until(has_child, "forked")
        both = program.rss_bytes()
        (child,) = programs._family(program.process.pid) - {program.process.pid}
        self.assertLess(programs._rss_bytes(child), both)
        os.kill(child, 9)

    def test_ended_before(self) -> None:
        program = self.python("print('out of order'); raise SystemExit(3)")
        error = self.assertRaises(BenchmarkError, program.wait_until, lambda: False, "ready")
        self.assertIn("never ready", str(error))
        self.assertIn("exit status 3", str(error))
        self.assertIn("out of order", str(error))

    def test_stubborn(self) -> None:
        self.patch(programs, "TERMINATE_GRACE", 0.1)
        program = self.python(DEAF)
        program.wait_until(lambda: bool(program.log.read_text("utf-8")), "deaf")
        program.stop()
        self.assertEqual(program.process.returncode, -9)

    def test_run_to_end(self) -> None:
        self.assertEqual(programs.run_to_end((sys.executable, "-c", "print(5)")), "5\n")
        fails = (sys.executable, "-c", "raise SystemExit('no luck')")
        error = self.assertRaises(BenchmarkError, programs.run_to_end, fails)
        self.assertIn("no luck", str(error))
        sleeps = (sys.executable, "-c", "import time; time.sleep(60)")
        error = self.assertRaises(BenchmarkError, programs.run_to_end, sleeps, 0.1)
        self.assertIn("didn't end within", str(error))

    def test_ports_are_free_and_new(self) -> None:
        first, second = programs.free_port(), programs.free_port()
        self.assertNotEqual(first, second)
        self.assertIn(first, programs.PORT_RANGE)

    def test_tunnel_memory_by_side(self) -> None:
        server, client = self.python(LISTEN, 0), self.python(LISTEN, 0)
        tunnel = Tunnel(server=server, clients=(client, client), user_ports={})
        client.wait_until(lambda: client.rss_bytes() > 1 << 20, "there")
        server.wait_until(lambda: server.rss_bytes() > 1 << 20, "there")
        self.assertGreater(tunnel.rss_bytes("server"), 1 << 20)
        self.assertGreater(tunnel.rss_bytes("client"), client.rss_bytes())


SERVE_HTTP = """\
import http.server, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if self.headers["Host"] == "bench.tunnel.example" else 404)
        self.end_headers()
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""


class RunningTests(SynchronousTestCase):
    """A system of two Pythons, of which the "client" is itself what users come to."""

    def site(self) -> Site:
        directory = Path(self.mktemp()).absolute()
        made = system("python", frozenset({Entry.WEB}))
        return systems.make_site(made, directory, tls=True, backends=(80, 5201))

    def system(self, server: str, client: str) -> System:
        def launch(site: Site) -> Launch:
            python = (sys.executable, "-c")
            return Launch(
                (*python, server, str(site.control_port)),
                ((*python, client, str(site.user_ports[Entry.WEB])),),
            )

        return evolve(system("python", frozenset({Entry.WEB})), launch=launch)

    def test_ready_when_users_are_answered(self) -> None:
        site = self.site()
        with systems.running(self.system(LISTEN, SERVE_HTTP), site) as tunnel:
            self.assertTrue(systems.answers(tunnel.user_ports[Entry.WEB]))
            self.assertGreater(tunnel.rss_bytes("server"), 1 << 20)
            shown_text = "\n".join(command._describe(tunnel))
        self.assertIn(f"python server: process {tunnel.server.process.pid}", shown_text)
        self.assertIn(f"127.0.0.1:{site.user_ports[Entry.WEB]}", shown_text)
        self.assertFalse(programs.is_listened_on(site.control_port))
        self.assertFalse(systems.answers(site.user_ports[Entry.WEB]))

    def test_program_that_ended(self) -> None:
        """A dead one's memory isn't small, and why it died is told."""
        with systems.running(self.system(LISTEN, SERVE_HTTP), self.site()) as tunnel:
            tunnel.server.stop()
            for error in (
                self.assertRaises(BenchmarkError, tunnel.rss_bytes, "client"),
                self.assertRaises(BenchmarkError, run.measure, self.FAILING, tunnel, 1),
            ):
                self.assertIn("python server has ended", str(error))

    def test_load_that_fails(self) -> None:
        with systems.running(self.system(LISTEN, SERVE_HTTP), self.site()) as tunnel:
            error = self.assertRaises(BenchmarkError, run.measure, self.FAILING, tunnel, 1)
            self.assertIn("no load", str(error))
            working = evolve(self.FAILING, command=lambda port, seconds: (sys.executable, "-c", ""))
            reading = run.measure(evolve(working, read=lambda text: Reading(7, {})), tunnel, 1)
        self.assertEqual(reading.value, 7)

    FAILING = evolve(
        ROW["keepalive"],
        command=lambda port, seconds: (sys.executable, "-c", "raise SystemExit('no load')"),
    )

    def test_client_that_ends(self) -> None:
        site = self.site()
        running = systems.running(self.system(LISTEN, "print('no server')"), site)
        error = self.assertRaises(BenchmarkError, running.__enter__)
        self.assertIn("no server", str(error))
        self.assertFalse(programs.is_listened_on(site.control_port))

    def test_port_taken(self) -> None:
        """What answered there would be measured in its place."""
        with socket.create_server(("127.0.0.1", 0)) as other:
            site = evolve(self.site(), control_port=other.getsockname()[1])
            running = systems.running(self.system(LISTEN, SERVE_HTTP), site)
            error = self.assertRaises(BenchmarkError, running.__enter__)
        self.assertIn("in use", str(error))


class Answering:
    """A service that answers each connection's first bytes."""

    def __init__(self, answer: bytes) -> None:
        self._answer = answer
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port: int = self._listener.getsockname()[1]
        self.users: list[socket.socket] = []
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                user, _ = self._listener.accept()
            except OSError:
                return
            self.users.append(user)
            user.recv(4096)
            if self._answer:
                user.sendall(self._answer)
            else:
                user.close()

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for user in self.users:
            user.close()


class CrowdTests(SynchronousTestCase):
    def crowd(self, answer: bytes) -> hold.Crowd:
        service = Answering(answer)
        self.addCleanup(service.close)
        crowd = hold.Crowd(service.port)
        self.addCleanup(crowd.close)
        return crowd

    def test_grows(self) -> None:
        crowd = self.crowd(b"HTTP/1.1 200 OK\r\n\r\n")
        crowd.grow(3)
        self.assertEqual(len(crowd), 3)
        crowd.grow(120)
        self.assertEqual(len(crowd), 120)

    def test_not_what_we_asked(self) -> None:
        for answer in (b"HTTP/1.1 404 Not Found\r\n\r\n", b""):
            self.assertRaises(BenchmarkError, self.crowd(answer).grow, 1)

    def test_refused(self) -> None:
        crowd = hold.Crowd(programs.free_port())
        self.addCleanup(crowd.close)
        self.assertRaises(BenchmarkError, crowd.grow, 1)

    def test_measured(self) -> None:
        """Bytes per connection, without what the first ones cost."""
        service = Answering(b"HTTP/1.1 200 OK\r\n\r\n")
        self.addCleanup(service.close)
        self.patch(run, "SETTLE", 0)

        class Growing:
            def __init__(self) -> None:
                self.user_ports = {Entry.WEB: service.port}

            def rss_bytes(self, side: str) -> int:
                held = len(service.users)
                return 1000 + held * {"server": 7, "client": 9}[side]

        sizes = run.measure_idle(Growing(), 20)  # type: ignore[arg-type]
        self.assertEqual(sizes, {"server": 7, "client": 9})


class CommandTests(SynchronousTestCase):
    def found(self) -> command.Found:
        return command.Found([system("frp"), system("tunnelsvc"), system("bore")], {}, "0.70.1")

    def plan(self, *arguments: str, files: int = 100_000) -> tuple[Plan, dict[str, str]]:
        found = self.found()
        plan = command.make_plan(command.parse(arguments), found, files)
        return plan, found.skipped

    def test_defaults(self) -> None:
        plan, skipped = self.plan()
        self.assertEqual((plan.runs, plan.seconds, plan.idle), (5, 4, 10_000))
        self.assertEqual((len(plan.systems), len(plan.rows)), (3, len(ROWS)))
        self.assertEqual(plan.settings, (False, True))
        self.assertEqual(skipped, {})

    def test_quick(self) -> None:
        plan, skipped = self.plan("--quick")
        self.assertEqual((plan.runs, plan.seconds, plan.idle), (1, 1, 1000))
        self.assertEqual([one.name for one in plan.systems], ["frp", "tunnelsvc"])
        self.assertIn("--quick", skipped["bore"])
        plan, skipped = self.plan("--quick", "--systems", "bore")
        self.assertEqual([one.name for one in plan.systems], ["bore"])

    def test_choices(self) -> None:
        plan, _ = self.plan("--tls", "on", "--rows", "latency, keepalive", "--runs", "3")
        self.assertEqual((plan.settings, plan.runs), ((True,), 3))
        self.assertEqual([row.key for row in plan.rows], ["keepalive", "latency"])
        self.assertRaises(BenchmarkError, self.plan, "--rows", "speed")

    def test_too_few_descriptors(self) -> None:
        plan, skipped = self.plan(files=4500)
        self.assertEqual(plan.idle, 2000)
        self.assertIn("only 2000", skipped["10000 idle connections"])

    def test_systems_found(self) -> None:
        self.patch(command, "find_others", lambda: ([], {"bore": "not installed: bore"}))
        with patch.dict(os.environ):
            os.environ.pop("FRP_BIN_DIR", None)
            found = command.find_systems()
        self.assertEqual([one.name for one in found.systems], ["tunnelsvc"])
        self.assertEqual(set(found.skipped), {"frp", "bore"})
        self.patch(command, "find_frp", lambda environ: ("0.70.1", "/frps", "/frpc"))
        found = command.find_systems()
        names = [one.name for one in found.systems]
        self.assertEqual(names, ["frp", "tunnelsvc", "tunnelsvc+frpc", "frps+tunnelsvc"])

    def run_command(self, go: Callable[[Run], None], *arguments: str) -> tuple[int, str]:
        """Run it without backends; ``go`` is what the run does instead."""

        @contextmanager
        def no_backends(files: int) -> Iterator[tuple[Path, object]]:
            yield Path("nowhere"), object()

        output = StringIO()
        self.patch(command, "_backends", no_backends)
        self.patch(command, "describe_machine", lambda version: {"frp": version})
        self.patch(command, "require", lambda name: name)
        self.patch(command, "find_systems", self.found)
        self.patch(command, "raise_open_files", lambda: 100_000)
        self.patch(Run, "go", go)
        self.patch(sys, "stdout", output)
        self.patch(sys, "stderr", output)
        return command.main(arguments), output.getvalue()

    def test_table_and_file(self) -> None:
        def go(done: Run) -> None:
            done.samples.extend(samples("keepalive", "frp", 100))
            done.samples.extend(samples("keepalive", "tunnelsvc", 150))

        file = Path(self.mktemp())
        status, output = self.run_command(go, "--quick", "--json", str(file))
        self.assertEqual(status, 0)
        self.assertIn("Goals reached: 1 of 1.", output)
        answer = json.loads(file.read_text(encoding="utf-8"))
        self.assertEqual([line["ratio"] for line in answer["lines"]], [1, 1.5])
        self.assertEqual(answer["machine"]["frp"], "0.70.1")

    def test_interrupted(self) -> None:
        """What was measured is shown."""

        def go(done: Run) -> None:
            done.samples.extend(samples("keepalive", "frp", 123))
            raise KeyboardInterrupt

        status, output = self.run_command(go)
        self.assertEqual(status, 1)
        self.assertIn("| 123 ", output)
        self.assertIn("interrupted", output)

    def test_status_tells_of_failures(self) -> None:
        def go(done: Run) -> None:
            done.failures.append(Failure(0, False, "latency", "bore", "why"))

        status, output = self.run_command(go)
        self.assertEqual(status, 1)
        self.assertIn("Failed: bore, latency, run 1, TLS off: why", output)

    def test_wrong_name(self) -> None:
        status, output = self.run_command(Run.go, "--systems", "ngrok")
        self.assertEqual(status, 1)
        self.assertIn("not here: ngrok", output)

    def test_list(self) -> None:
        status, output = self.run_command(Run.go, "--list")
        self.assertEqual(status, 0)
        self.assertIn("row latency: latency at concurrency 1, µs\n", output)
        self.assertIn("system bore\n", output)

    def test_missing_program_is_named(self) -> None:
        self.patch(backends, "find_program", lambda name: None)
        error = self.assertRaises(BenchmarkError, backends.require, "wrk")
        self.assertIn("apt install wrk", str(error))

    def test_machine(self) -> None:
        facts = machine.describe_machine("0.70.1")
        self.assertEqual(facts["frp"], "0.70.1")
        self.assertTrue(Path(str(facts["tunnelsvc"])).is_dir())
        json.dumps(facts)
