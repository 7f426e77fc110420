"""Fetch the JavaScript that is kept in this repository, from the npm registry: `python tools/fetch_vendored.py`.

D3 and Observable Plot go into the report page, axe-core into its tests. Each file must have the SHA-256 that stands
here: for another version, change both and look at the page.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "src" / "bakeoff" / "report" / "html" / "vendor"
TESTS = ROOT / "tests" / "report" / "html" / "vendor"
PACKAGES = (  # package and version, file in it, where it goes, its SHA-256
    (
        "d3@7.9.2",
        "dist/d3.min.js",
        PAGE / "d3.min.js",
        "912111098ea99503a6f4967361d2bbdc9dbf58cf9c678c8e27e5b02d1a07f0c1",
    ),
    (
        "d3@7.9.2",
        "LICENSE",
        PAGE / "d3.LICENSE",
        "2a6d2d5f32ba0b755ddbc1c833f766e30cdbe6ebe9a6d4e3e24427721f0b63d3",
    ),
    (
        "@observablehq/plot@0.6.17",
        "dist/plot.umd.min.js",
        PAGE / "plot.umd.min.js",
        "4358086467740777dd788d6b27a95cebdbaefdd50c730a3060117073bd7134cb",
    ),
    (
        "@observablehq/plot@0.6.17",
        "LICENSE",
        PAGE / "plot.LICENSE",
        "4b295e011e0e046170041b5b46f1349393aeceb95797793a55bd21dbb543363a",
    ),
    (
        "axe-core@4.14.1",
        "axe.min.js",
        TESTS / "axe.min.js",
        "29348999450cdf2849a8e70b7912fc2da85a849da39c0d0d5394f51d4a9ed95c",
    ),
    (
        "axe-core@4.14.1",
        "LICENSE",
        TESTS / "axe.LICENSE",
        "af175b9d96ee93c21a036152e1b905b0b95304d4ae8c2c921c7609100ba8df7e",
    ),
)


def main() -> int:
    """Fetch all packages and put their files in place; nothing is written where a digest differs."""
    with tempfile.TemporaryDirectory() as folder:
        archives = {package: _pack(package, Path(folder)) for package in dict.fromkeys(one[0] for one in PACKAGES)}
        for package, name, target, digest in PACKAGES:
            with tarfile.open(archives[package]) as archive:
                member = archive.extractfile(f"package/{name}")
                data = b"" if member is None else member.read()
            if hashlib.sha256(data).hexdigest() != digest:
                print(f"{package}: {name} has another SHA-256 than this script says; nothing more was written")
                return 1
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(data)
            print(f"{target.relative_to(ROOT)}: {len(data)} bytes of {package}")
    return 0


def _pack(package: str, folder: Path) -> Path:
    command = ["npm", "pack", "--silent", "--pack-destination", str(folder), package]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return folder / done.stdout.strip().splitlines()[-1]


if __name__ == "__main__":
    sys.exit(main())
