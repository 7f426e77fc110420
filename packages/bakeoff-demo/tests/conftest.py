import sys
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(PACKAGE / "tools"), str(PACKAGE / "src")]
