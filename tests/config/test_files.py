# -*- test-case-name: tests.config.test_files -*-
"""Tests of `tunnelsvc.config.files`: which format a file has."""

from pathlib import Path

from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from tests.config.files import NO_VARIABLES, STEADY, ConfigTestCase
from tests.config.test_document import SAME
from tunnelsvc.config import load_client, load_server

EXAMPLES = Path(__file__).parents[2] / "conf"

NOTHING = "not a configuration: neither an INI file with a section [common], nor TOML, YAML or JSON"
NO_COMMON = "there is no section [common]"


class FormatTests(ConfigTestCase):
    def test_content(self) -> None:
        """The content tells, whatever the name."""
        proxy = "  type: tcp\n  localPort: 22\n"
        texts = {
            "toml": 'user = "u"\n[[proxies]]\nname = "a"\ntype = "tcp"\nlocalPort = 22\n',
            "yaml": f"user: u\nproxies:\n- name: a\n{proxy}",
            "json": '{"user": "u", "proxies": [{"name": "a", "type": "tcp", "localPort": 22}]}',
            "ini": "[common]\nuser = u\n[a]\nlocal_port = 22\n",
        }
        configs = []
        for text in texts.values():
            for suffix in (".ini", ".toml", ".yaml", ".json", ""):
                path = self.mktemp() + suffix
                Path(path).write_text(f"\ufeff{text}", encoding="utf-8")
                configs.append(evolve(load_client(path, NO_VARIABLES).config, path=""))
        self.assertEqual([config for config in configs if config != configs[0]], [])
        self.assertEqual((configs[0].user, configs[0].proxies[0].local_port), ("u", 22))

    def test_common(self) -> None:
        """As in frp, it makes the file an INI file, even one that is TOML as well."""
        config = load_client(self.write("[common]\nserver_port = 1\n[a]\nlocal_port = 2\n"), {})
        self.assertEqual(config.config.server_port, 1)
        for heading in (" [ common ] ", "\t[common] # x"):
            self.assertEqual(load_client(self.write(f"{heading}\nuser = x"), {}).config.user, "x")

    def test_meant_as_ini(self) -> None:
        """Files that lack only [common] aren't told about TOML."""
        for text in ("[ssh]\nlocal_port = 22\n", "[Common]\nuser = x\n"):
            self.assertEqual(self.client_says(text), (NO_COMMON,), text)
        problems = self.server_says("bind_port = 7000\n")
        outside = "1: a key before the first section; [common] goes first"
        self.assertEqual(problems, (outside, NO_COMMON))

    def test_meant_as_toml(self) -> None:
        self.assertEqual(
            self.client_says("[log]\nlevel = debug\n"), ("2: not TOML: Invalid value (column 9)",)
        )
        self.assertEqual(
            self.client_says("[[proxies]\n"),
            ("1: not TOML: Expected ']]' at the end of an array declaration (column 10)",),
        )

    def test_nothing(self) -> None:
        for text in ("", "\n\n", "# comment\n", "hello\n"):
            self.assertEqual(self.server_says(text), (NOTHING,))

    def test_empty_tables(self) -> None:
        """Saying nothing, but in a format, is a configuration."""
        self.assertEqual(load_client(self.write("{}"), {}).config.server_port, 7000)

    def test_encoding(self) -> None:
        self.assertEqual(
            self.client_says(b'user = "x"\nclientID = "\xff"\n'),
            ("2: not UTF-8; save the file in that encoding",),
        )

    def test_not_a_file_of_the_role(self) -> None:
        self.assertEqual(self.server_says(SAME["yaml"]), ("proxies: unknown key",))

    def test_templates(self) -> None:
        path = self.write('auth.token = "{{ .Envs.T }}"\nbindPort = {{ .Envs.P }}\n')
        config = load_server(path, {"T": "s3cret", "P": "1"}).config
        self.assertEqual((config.token, config.bind_port), ("s3cret", 1))
        self.assertEqual(
            self.server_says('a = 1\nb = "{{ .Envs.T }}"\n'),
            ("2: the environment variable T is not set",),
        )
        self.assertEqual(
            self.client_says('{{ range parseNumberRange "1-3" }}\na =\n{{ end }}'),
            ("not TOML: Invalid value (column 4); in line 2 of what the templates become",),
        )

    def test_not_even_template(self) -> None:
        """What is before the first action may be a comment, and a template may come first."""
        text = '{{ range $v := parseNumberRange "1-2" }}\n[[proxies]]\nname = "{{ $v }}"\n'
        config = load_client(self.write(f"{text}localPort = 1\n{{{{ end }}}}"), {}).config
        self.assertEqual([proxy.name for proxy in config.proxies], ["1", "2"])


class ExampleTests(ConfigTestCase):
    """conf/*.toml say what conf/*.ini say."""

    def test_server(self) -> None:
        ini, toml = (
            load_server(str(EXAMPLES / f"frps_full.{end}"), NO_VARIABLES) for end in ("ini", "toml")
        )
        self.assertEqual(evolve(ini.config, path=""), evolve(toml.config, path=""))
        self.assertEqual(toml.warnings, ())

    def test_client(self) -> None:
        ini, toml = (
            load_client(str(EXAMPLES / f"frpc_full.{end}"), NO_VARIABLES) for end in ("ini", "toml")
        )
        self.assertEqual(evolve(ini.config, path=""), evolve(toml.config, path=""))
        self.assertEqual(toml.warnings, ())


class PropertyTests(ConfigTestCase):
    @STEADY
    @given(
        st.sampled_from(["", "a = 1\n", "a: 1\n", "{", "[[proxies]]\n", "[ssh]\n", "\ufeff"]),
        st.binary(),
    )
    def test_any_bytes(self, start: str, content: bytes) -> None:
        """Whatever a file holds, it is loaded or refused."""
        self.server_says(start.encode() + content)
        self.client_says(start.encode() + content)
