"""The log as lines of JSON, for programs: level, place and text, and of each run how it ended."""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime

from poseanimate.ui.server.log_limit import LIMIT

OWN = "poseanimate"


class JsonLines(logging.Formatter):
    """One JSON object a record: time (UTC), level, logger, text; `about`, where the record has it; error, if any."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "text": record.getMessage(),
        }
        line |= getattr(record, "about", {})
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)


def write_json_lines() -> None:
    """Writes the program's own log, with a line for each run, and the server's warnings to stderr as JSON."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    handler.addFilter(_few_warnings)
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
    logging.getLogger(OWN).setLevel(logging.INFO)
    logging.getLogger("uvicorn").handlers.clear()


def _few_warnings(record: logging.LogRecord) -> bool:
    """Runs are few by themselves; what anybody can provoke is limited."""
    return record.levelno < logging.WARNING or LIMIT.filter(record)
