"""Speed, measured: ours beside each peer on the same work in the same run, and each primitive beside its limit.

`python -m tests.benchmarks` runs every row but the slow ones and writes RESULTS.md; `--list` names the rows.
"""
