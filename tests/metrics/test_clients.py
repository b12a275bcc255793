# -*- test-case-name: tests.metrics.test_clients -*-
"""Tests of `tunnelsvc.metrics.clients`."""

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tests.metrics.test_traffic import NOON, Time
from tunnelsvc.metrics.clients import ClientStats, ClientTable
from tunnelsvc.metrics.retention import MOST_REMEMBERED, REMEMBERED_SECONDS


class ClientTableTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.time = Time()
        self.table = ClientTable(self.time)

    def login(self, run_id: str, user: str = "", client_id: str = "", **facts: Any) -> ClientStats:
        values = {
            "version": "0.33.0",
            "address": "192.0.2.1",
            "os": "linux",
            "arch": "amd64",
            "hostname": "box",
            "wire_protocol": "v1",
        }
        return self.table.online(run_id, user=user, client_id=client_id, **values | facts)

    def keys(self) -> list[str]:
        return [client.key for client in self.table.all()]

    def test_keys(self) -> None:
        self.assertEqual(self.login("r1").key, "r1")
        self.assertEqual(self.login("r2", user="alice").key, "alice.r2")
        self.assertEqual(self.login("r3", client_id="laptop").key, "laptop")
        self.assertEqual(self.login("r4", user="alice", client_id="laptop").key, "alice.laptop")
        self.assertEqual(self.table.online_count, 4)

    def test_the_facts_of_a_login(self) -> None:
        client = self.login("r1", user="alice", hostname="héber")
        self.assertIs(self.table.get("alice.r1"), client)
        self.assertEqual(client.hostname, "héber")
        self.assertEqual(client.shown_id, "r1")
        self.assertTrue(client.online)
        self.assertEqual(client.first_connected_at, NOON)
        self.assertIsNone(client.disconnected_at)

    def test_sorted_by_user_and_id(self) -> None:
        self.login("r1", user="bob")
        self.login("r9", user="alice")
        self.login("r8", user="alice")
        self.login("r0")
        self.assertEqual(self.keys(), ["r0", "alice.r8", "alice.r9", "bob.r1"])

    def test_goes_offline(self) -> None:
        self.login("r1")
        self.time.seconds += 5
        self.table.offline("r1")
        client = self.table.get("r1")
        assert client is not None
        self.assertFalse(client.online)
        self.assertEqual(client.disconnected_at, NOON + 5)
        self.assertEqual(self.table.online_count, 0)
        self.assertIsNone(self.table.by_run_id("r1"))

    def test_comes_back_with_the_same_run_id(self) -> None:
        self.login("r1")
        self.table.offline("r1")
        self.time.seconds += 5
        client = self.login("r1")
        self.assertEqual(client.first_connected_at, NOON)
        self.assertEqual(client.last_connected_at, NOON + 5)
        self.assertIsNone(client.disconnected_at)
        self.assertEqual(self.keys(), ["r1"])
        self.time.seconds += 2 * REMEMBERED_SECONDS
        self.assertEqual(self.keys(), ["r1"])

    def test_a_client_with_an_id_comes_back_with_another_run_id(self) -> None:
        self.login("r1", client_id="laptop")
        self.login("r2", client_id="laptop")
        self.table.offline("r1")
        client = self.table.get("laptop")
        assert client is not None
        self.assertTrue(client.online)
        self.assertEqual((client.run_id, client.shown_id), ("r2", "laptop"))
        self.assertEqual(self.table.online_count, 1)

    def test_a_login_that_changes_its_user(self) -> None:
        self.login("r1", user="alice", client_id="laptop")
        self.login("r1", user="bob", client_id="laptop")
        online = {client.key: client.online for client in self.table.all()}
        self.assertEqual(online, {"alice.laptop": False, "bob.laptop": True})

    def test_a_restart_of_a_nameless_client_leaves_no_second_record(self) -> None:
        self.login("r1")
        self.login("other", hostname="elsewhere")
        self.table.offline("r1")
        self.table.offline("other")
        self.login("r2")
        self.assertEqual(self.keys(), ["other", "r2"])

    def test_a_restart_forgets_nobody_with_an_id(self) -> None:
        self.login("r1", client_id="laptop")
        self.table.offline("r1")
        self.login("r2")
        self.assertEqual(self.keys(), ["laptop", "r2"])

    def test_an_unknown_login_ends(self) -> None:
        self.table.offline("never seen")
        self.assertEqual(self.keys(), [])

    def test_forgotten_after_a_week(self) -> None:
        self.login("r1")
        self.table.offline("r1")
        self.time.seconds += REMEMBERED_SECONDS
        self.assertEqual(self.keys(), ["r1"])
        self.time.seconds += 1
        self.assertIsNone(self.table.get("r1"))

    def test_many_offline(self) -> None:
        for number in range(MOST_REMEMBERED + 10):
            self.login(f"r{number}", hostname=f"host{number}")
        self.assertEqual(len(self.keys()), MOST_REMEMBERED + 10)
        for number in range(MOST_REMEMBERED + 10):
            self.table.offline(f"r{number}")
        self.assertEqual(len(self.keys()), MOST_REMEMBERED)
        self.assertIsNone(self.table.get("r9"))
        self.assertIsNotNone(self.table.get("r10"))
