"""The child process: protocol, the parent's side (`parent`), the child's side (`child`)."""
