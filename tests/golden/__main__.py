"""python -m tests.golden [--json] [--known]: a line per case; exit 1 on a disagreement or a file without adapter.

GOLDEN_DIR chooses another folder of the same layout. `--known` leaves out files that have no adapter yet.
"""

from __future__ import annotations

import json
import sys

from tests.golden.case import folder
from tests.golden.suite import run


def main(arguments: list[str]) -> int:
    unknown = set(arguments) - {"--json", "--known"}
    if unknown or not folder().is_dir():
        print(f"usage: python -m tests.golden [--json] [--known]; GOLDEN_DIR={folder()}", file=sys.stderr)
        return 2
    verdicts = run(only_known="--known" in arguments)
    failed = [v for v in verdicts if v.complaints]
    if "--json" in arguments:
        bad = [{"id": v.id, "case": v.case, "complaints": list(v.complaints)} for v in failed]
        print(json.dumps({"cases": len(verdicts), "failed": bad}))
    else:
        for verdict in verdicts:
            print(f"{verdict.id:20} {verdict.case:8} {'; '.join(verdict.complaints) or 'agrees'}")
        print(f"{len(verdicts) - len(failed)} of {len(verdicts)} cases agree")
    return 1 if failed or not verdicts else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
