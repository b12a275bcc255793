# -*- test-case-name: tests.config.test_template -*-
"""``{{ .Envs.NAME }}`` in an INI file: the environment variable's value.

frp runs the file through Go's text/template; this form is the one that people use, and the only
one here, with the blanks beside it taken away by ``{{-`` and ``-}}``, and comments. What a variable
holds is never itself expanded. (`tunnelsvc.config.gotemplate` is for the other formats.)
"""

import re
from collections.abc import Mapping
from typing import Final

from tunnelsvc.config.values import BadValueError

# Characters between the braces. Without a limit, many open ones would take long.
MAX_ACTION: Final = 256

_ACTION: Final = re.compile(
    r"(?:\{\{(?!-\s)|(?<!\s)\s*\{\{-(?=\s))"
    rf"(.{{0,{MAX_ACTION}}}?)"
    r"(?:(?<=\s)-\}\}\s*|(?<!\s-)\}\})"
)
_VARIABLE: Final = re.compile(r"\s*\$?\.Envs\.([^\W\d]\w*)\s*")
_COMMENT: Final = re.compile(r"\s*/\*.*\*/\s*")


def expand(line: str, environ: Mapping[str, str]) -> str:
    """Replace the variables of one line.

    Raises:
        BadValueError: a variable isn't set, or there is some other construct of Go's templates.
    """

    def value(action: re.Match[str]) -> str:
        if _COMMENT.fullmatch(action[1]):
            return ""
        variable = _VARIABLE.fullmatch(action[1])
        if variable is None:
            raise BadValueError("of templates, only {{ .Envs.NAME }} is supported")
        if variable[1] not in environ:
            raise BadValueError(f"the environment variable {variable[1]} is not set")
        return environ[variable[1]]

    if "{{" in _ACTION.sub("", line):
        raise BadValueError("{{ without }}")
    return _ACTION.sub(value, line)
