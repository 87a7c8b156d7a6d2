"""Which tasks a worker begins first. Dask begins them in order, and the one whose slot is taken holds up all behind it,
whatever slot they want: the limit, which answers at once, must not stand behind networks that wait.
"""

FIRST = 2  # the limit under a control that has just moved
SOON = 1  # stored results, tables: moments, and a page waits
LATER = 0  # networks, and a limit that takes its time
