"""What routing is worth: tiers, a pooled budget, and where a cascade begins.

    python bench/routing.py --sections tiers,pool --bank FILE
    python bench/routing.py --sections models --models FILE
    python bench/routing.py --sections live      the embedded model, hours; it resumes

bench/README.md says what is measured.
"""

from __future__ import annotations

import signal
import sys
from pathlib import Path

# As a script this file lies on the path before the package whose name it has.
_HERE = Path(__file__).resolve().parent
sys.path[:] = [str(_HERE.parent), *(part for part in sys.path if Path(part).resolve() != _HERE)]

from bench import routing_live, routing_models, routing_pool, routing_tiers  # noqa: E402
from bench.search import main  # noqa: E402

SECTIONS = {
    "tiers": routing_tiers.run,
    "pool": routing_pool.run,
    "models": routing_models.run,
    "live": routing_live.run,
}

if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        sys.exit(main(sections=SECTIONS, program="bench/routing.py", description=__doc__))
    except KeyboardInterrupt:
        sys.exit(130)
