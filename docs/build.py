"""The project's pages: README, docs and every notebook without its hidden cells, as a site in `_docs`; a broken link is an error.

    python docs/build.py            # or `make docs`
"""
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
from nbconvert import MarkdownExporter

ROOT = Path(__file__).resolve().parents[1]
SOURCE = ROOT / '_proc' / 'pages'      # what the site is made of, laid out as in the repository, so that links hold
SITE = ROOT / '_docs'
WINGS = ('core', 'data', 'model', 'evaluation', 'training', 'speed', 'distributed', 'jobs', 'bench')

CONFIG = '''site_name: rock_nb
docs_dir: {source}
site_dir: {site}
use_directory_urls: false
theme: {{name: readthedocs, highlightjs: true, hljs_languages: [python], navigation_depth: 3, titles_only: true}}
plugins: [search]
extra_css: [pages.css]
validation: {{links: {{not_found: warn, anchors: warn, absolute_links: warn, unrecognized_links: warn}}}}
markdown_extensions: [tables, fenced_code, toc, md_in_html]
nav: {nav}
'''


STYLE = '''.wy-nav-content { max-width: 1100px }
.wy-table-responsive table td, .wy-table-responsive table th { white-space: normal }
'''


def to_pages(text: str) -> str:
    "Markdown whose links to notebooks lead to their pages."
    return re.sub(r'(\]\([^()#:]+)\.ipynb\b', r'\1.md', text)


def page(file: Path, place: Path) -> None:
    "Write a notebook as readers see it: without hidden cells and nbdev's directives, its figures beside it."
    notebook = nbformat.read(file, 4)
    shown = []
    for cell in notebook.cells:
        if re.search(r'^#\|\s*(hide|default_exp)\b', cell.source, re.M): continue
        cell.source = re.sub(r'^#\|.*\n?', '', cell.source, flags=re.M)
        if cell.source.strip(): shown.append(cell)
    notebook.cells = shown
    text, extra = MarkdownExporter().from_notebook_node(notebook, dict(unique_key=f'{file.stem}_files', output_files_dir=f'{file.stem}_files'))
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(to_pages(text), encoding='utf-8')
    for name, data in extra['outputs'].items():
        (place.parent / name).parent.mkdir(exist_ok=True)
        (place.parent / name).write_bytes(data)


def title(page: Path) -> str:
    "The first heading of a page."
    return re.search(r'^#\s+(.+)', page.read_text(encoding='utf-8'), re.M)[1]


def collect() -> list:
    "Copy everything to `SOURCE`; the site's table of contents."
    shutil.rmtree(SOURCE, ignore_errors=True)
    for file in (*ROOT.glob('*.md'), *ROOT.glob('docs/*.md')):
        place = SOURCE / file.relative_to(ROOT)
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(to_pages(file.read_text(encoding='utf-8')), encoding='utf-8')
    for file in ROOT.glob('docs/*.png'): shutil.copy(file, SOURCE / 'docs' / file.name)
    books = {}
    for file in sorted(ROOT.glob('nbs/**/*.ipynb')):
        if '.ipynb_checkpoints' in file.parts or file.name == 'index.ipynb': continue
        name = file.relative_to(ROOT).with_suffix('.md').as_posix()
        page(file, SOURCE / name)
        books.setdefault(file.parent.name, []).append({title(SOURCE / name): name})
    more = [{f.stem.replace('_', ' ').capitalize(): f'docs/{f.name}'} for f in sorted(ROOT.glob('docs/*.md'))]
    rooms = [{'Run': books.pop('nbs')}]
    rooms += [{'Tutorials': books.pop('tutorials')}] if 'tutorials' in books else []
    rooms += [{folder.capitalize(): books.pop(folder)} for folder in WINGS if folder in books]
    rooms += [{folder.capitalize(): pages} for folder, pages in books.items()]
    (SOURCE / 'pages.css').write_text(STYLE)
    return [{'rock_nb': 'README.md'}, *rooms, {'More': [*more, {'Changes': 'CHANGELOG.md'}, {'Contributing': 'CONTRIBUTING.md'}]}]


def main() -> int:
    nav = collect()
    config = SOURCE.parent / 'mkdocs.yml'
    config.write_text(CONFIG.format(source=SOURCE, site=SITE, nav=json.dumps(nav, ensure_ascii=False)), encoding='utf-8')
    built = subprocess.run([sys.executable, '-m', 'mkdocs', 'build', '--strict', '--quiet', '--clean', '-f', str(config)])
    if not built.returncode: print(f'{len(list(SITE.rglob("*.html")))} pages: {SITE / "index.html"}')
    return built.returncode


if __name__ == '__main__': sys.exit(main())
