"""Write `docs/measured.md` and its pictures from the records of benchmarks and ablations in `docs/records`.

    python docs/measured.py

A record is what a command wrote (`quality.csv` of `08_benchmark -p what quality`, `effects.csv` of `06_ablation`);
every number of the page is computed from one here, and a test looks whether the page is current.
"""
from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd

from rock_nb.bench.end_to_end import CONTEST, extrapolated, growth, plot_end_to_end
from rock_nb.bench.quality import summarise

HERE = Path(__file__).parent
RECORDS, PAGE, CURVE = HERE/'records', HERE/'measured.md', HERE/'quality.png'
COSTS = HERE/'end_to_end.png'

TOP = '''# What was measured

Every number on this page is computed from a record in `docs/records` by `python docs/measured.py`;
the command that wrote the record stands above each table. Photographs are public ones, which are
not part of this project. Macro F1 is that of test photographs, with the views of the recipe;
intervals are at 95 %; those over folds allow for shared training photographs (Nadeau and Bengio
2003). Two cores, AVX-512 with bfloat16, no GPU.
'''


def number(value: float, signed: bool = False) -> str:
    "Three decimals; a dash where there is none."
    return '–' if pd.isna(value) else f'{value:{"+" if signed else ""}.3f}'


def table(rows: list[list[str]]) -> str:
    "A table of markdown; the first row is its head."
    head, *body = ['| ' + ' | '.join(row) + ' |' for row in rows]
    return '\n'.join([head, '|' + '---|'*len(rows[0]), *body])


def gain(r: pd.Series, low: str, high: str) -> str:
    "A difference with its interval."
    return f'{number(r.gain, True)} ({number(r[low], True)} to {number(r[high], True)})'


def scored(file: Path, base: str = 'frozen') -> pd.DataFrame:
    "Scores of recipes, beside those of one, and the seconds of a training."
    runs = pd.read_csv(file)
    return summarise(runs, base).assign(seconds=runs.groupby('name').seconds.median())


def quality(file: Path, base: str = 'frozen') -> str:
    "Recipes beside logistic regression on frozen features."
    rows = [['recipe', 'trainings', 'macro F1', f'beside {base}', 'seconds (median)']]
    for name, r in scored(file, base).sort_values('tta').iterrows():
        score = f'{number(r.tta)} ({number(r.low)} to {number(r.high)})'
        beside = '' if name == base else gain(r, 'gain_low', 'gain_high')
        rows.append([f'`{name}`', f'{r.trainings:.0f}', score, beside, f'{r.seconds:.0f}'])
    return table(rows)


def ablation(file: Path) -> str:
    "What one change of a recipe is worth."
    found = pd.read_csv(file, index_col='change').sort_values('gain', ascending=False)
    rows = [['change', 'macro F1', 'gain', 'p, corrected', 'verdict']]
    rows += [
        [f'`{change}`', number(r.f1), gain(r, 'low', 'high'), number(r.p_corrected), r.verdict]
        for change, r in found.iterrows()]
    return table(rows)


def links(file: Path) -> str:
    "Steps over links of a given speed, beside what the model expects of them."
    rows = [['machines', 'gradients', 'link', 'step, s', 'expected, s', 'measured / expected']]
    for r in pd.read_csv(file).itertuples():
        beside = '' if r.link == 'no limit' else f'{r.step/r.expected:.2f}'
        expected = '' if r.link == 'no limit' else f'{r.expected:.2f}'
        bits = dict(none='fp32').get(r.compress, r.compress)
        rows.append([f'{r.machines}', bits, r.link, f'{r.step:.2f}', expected, beside])
    return table(rows)


def costs(file: Path) -> str:
    "What each step takes, by the number of photographs, and what it would take of the contest's."
    found = pd.read_csv(file)
    sizes = sorted(found.photographs.unique())
    last = found[found.photographs == sizes[-1]].set_index('step')
    cells = found.pivot(index='step', columns='photographs', values=['seconds', 'peak'])
    slope, guess = growth(found), extrapolated(found, CONTEST)/60
    rows = [[
        'step', *(f'{n:,}: s' for n in sizes), 'µs a photograph', *(f'{n:,}: MB' for n in sizes),
        'exponent of the seconds', f'{CONTEST:,}: minutes, extrapolated']]
    for step in slope.index:
        told = f'{guess[step]:.1f}' if slope[step] >= 0 else '–'
        rows.append([
            step, *(f'{cells.seconds[n][step]:.1f}' for n in sizes), f'{last.each[step]:,.0f}',
            *(f'{cells.peak[n][step]:,.0f}' for n in sizes), f'{slope[step]:.2f}', told])
    return f'{table(rows)}\n\n![seconds and memory by the number of photographs]({COSTS.name})'


def soak(file: Path) -> str:
    "The memory of a process that has worked for hours."
    rows = [['rounds', 'memory, MB']]
    rows += [[f'{r.rounds}', f'{r.memory}'] for r in pd.read_csv(file).itertuples()]
    return table(rows)


QUALITY = (
    'papermill nbs/08_benchmark.ipynb out.ipynb -p what quality -p contenders frozen,quick '
    '-p data photos -p folds folds.csv -p seeds 1 -p test_folds 0,1,2,3,4 -p out DIR')

ABLATION = (
    'python -m rock_nb.ablation --version d_small --arch tf_efficientnet_lite0 --epochs 3 '
    '--warmup 0.5 --schedule cosine --lr 5e-4 --factors "loss=ce,soft_f1 sampler=balanced '
    'augment=none,winner mix=cutmix img_size=(96,72)" --data photos --folds folds.csv')

LINKS = 'python tests/links.py --epochs 3 --photographs 100 --out links.csv'

# file, title, what was measured, the command, what makes its table
PARTS = [
    ('ablation-seven-types.csv', 'One change at a time',
     '`d_small` for three epochs with EfficientNet-Lite0, on 2,081 photographs of seven rock types: '
     '1,249 to learn from, 416 to choose an epoch by, 416 to test on; every fold in turn, one seed. '
     'Verdicts are corrected for how many changes were looked at (Holm 1979).',
     f'{ABLATION} --test_folds 0,1,2,3,4 --seeds 1 --jobs 2 --threads 1', ablation),
    ('ablation-seven-types-three-seeds.csv', 'One change at a time, three seeds',
     'The same with three seeds on three of the folds, nine pairs of trainings a change. The times in '
     'the record are not to be read: the trainings were stopped now and then.',
     f'{ABLATION} --test_folds 0,1,2 --seeds 1,2,3 --jobs 2 --threads 1', ablation),
    ('quality-25-types.csv', 'Few photographs of many classes',
     '788 photographs of 25 rock types: 475 to learn from, 157 to choose by, 156 to test on; every '
     'fold in turn, one seed.',
     QUALITY, quality),
    ('quality-seven-types.csv', 'Some hundred photographs of seven classes',
     '2,081 photographs of seven rock types: 1,249 to learn from, 416 to choose by, 416 to test on; '
     'every fold in turn, one seed.', QUALITY, quality),
    ('links-two-cores.csv', 'What a link costs a step',
     'ResNet-18 (44.7 MB of gradients in fp32, half of that in bf16), 8 photographs of 32 pixels a '
     'machine, gloo; network namespaces of one machine with two cores, so that four of them compute '
     'on two. Expected is the step over cables without a limit, and the ring of '
     '`rock_nb.bench.scaling` for the link. How much faster several machines are cannot be told '
     'from it: they share the cores.',
     f'{LINKS} --machines 1 2 4 --compress none\n{LINKS} --machines 2 4 --compress bf16', links),
    ('end-to-end-two-cores.csv', 'From a folder to a submission, by the number of photographs',
     'Generated photographs of 300 pixels; the network, EfficientNet-Lite0 with logistic regression '
     'on its features, sees them at 128. Each step is a process of its own, and memory is what it '
     'and those that it started hold. `frozen_again` has two views of each. Parts of other '
     'photographs are looked for among 20,000 at most, so `duplicates` does less of 100,000. '
     f'{CONTEST:,} photographs were not tried: the numbers for them are extrapolated.',
     'python -m rock_nb.bench.end_to_end --photographs 5000,100000 --img_size 128 --csv costs.csv',
     costs),
    ('soak-two-cores.csv', 'Two hours of killing',
     '63 rounds in 125 minutes (29 November 2026), on two cores, at the lowest priority beside other '
     'work. A round draws its photographs, trains on them, trains the same once more in processes '
     'that are killed at random instants until one is through, predicts, and lets two workers of a '
     'queue train it, the first of which is killed. The bits were the same each time; open files '
     'and disk did not grow. Memory is that of the process that goes through all rounds.',
     'python tests/soak.py --minutes 125', soak)]


def page() -> str:
    "The page, as its records say."
    parts = [
        f'## {title}\n\n{about}\n\n```sh\n{command}\n```\n\n{make(RECORDS/name)}\n'
        for name, title, about, command, make in PARTS if (RECORDS/name).exists()]
    return '\n'.join([TOP, *parts])


def draw_quality() -> plt.Figure:
    "Macro F1 of recipes on the collections of the records against the seconds that they take."
    fig, ax = plt.subplots(figsize=(7, 3.2), layout='constrained')
    for name, title, *_, make in PARTS:
        if make is not quality: continue
        found = scored(RECORDS/name).sort_values('seconds')
        reach = found.tta - found.low, found.high - found.tta
        ax.errorbar(found.seconds, found.tta, reach, marker='o', capsize=3, label=title)
        for recipe, r in found.iterrows():
            ax.annotate(recipe, (r.seconds, r.tta), (6, 4), textcoords='offset points')
    ax.set(xscale='log', xlabel='seconds of a training, two cores', ylabel='macro F1, test', ylim=(0, 1))
    ax.set_xticks(ticks := [5, 10, 30, 60, 120, 300], [f'{t}' for t in ticks])
    ax.minorticks_off()
    ax.legend(loc='lower right')
    ax.spines[['top', 'right']].set_visible(False)
    return fig


if __name__ == '__main__':
    PAGE.write_text(page(), encoding='utf-8')
    draw_quality().savefig(CURVE, dpi=110, metadata={'Software': None})
    found = pd.read_csv(RECORDS/'end-to-end-two-cores.csv')
    plot_end_to_end(found).savefig(COSTS, metadata={'Software': None})
