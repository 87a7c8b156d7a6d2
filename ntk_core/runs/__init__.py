"""What a run is: its spec, its snapshots, its plan, and the networks that train side by side. Import its modules."""
