# -*- test-case-name: tests.config.test_template -*-
"""Tests of `tunnelsvc.config.template`."""

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests.config.files import STEADY
from tunnelsvc.config.template import MAX_ACTION, expand
from tunnelsvc.config.values import BadValueError

ENVIRON = {"HOST": "example.com", "_x1": "one", "EMPTY": "", "LOOP": "{{ .Envs.HOST }}"}


class ExpandTests(SynchronousTestCase):
    def test_variables(self) -> None:
        """Variables are replaced wherever they are, with any blanks inside."""
        for line, expanded in {
            "server_addr = {{ .Envs.HOST }}": "server_addr = example.com",
            "{{.Envs.HOST}}": "example.com",
            "{{\t.Envs.HOST   }}:{{ .Envs._x1 }}": "example.com:one",
            "[{{ .Envs._x1 }}]": "[one]",
            "x = {{ .Envs.EMPTY }}": "x = ",
            "{{ $.Envs._x1 }}": "one",
            "a  {{- .Envs._x1 -}} \t b": "aoneb",
            "a {{- .Envs._x1 }} b {{ .Envs._x1 -}} ": "aone b one",
            "a {{/* c */}} b {{- /* c */ -}} c": "a  bc",
            "x = }} { {": "x = }} { {",
            "": "",
        }.items():
            self.assertEqual(expand(line, ENVIRON), expanded)

    def test_once(self) -> None:
        """What a variable holds is not expanded."""
        self.assertEqual(expand("{{ .Envs.LOOP }}", ENVIRON), "{{ .Envs.HOST }}")

    def test_unset(self) -> None:
        """A variable that isn't set is named."""
        for name in ("NOT_THERE", "host", "Ünset"):
            why = self.assertRaises(BadValueError, expand, f"{{{{ .Envs.{name} }}}}", ENVIRON)
            self.assertEqual(str(why), f"the environment variable {name} is not set")

    def test_other_constructs(self) -> None:
        """Whatever else Go's templates have is refused, and so are loose ends."""
        for line in (
            "{{ range .Envs }}",
            "{{ if .Envs.HOST }}",
            "{{-.Envs.HOST}}",
            "{{ .Envs.HOST-}}",
            "{{ .Envs.HOST | printf }}",
            "{{ .Envs. HOST }}",
            "{{ .Envs.1 }}",
            "{{ .Env.HOST }}",
            "{{ end }}",
            "{{}}",
            "{{/ HOST /}}",
            "{{ {{ .Envs.HOST }} }}",
        ):
            why = self.assertRaises(BadValueError, expand, line, ENVIRON)
            self.assertIn("only {{ .Envs.NAME }} is supported", str(why))

    def test_unclosed(self) -> None:
        """An action ends in the line that it begins in."""
        for line in ("{{", "x = {{ .Envs.HOST }", "{{ .Envs.HOST }} {{ .Envs.HOST"):
            why = self.assertRaises(BadValueError, expand, line, ENVIRON)
            self.assertEqual(str(why), "{{ without }}")

    def test_long(self) -> None:
        """Between the braces there is no room for more; nothing takes longer for its length."""
        blanks = " " * (MAX_ACTION - len(".Envs.HOST"))
        self.assertEqual(expand(f"{{{{.Envs.HOST{blanks}}}}}", ENVIRON), "example.com")
        for line in (
            f"{{{{.Envs.HOST{blanks} }}}}",
            "{{ " * 20_000,
            " {{-" * 16_000,
            "{{ /*" * 9_000,
        ):
            self.assertRaises(BadValueError, expand, line, ENVIRON)

    @STEADY
    @given(st.text(st.sampled_from("{}. EnvsHOST"), max_size=60))
    def test_any_text(self, line: str) -> None:
        """A line is expanded or refused, and without ``{{`` it stays as it is."""
        try:
            expanded = expand(line, ENVIRON)
        except BadValueError:
            self.assertIn("{{", line)
        else:
            if "{{" not in line:
                self.assertEqual(expanded, line)

    @STEADY
    @given(st.text(), st.text().filter(lambda text: "{{" not in text))
    def test_any_value(self, value: str, around: str) -> None:
        """A value is put in as it is, whatever it holds."""
        line = f"{around} {{{{ .Envs.X }}}} {around}"
        self.assertEqual(expand(line, {"X": value}), f"{around} {value} {around}")
