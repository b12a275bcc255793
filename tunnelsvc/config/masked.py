# -*- test-case-name: tests.config.test_schema -*-
"""Fields whose values never appear in ``repr``."""

from collections.abc import Mapping
from typing import Any, Final

from attrs import field

NO_TEXTS: Final[Mapping[str, str]] = {}


def _mask(value: object) -> str:
    return "'***'" if value else "''"


def _mask_values(mapping: Mapping[str, str]) -> str:
    return repr(dict.fromkeys(mapping, "***"))


def secret(**options: Any) -> Any:
    """Declare a field whose value never appears in ``repr``."""
    return field(default="", repr=_mask, **options)


def secrets() -> Any:
    """Declare a mapping whose values never appear in ``repr``: passwords may be among them."""
    return field(default=NO_TEXTS, repr=_mask_values)
