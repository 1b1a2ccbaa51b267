"""The core process with the campaign's strategy on its path: `python -P hoarding_core.py …`."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1]))

from engine.__main__ import main

if __name__ == "__main__":
    sys.exit(main())
