"""The command line: a thin consumer of `Animator`; `poseanimate --help` lists its commands.

Progress and remarks go to stderr, results to stdout.
Exit codes: 0 done, 2 bad input (a sentence and its remedy on stderr), 130 interrupted.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Sequence

from poseanimate.cli import commands
from poseanimate.cli.arguments import build_parser
from poseanimate.cli.reports import JsonLines, Report, Sentences
from poseanimate.errors import PoseAnimateError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return the exit code.

    Raises:
        SystemExit: arguments that argparse refuses (code 2), or `--help` (code 0).
    """
    parser = build_parser(
        commands.animate,
        commands.align,
        commands.draft,
        commands.motions,
        commands.settings,
        commands.cache,
        commands.evaluate,
        commands.doctor,
        commands.judge,
        commands.serve,
    )
    options = parser.parse_args(arguments)
    report: Report = Sentences()
    with contextlib.ExitStack() as stack:
        if getattr(options, "json", False):
            report = JsonLines(sys.stdout)
            # libraries that print must not come between the lines
            stack.enter_context(contextlib.redirect_stdout(sys.stderr))
        stack.callback(report.close)
        try:
            options.command(options, report)
            sys.stdout.flush()
        except PoseAnimateError as error:
            report.fail(error)
            return 2
        except KeyboardInterrupt:
            report.close()
            print("stopped", file=sys.stderr)
            return 130
        except BrokenPipeError:  # the reader of the output has closed it
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.__stdout__.fileno())  # type: ignore[union-attr]
            return 141
    return 0
