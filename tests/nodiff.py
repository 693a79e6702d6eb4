"""Fails if nbdev_export, nbdev_clean or the README's making would change a file: what is committed must be what the notebooks say."""
import hashlib
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
BIN = Path(sys.executable).parent


def state() -> dict[str, str]:
    files = [*ROOT.glob('nbs/**/*.ipynb'), *ROOT.glob('rock_nb/**/*.py'), ROOT / 'README.md']
    return {
        str(f.relative_to(ROOT)): hashlib.sha256(f.read_bytes()).hexdigest() for f in files
        if f.exists() and '.ipynb_checkpoints' not in f.parts}


def main() -> int:
    before = state()
    for command in (
        [BIN / 'nbdev_export'],
        [BIN / 'nbdev_clean'],
        ['make', '--no-print-directory', 'readme'],
    ):
        subprocess.run(command, cwd=ROOT, check=True)
    after = state()
    changed = sorted(f for f in before.keys() | after.keys() if before.get(f) != after.get(f))
    if changed:
        print(
            'these files changed under nbdev_export, nbdev_clean or make readme; look at `git '
            'diff` and commit them:',
            *changed, sep='\n  ')
    else:
        print('export, clean and README leave no difference')
    return bool(changed)


if __name__ == '__main__': sys.exit(main())
