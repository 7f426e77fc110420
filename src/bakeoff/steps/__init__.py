"""The parent's side of each step: probe, prepare, convert, verify, time. `bakeoff.bake` puts them in order."""
