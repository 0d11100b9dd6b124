"""Record what the originals print for the programs in `tests/programs/`.

    python tools/record_programs.py [NAME ...]     writes tests/recorded/programs.json
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

TESTS = Path(__file__).resolve().parent.parent / "tests"
TARGET = TESTS / "recorded" / "programs.json"


def main() -> None:
    sys.path.insert(0, str(TESTS))
    import real_programs

    known = json.loads(TARGET.read_text(encoding="utf-8")) if TARGET.exists() else {}
    for name in sys.argv[1:] or real_programs.NAMES:
        known[name] = real_programs.run(name, original=True)
        print(name, real_programs.losses(known[name])[-1])
    TARGET.write_text(json.dumps(known, indent=1, sort_keys=True) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
