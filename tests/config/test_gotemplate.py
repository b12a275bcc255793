# -*- test-case-name: tests.config.test_gotemplate -*-
"""Tests of `tunnelsvc.config.gotemplate`."""

from collections.abc import Mapping

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests.config.files import NO_VARIABLES, STEADY
from tunnelsvc.config.gotemplate import MAX_DEPTH, MAX_EXPANDED, TemplateError, expand

ENVIRON = {"A": "1", "PORTS": "1-3"}

# frp's documentation has this, but for the names.
DOCUMENTED = """\
serverAddr = "{{ .Envs.A }}"
{{- range $_, $v := parseNumberRangePair "6000-6001,6007" "7000-7001,7007" }}
[[proxies]]
name = "tcp-{{ $v.First }}"
localPort = {{ $v.First }}
remotePort = {{ $v.Second }}
{{- end }}
"""

PARTS = (
    "{{", "}}", "{{-", "-}}", ".Envs.A", "range ", "end", "$v", " := ", "`1`", "parseNumberRange ",
    "{{ end }}", "{{ range $v := parseNumberRange `1-3` }}",
)  # fmt: skip


class ExpandTests(SynchronousTestCase):
    def assertExpands(
        self, template: str, expected: str, environ: Mapping[str, str] = ENVIRON
    ) -> None:
        self.assertEqual(expand(template, environ), expected, template)

    def assertRefused(self, template: str, what: str, line: int = 1) -> None:
        why = self.assertRaises(TemplateError, expand, template, ENVIRON)
        self.assertIn(what, str(why), template)
        self.assertEqual(why.line, line, template)

    def test_nothing(self) -> None:
        for text in ("", "a = 1\n", "a = {b = {}}\n", "}}"):
            self.assertExpands(text, text)

    def test_variables(self) -> None:
        self.assertExpands("x{{ .Envs.A }}y{{.Envs.A}}{{ $.Envs.A }}", "x1y11")

    def test_values_stay(self) -> None:
        """What a variable holds is not expanded."""
        self.assertExpands("{{ .Envs.X }}", "{{ .Envs.A }}", {"X": "{{ .Envs.A }}"})

    def test_unset(self) -> None:
        self.assertRefused("a\nb = {{ .Envs.NO }}", "variable NO is not set", 2)

    def test_unset_in_comment(self) -> None:
        """A comment may name what isn't there; what is behind a value is no comment."""
        self.assertExpands("  # b = {{ .Envs.NO }}", "  # b = <no value>")
        self.assertRefused("b = 1 # {{ .Envs.NO }}", "not set")

    def test_documented(self) -> None:
        expected = 'serverAddr = "1"'
        for first, second in ((6000, 7000), (6001, 7001), (6007, 7007)):
            expected += (
                f'\n[[proxies]]\nname = "tcp-{first}"\nlocalPort = {first}\nremotePort = {second}'
            )
        self.assertExpands(DOCUMENTED, f"{expected}\n")

    def test_one_range(self) -> None:
        """With one variable it is the element, with two the first is its number."""
        for template in (
            '{{ range parseNumberRange "3,5" }}[{{ . }}]{{ end }}',
            '{{range $v := parseNumberRange "3,5"}}[{{$v}}]{{end}}',
            "{{ range $_, $v := parseNumberRange `3,5` }}[{{ $v }}]{{ end }}",
        ):
            self.assertExpands(template, "[3][5]")
        self.assertExpands(
            '{{ range $i, $v := parseNumberRange "3,5" }}{{ $i }}={{ $v }};{{ end }}', "0=3;1=5;"
        )

    def test_dot_is_a_pair(self) -> None:
        self.assertExpands(
            '{{ range parseNumberRangePair "1" "2" }}{{ .First }}{{ .Second }}{{ end }}', "12"
        )

    def test_arguments(self) -> None:
        """A variable may say which numbers."""
        self.assertExpands("{{ range parseNumberRange .Envs.PORTS }}{{ . }},{{ end }}", "1,2,3,")

    def test_within(self) -> None:
        """A range within a range; the environment has its name from the top there."""
        self.assertExpands(
            '{{ range $a := parseNumberRange "1-2" }}{{ range $b := parseNumberRange "3-4" }}'
            "{{ $a }}{{ $b }}{{ $.Envs.A }} {{ end }}{{ end }}",
            "131 141 231 241 ",
        )
        self.assertRefused('{{ range parseNumberRange "1" }}{{ .Envs.A }}{{ end }}', "only pairs")

    def test_trims(self) -> None:
        self.assertExpands("a \n {{- .Envs.A -}} \n\t b", "a1b")
        self.assertExpands("a {{- /* c */ -}} b", "ab")
        self.assertRefused("{{-.Envs.A}}", "")

    def test_comments(self) -> None:
        self.assertExpands("a{{/* }} {{ */}}b{{ /* x\ny */ }}", "ab")

    def test_texts(self) -> None:
        """A text stands for itself: this is how one writes braces."""
        self.assertExpands('{{ "{{" }} {{ `}}\\` }} {{ "\\"\\\\" }}', '{{ }}\\ "\\')
        self.assertRefused('{{ "\\n" }}', "not supported")

    def test_lines(self) -> None:
        """Of what is wrong the line is told, whatever is before it."""
        self.assertRefused(
            '{{ /*\n\n*/ }}\n{{ range parseNumberRange "1" }}\n', "without {{ end", 4
        )
        self.assertRefused("\n{{ end }}", "{{ end }} without", 2)
        self.assertRefused("\n\n{{ .Envs.A", "{{ without }}", 3)
        self.assertRefused("{{ {{ }}", "{{ without }}", 1)

    def test_not_supported(self) -> None:
        for action in (
            "if .Envs.A", "else", "with .Envs.A", 'printf "%s" .Envs.A', ".Envs.A | len",
            "range .Envs", "template `x`", "define `x`", "len .Envs.A", ".Envs.A-B", ".Envs.A.B",
            "nil", "1", "$x := 1", "", "(.Envs.A)", "range", "range parseNumberRange x", "%",
        ):  # fmt: skip
            self.assertRefused(f"{{{{ {action} }}}}", "of templates, only")

    def test_not_there(self) -> None:
        for name in ("$v", "$v.First", ".First", ".", ".Env.A"):
            self.assertRefused(f"{{{{ {name} }}}}", "here")

    def test_wrong_variables(self) -> None:
        for start in ("$a, $b, $c", "$a $b", "a", "$", "$a,", "$1"):
            self.assertRefused(
                f'{{{{ range {start} := parseNumberRange "1" }}}}{{{{ end }}}}', "not {{ range"
            )
        self.assertRefused('{{ range := parseNumberRange "1" }}{{ end }}', "not {{ range")

    def test_wrong_elements(self) -> None:
        pair = '{{ range $v := parseNumberRangePair "1" "2" }}{{ %s }}{{ end }}'
        self.assertRefused(pair % "$v", "a pair has a .First and a .Second")
        self.assertRefused(pair % "$v.Third", "$v.Third: only pairs have something")
        self.assertRefused('{{ range $v := parseNumberRange "1" }}{{ $v.First }}{{ end }}', "only")

    def test_wrong_numbers(self) -> None:
        start = "{{ range parseNumberRange"
        self.assertRefused(f'{start} "x" }}}}{{{{ end }}}}', "parseNumberRange: not a list of numb")
        self.assertRefused(f'{start} "1" "2" }}}}{{{{ end }}}}', "parseNumberRange takes 1 text")
        self.assertRefused(f'{start}Pair "1" }}}}{{{{ end }}}}', "Pair takes 2 texts")
        self.assertRefused(f'{start}Pair "1-2" "3" }}}}{{{{ end }}}}', "as many numbers in both")

    def test_limits(self) -> None:
        """Neither depth, nor rounds, nor what comes out is without end."""
        inner = '{{ range parseNumberRange "1" }}' * MAX_DEPTH
        self.assertExpands(inner + "x" + "{{ end }}" * MAX_DEPTH, "x")
        self.assertRefused(f'{{{{ range parseNumberRange "1" }}}}{inner}', "more than 4 ranges")
        many = '{{ range parseNumberRange "0-65535" }}'
        self.assertRefused(f"{many}{many}{{{{ end }}}}{{{{ end }}}}", "more than 65536 times")
        long = "x" * (MAX_EXPANDED // 65536 + 1)
        self.assertRefused(f"{many}{long}{{{{ . }}}}{{{{ end }}}}", f"more than {MAX_EXPANDED}")

    def test_soon(self) -> None:
        """Nothing takes longer than its length allows."""
        for part in ("{{", "{{ /*", "{{ `", '{{ "', "{{ /* */ ", "{{ / ", "{{ -"):
            self.assertRaises(TemplateError, expand, part * 100_000, NO_VARIABLES)

    @STEADY
    @given(
        st.lists(
            st.one_of(
                st.text(max_size=5),
                st.sampled_from(PARTS),
            )
        )
    )
    def test_any_template(self, parts: list[str]) -> None:
        """Whatever it is, it is expanded or refused."""
        try:
            expand("".join(parts), ENVIRON)
        except TemplateError as why:
            self.assertGreater(why.line, 0)

    @STEADY
    @given(
        st.text(st.characters(exclude_characters="{")),
        st.text(),
        st.integers(0, 9),
        st.integers(0, 9),
    )
    def test_repeats(self, text: str, value: str, first: int, more: int) -> None:
        """A range is its body for each number; what is in it comes out as it is."""
        template = f'{{{{ range $v := parseNumberRange "{first}-{first + more}" }}}}{text}'
        expected = "".join(f"{text}{n}{value}" for n in range(first, first + more + 1))
        self.assertExpands(
            f"{template}{{{{ $v }}}}{{{{ $.Envs.X }}}}{{{{ end }}}}", expected, {"X": value}
        )
