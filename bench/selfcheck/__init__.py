"""What every method must pass, whatever it does: the tests and `run_bench.py selfcheck` run it."""
