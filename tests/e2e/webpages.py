# -*- test-case-name: tests.e2e.test_clientpage -*-
"""What tests of the client's page do to it; the browser is that of `tests.e2e.pages`."""

import re
from collections.abc import Callable
from typing import Any, Final, TypeVar

from twisted.trial.unittest import SynchronousTestCase

from tests.e2e.pages import faults_of, in_browser, is_too_wide, open_page, picture_folder

T = TypeVar("T")

# What of axe-core's rules another set of colours can break.
CONTRAST: Final = "color-contrast"


class PageMixin(SynchronousTestCase):
    """Looks at `url`, and at what goes wrong there."""

    url: str
    """The page's."""

    def browse(self, look: Callable[[Any], None], *, forgiven: str = "", **options: Any) -> None:
        """Look at the page.

        Args:
            look: gets Playwright's page.
            forgiven: a regular expression for what the browser may say on the console: of errors
                that are asked for.
            options: see `open_page`.
        """

        def inside(_: object) -> None:
            with open_page(self.url, **options) as watched:
                if forgiven:
                    watched.forgiven.append(re.compile(forgiven))
                look(watched.page)

        in_browser(inside)(self)

    def check_access(self, page: Any, what: str, *rules: str) -> None:
        """Have axe-core look for what keeps people from using the page.

        Args:
            page: as it is now.
            what: its name, if it is faulty.
            rules: by name; none: all there are.
        """
        self.assertEqual(faults_of(page, *rules), [], what)

    def check_width(self, page: Any, what: str) -> None:
        """Nobody has to scroll a page to the side."""
        self.assertFalse(is_too_wide(page), what)

    def picture(self, page: Any, name: str) -> None:
        """Make a screenshot for the documentation, if somebody wants some."""
        folder = picture_folder()
        if folder:
            page.screenshot(path=folder / f"{name}.png")
