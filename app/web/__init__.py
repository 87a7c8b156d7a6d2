"""What the server answers beside the pages: streams of runs, files, health; and what all of it shares."""
