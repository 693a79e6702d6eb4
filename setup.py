"""Package metadata comes from settings.ini (nbdev's file); this only hands it to setuptools."""
from configparser import ConfigParser
from pathlib import Path

from setuptools import find_packages, setup

here = Path(__file__).parent
config = ConfigParser(delimiters=['='])
config.read(here / 'settings.ini', encoding='utf-8')
cfg = config['DEFAULT']
extras = {name: cfg[f'{name}_requirements'].split() for name in ('demo', 'formats', 'queue', 'search', 'serve', 'track', 'dev')}
readme = here / 'README.md'

setup(
    name=cfg['lib_name'],
    version=cfg['version'],
    description=cfg['description'],
    long_description=readme.read_text(encoding='utf-8') if readme.exists() else '',
    long_description_content_type='text/markdown',
    author=cfg['author'],
    author_email=cfg['author_email'],
    url=cfg['git_url'],
    keywords=cfg['keywords'].split(),
    license='Apache-2.0',
    packages=find_packages(include=['rock_nb', 'rock_nb.*']),
    package_data={'rock_nb': ['page/*']},
    python_requires=f">={cfg['min_python']}",
    install_requires=cfg['requirements'].split(),
    extras_require=extras,
    entry_points={'console_scripts': cfg.get('console_scripts', '').split(),
                  'papermill.engine': cfg.get('papermill_engines', '').split(),
                  'nbdev': [f"{cfg['lib_name']}={cfg['lib_name']}._modidx:d"]},
    zip_safe=False,
)
