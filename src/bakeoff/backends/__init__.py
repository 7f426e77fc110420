"""One runtime a file. Nothing here is imported by the core: backends come through their entry points."""
