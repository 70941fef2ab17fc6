"""JUnit XML: how the suite stands with the patch, for servers that show test results.

There is no binding schema; this is the form that pytest writes (`xunit2`), which Jenkins, GitLab
and GitHub's actions read.
"""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from xml.etree.ElementTree import Element, SubElement

from agent.fix.outputs.base import Story
from agent.fix.outputs.safe import line, plain
from agent.fix.report import FixStatus

_SUITE = "regreen fix"
_DETAIL = 4000
_BROKEN = frozenset({FixStatus.ENVIRONMENT, FixStatus.BUDGET})


def render(story: Story) -> bytes:
    """All tests that were looked at: what the patch turns has passed, what it doesn't has failed.

    Flaky ones, and those that can't be run here, count as skipped. Where the suite could not be
    run at all, one test of our own has an error.
    """
    report = story.report
    suite = Element("testsuite", name=_SUITE, time=f"{report.seconds:.3f}")
    _properties(suite, story)
    for name in story.targets.passing:
        _case(suite, name)
    for name in report.fixed:
        _case(suite, name)
    for name in report.still_failing:
        _failure(_case(suite, name), "failure", story.detail(name) or report.reason)
    for name in report.flaky:
        SubElement(_case(suite, name), "skipped", message="flaky: ends now this way, now that way")
    for name, what in report.lacking.items():
        SubElement(_case(suite, name), "skipped", message=line(what))
    if report.status in _BROKEN and not len(suite.findall("testcase")):
        own = SubElement(suite, "testcase", classname="regreen", name="fix", time="0")
        _failure(own, "error", report.reason)
    for kind, counted in (("tests", "testcase"), ("failures", "*/failure"), ("errors", "*/error")):
        suite.set(kind, str(len(suite.findall(counted))))
    suite.set("skipped", str(len(suite.findall("*/skipped"))))
    root = Element("testsuites", name=_SUITE)
    root.append(suite)
    ElementTree.indent(root)
    return b'<?xml version="1.0" encoding="utf-8"?>\n' + ElementTree.tostring(root) + b"\n"


def _properties(suite: Element, story: Story) -> None:
    report = story.report
    properties = SubElement(suite, "properties")
    for name, value in (
        ("status", report.status.value),
        ("reason", report.reason),
        ("confidence", report.confidence),
        ("trust", report.trust),
        ("isolation", report.isolation),
        ("files", " ".join(report.files)),
        ("candidates", str(report.candidates)),
        ("cost", "" if report.cost is None else f"{report.cost:.4f}"),
    ):
        SubElement(properties, "property", name=f"regreen.{name}", value=line(value, 2000))


def _case(suite: Element, test: str) -> Element:
    """A test's element, its id taken apart as pytest does it."""
    path, *within = plain(test).replace("\n", " ").split("::")
    if within and "[" in within[-1]:
        pass
    elif any("[" in part for part in within):  # `::` within a parameter
        place = next(number for number, part in enumerate(within) if "[" in part)
        within = [*within[:place], "::".join(within[place:])]
    module = path.removesuffix(".py").replace("/", ".")
    *classes, name = within or [module]
    classname = ".".join([module, *classes]) if within else ""
    return SubElement(suite, "testcase", classname=classname, name=name, time="0")


def _failure(case: Element, kind: str, detail: str) -> None:
    told = plain(detail)
    last = told.strip().splitlines()[-1] if told.strip() else ""
    SubElement(case, kind, message=line(last)).text = told[-_DETAIL:]
