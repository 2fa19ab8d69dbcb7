"""The door: `python run_bench.py --methods lwf,recadam --tasks cola,rte`."""

import sys

from bench.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
