"""Odd but valid tables and folders, each with its right outcome, and those that are refused, each with its sentence."""
import json
import os
import unicodedata
from pathlib import Path

import pandas as pd
import pytest
from PIL import Image

from conftest import TINY
from rock_nb.core import BadInput, Run
from rock_nb.data.image_lists import find_images
from rock_nb.data.table import fingerprint, read_data

CLASSES = ('Basalt', 'Granite', 'Marble')
PNG = None


@pytest.fixture(scope='module')
def stone(tmp_path_factory) -> Path:
    "One tiny photograph, of which all others are hard links."
    file = tmp_path_factory.mktemp('stone') / 'stone.jpg'
    Image.new('RGB', (8, 6), (90, 80, 70)).save(file)
    return file


@pytest.fixture
def d(tmp_path, stone) -> Path:
    "An empty folder that can be filled with photographs."
    Folder.stone = stone
    return Folder(tmp_path / 'photos')


class Folder(type(Path())):
    "A folder with short ways to put photographs and tables into it."
    stone: Path

    def photos(self, *paths):
        for p in paths:
            (self / p).parent.mkdir(parents=True, exist_ok=True)
            os.link(self.stone, self / p)
        return self

    def tree(self, below='', n=4, classes=CLASSES, start=0, ending='.jpg'):
        top = f'{below}/' if below else ''
        return self.photos(
            *(f'{top}{c}/{c}{i}{ending}' for c in classes for i in range(start, start + n)))

    def flat(self, n=4, below='images', ending='.jpg') -> list[tuple[str, str]]:
        "Photographs in one folder; their paths and classes."
        rows = [(f'{below}/{c}{i}{ending}', c) for c in CLASSES for i in range(n)]
        self.photos(*(p for p, _ in rows))
        return rows

    def text(self, name, *lines, encoding='utf-8') -> Path:
        (self / name).parent.mkdir(parents=True, exist_ok=True)
        (self / name).write_bytes('\n'.join([*lines, '']).encode(encoding))
        return self / name


def outcome(data) -> dict[str, int]:
    "How many photographs are in each part: train, valid (fold 0 beside fold -1), test."
    fold = data.train.fold if 'fold' in data.train else pd.Series(-1, data.train.index)
    found = dict(
        train=int((fold != 0).sum()), valid=int((fold == 0).sum()),
        test=0 if data.test is None else len(data.test))
    return {p: n for p, n in found.items() if n}


def by_name(data) -> bool:
    "Whether every photograph has the class that its file is called by."
    frames = [data.train] + ([data.test] if data.test is not None and 'label' in data.test else [])
    return all(Path(p).name.startswith(c) for f in frames for p, c in zip(f.path, f.label))


def refused(source, says, **how):
    with pytest.raises(BadInput) as e: read_data(source, **how)
    assert says in str(e.value), str(e.value)
    assert '\n' not in str(e.value) and len(str(e.value)) < 700
    return str(e.value)


def said(data, what) -> bool: return any(what in n for n in data.notes)


# --- tables as people have them

@pytest.mark.parametrize('encoding', ['utf-8', 'utf-8-sig', 'utf-16', 'utf-16-le', 'utf-16-be', 'utf-32', 'cp1252'])
@pytest.mark.parametrize('sep', [',', ';', '\t', '|', ', '])
def test_encodings_and_separators(d, encoding, sep):
    rows = d.flat()
    file = d.text(
        'own.csv',
        *(
            sep.join(r)
            for r in [
                ('file', 'Gestein'), *((p, c.replace('Marble', 'Marmor grün')) for p, c in rows)]),
        encoding=encoding)
    data = read_data(file)
    assert data.classes == ('Basalt', 'Granite', 'Marmor grün') and outcome(data) == dict(train=12)
    assert said(data, 'not UTF-8') == (not encoding.startswith('utf-8'))


@pytest.mark.parametrize('encoding, names', [('cp949', '현무암 화강암 대리암'), ('utf-16', '현무암 화강암 대리암'), ('cp932', '玄武岩 花崗岩 大理石'), ('gb18030', '玄武岩 花岗岩 大理石'),
                                             ('cp1251', 'Базальт Гранит Мрамор'), ('cp1252', 'Basålt Gränit Märmör')])
def test_languages(d, encoding, names):
    names = dict(zip(CLASSES, names.split()))
    file = d.text(
        'list.csv', '파일,label' if encoding == 'cp949' else 'file,label',
        *(f'{p},{names[c]}' for p, c in d.flat()), encoding=encoding)
    data = read_data(file)
    assert data.classes == tuple(sorted(names.values())) and said(data, f'is read as {encoding}')


@pytest.mark.parametrize('column', ['image', 'img', 'filepath', 'file_path', 'image_name', 'Image Name', 'name', 'file_name', 'FileName', 'file-name', 'photo', 'id', 'image_id', 'Datei'])
def test_columns_of_paths(d, column):
    assert by_name(
        read_data(d.text('own.csv', f'rock,{column}', *(f'{c},{p}' for p, c in d.flat()))))


@pytest.mark.parametrize('write', ['stem', 'name', 'windows', 'dot', 'other machine', 'windows machine', 'folder above', 'absolute', 'address'])
def test_ways_to_write_a_path(d, write):
    ways = dict(
        stem=lambda p: Path(p).stem, name=lambda p: Path(p).name,
        windows=lambda p: p.replace('/', '\\'), dot=lambda p: f'./{p}',
        absolute=lambda p: str(d / p)) | { 'other machine': lambda p: f'/home/anna/rocks/{p}',
        'windows machine': lambda p: 'C:\\rocks\\' + p.replace('/', '\\'),
        'folder above': lambda p: f'photos/{p}',
        'address': lambda p: f'https://rocks.org/{p}?size=full'}
    rows = d.flat()
    if write == 'folder above':
        d.rename(d.parent / 'moved')
        (d.parent / 'top').mkdir()
        (d.parent / 'moved').rename(d.parent / 'top' / 'photos')
    here = Folder(d.parent / 'top') if write == 'folder above' else d
    data = read_data(
        here.text('own.csv', 'image,label', *(f'{ways[write](p)},{c}' for p, c in rows)))
    assert by_name(data) and outcome(data) == dict(train=12)


@pytest.mark.parametrize('form', ['NFC', 'NFD'])
@pytest.mark.parametrize('disk', ['NFC', 'NFD', 'mixed'])
def test_forms_of_unicode(d, form, disk):
    there = {
        'mixed': lambda t: (
            unicodedata.normalize('NFC', t.split('/')[0]) + '/'
            + unicodedata.normalize('NFD', t.split('/')[1]))
    }.get(disk, lambda t: unicodedata.normalize(disk, t))
    paths = [f'Grünstein/ä{i}.jpg' for i in range(4)] + [f'Höhle/ö{i}.jpg' for i in range(4)]
    d.photos(*map(there, paths))
    table = d.text(
        'own.csv', 'path,rock',
        *(unicodedata.normalize(form, f'{p},{p.split("/")[0]}') for p in paths))
    for source in (table, d):
        assert read_data(source).classes == ('Grünstein', 'Höhle')
    folds = d.text(
        'folds.csv', 'path,fold',
        *(unicodedata.normalize(form, f'{p},{i % 2}') for i, p in enumerate(paths)))
    table.unlink()
    assert sorted(read_data(d, folds=folds).train.fold) == [0]*4 + [1]*4


def test_one_class_in_two_forms_is_one(d):
    d.photos(
        'Grünstein/1.jpg', unicodedata.normalize('NFD', 'Grünstein') + '/2.jpg', 'Tuff/3.jpg',
        'Tuff/4.jpg')
    assert read_data(d).counts.to_dict() == {'Grünstein': 2, 'Tuff': 2}


def write(d, kind, rows) -> Path:
    "The same table as a file of a kind."
    frame = pd.DataFrame(rows, columns=['file_name', 'label'])
    if kind == 'xlsx':
        pytest.importorskip('openpyxl')
        frame.to_excel(d / 'metadata.xlsx', index=False)
    if kind == 'parquet':
        pytest.importorskip('pyarrow')
        frame.to_parquet(d / 'metadata.parquet')
    if kind == 'jsonl':
        d.text('metadata.jsonl', *(json.dumps(r) for r in frame.to_dict('records')))
    if kind == 'json': d.text('metadata.json', frame.to_json(orient='records'))
    if kind == 'columns':
        kind = 'json'
        d.text(
            'metadata.json',
            frame.to_json(orient='list') if False else json.dumps(frame.to_dict('list')))
    if kind == 'mapping':
        kind = 'json'
        d.text('metadata.json', json.dumps(dict(rows)))
    if kind in ('csv', 'tsv'):
        frame.to_csv(d / f'metadata.{kind}', sep=',\t'[kind == 'tsv'])
    if kind == 'list':
        kind = 'txt'
        d.text('metadata.txt', *(f'{p} {c}' for p, c in rows))
    if kind == 'numbers':
        kind = 'txt'
        d.text('metadata.txt', *(f'{p} {CLASSES.index(c)}' for p, c in rows))
        d.text('classes.txt', *CLASSES)
    if kind == 'no header':
        kind = 'csv'
        d.text('metadata.csv', *(f'{p},{c}' for p, c in rows))
    if kind == 'coco':
        kind = 'json'
        d.text(
            'metadata.json',
            json.dumps(
                dict(
                    images=[dict(id=i, file_name=p) for i, (p, c) in enumerate(rows)],
                    categories=[dict(id=5 + k, name=c) for k, c in enumerate(CLASSES)],
                    annotations=[
                        dict(id=i, image_id=i, category_id=5 + CLASSES.index(c))
                        for i, (p, c) in enumerate(rows)])))
    if kind == 'studio':
        kind = 'json'
        d.text(
            'metadata.json',
            json.dumps(
                [
                    dict(
                        id=i, data=dict(image=f'/data/upload/7/0f9a3c1b-{Path(p).name}'),
                        annotations=[
                            dict(
                                was_cancelled=False,
                                result=[dict(type='choices', value=dict(choices=[c]))])])
                    for i, (p, c) in enumerate(rows)]))
    if kind == 'studio csv':
        kind = 'csv'
        d.text(
            'metadata.csv', 'annotation_id,annotator,choice,created_at,id,image,lead_time',
            *(
                f'{i},1,{c},2024-01-01,{i},/data/local-files/?d={p},{i}.25'
                for i, (p, c) in enumerate(rows)))
    return d / f'metadata.{kind}'


@pytest.mark.parametrize('found', [False, True])
@pytest.mark.parametrize('kind', ['xlsx', 'parquet', 'jsonl', 'json', 'columns', 'mapping', 'csv', 'tsv', 'list', 'numbers', 'no header', 'coco', 'studio', 'studio csv'])
def test_kinds_of_files(d, kind, found):
    file = write(d, kind, d.flat())
    data = read_data(d if found else file)
    assert data.classes == CLASSES and by_name(data) and outcome(data) == dict(train=12)


def test_class_names_of_hugging_face(d):
    "The integers of a `ClassLabel` are names in the schema's metadata."
    pa = pytest.importorskip('pyarrow')
    import pyarrow.parquet as parquet
    rows = d.flat()
    about = dict(
        info=dict(
            features=dict(
                file_name=dict(dtype='string', _type='Value'),
                label=dict(names=list(CLASSES), _type='ClassLabel'))))
    table = pa.table(
        dict(file_name=[p for p, _ in rows], label=[CLASSES.index(c) for _, c in rows]))
    parquet.write_table(
        table.replace_schema_metadata({'huggingface': json.dumps(about)}), d / 'metadata.parquet')
    assert by_name(read_data(d))
    parquet.write_table(
        pa.table(dict(image=[dict(bytes=b'x', path='1.jpg')], label=[0])), d / 'own.parquet')
    refused(d / 'own.parquet', 'holds the images themselves')


def test_quotes_commas_and_blank_lines(d):
    d.photos('a, b.jpg', 'c;d.jpg', 'e.jpg', 'f g.jpg')
    data = read_data(
        d.text(
            'own.csv', '', 'file;rock', '"a, b.jpg";Tuff', '"c;d.jpg";"Tuff"', '', 'e.jpg;Gneiss;',
            'f g.jpg; Gneiss '))
    assert data.train.path.tolist() == [
        'a, b.jpg', 'c;d.jpg', 'e.jpg', 'f g.jpg'] and data.classes == ('Gneiss', 'Tuff')
    refused(
        d.text('own.csv', 'file,rock', 'a, b.jpg,Tuff', 'e.jpg,Tuff'),
        'line 2 has 3 cells, 2 expected')


# --- which column is the class

def test_one_column_left_is_the_class(d):
    rows = d.flat()
    data = read_data(
        d.text(
            'own.csv', 'file,lithology,weight,note',
            *(f'{p},{c},{i + 0.25},' for i, (p, c) in enumerate(rows))))
    assert by_name(data) and said(data, 'the class is the column lithology')


def test_several_columns_are_asked_about(d):
    file = d.text(
        'own.csv', 'file,lithology,collector,year',
        *(f'{p},{c},{"AB"[i % 2]},{2019 + i // 2 % 2}' for i, (p, c) in enumerate(d.flat())))
    says = refused(file, 'several columns that could be the class: lithology, collector, year')
    assert '`label`' in says and '`target`' in says
    assert by_name(read_data(file, label='lithology')) and read_data(
        file, label='collector').classes == ('A', 'B')
    assert (
        len(read_data(file, label='lithology,collector').classes) == 6
        and 'year' in read_data(file, label='lithology').train)
    refused(
        file, "no column 'colour' for `label`; it has lithology, collector, year", label='colour')
    refused(d, 'names a column', label='lithology') if not file.unlink() else None


def test_two_columns_of_classes(d):
    rows = d.flat()
    file = d.text('own.csv', 'file,class,target', *(f'{p},{c},{CLASSES.index(c)}' for p, c in rows))
    assert by_name(read_data(file))
    file = d.text('own.csv', 'file,target,class', *(f'{p},{CLASSES.index(c)},{c}' for p, c in rows))
    assert by_name(read_data(file))
    refused(
        d.text(
            'own.csv', 'file,class,category', *(f'{p},{c},{i % 2}' for i, (p, c) in enumerate(rows))
        ),
        'several columns of classes: class, category')


@pytest.mark.parametrize('yes, no', [('1', '0'), ('1.0', '0.0'), ('True', 'False'), ('x', '')])
def test_one_hot(d, yes, no):
    rows = d.flat()
    hot = lambda c: ', '.join(yes if c == k else no for k in CLASSES)
    assert by_name(
        read_data(
            d.text(
                'own.csv', 'filename, Basalt, Granite, Marble', *(f'{p}, {hot(c)}' for p, c in rows)
            )))
    assert by_name(
        read_data(
            d.text(
                'own.csv', 'filename, Basalt, Granite, Marble, photographer',
                *(f'{p}, {hot(c)}, {i % 2}b' for i, (p, c) in enumerate(rows)))))


@pytest.mark.parametrize('cells, says', [('1,1,0', 'has several classes: Basalt, Granite'), ('0,0,0',
    'has none of the classes Basalt, Granite, Marble')])
def test_several_labels_are_refused(d, cells, says):
    rows = d.flat()
    lines = [f'{p},' + ','.join(str(int(c == k)) for k in CLASSES) for p, c in rows]
    lines[3] = f'{rows[3][0]},{cells}'
    assert 'multi-label' in refused(
        d.text('own.csv', 'filename,Basalt,Granite,Marble', *lines), f'line 5 ({rows[3][0]}) {says}'
    )


@pytest.mark.parametrize('several', ['Basalt|Granite', '"Basalt,Granite"', '"[""Basalt"", ""Granite""]"', "\"['Basalt', 'Granite']\"", 'Basalt;Granite',
    '"{""choices"": [""Basalt"", ""Marble""]}"'])
def test_several_labels_in_a_cell(d, several):
    rows = d.flat()
    lines = [f'{p},{several if i == 3 else c}' for i, (p, c) in enumerate(rows)]
    assert 'multi-label' in refused(
        d.text('own.csv', 'filename,label', *lines), f'gives {rows[3][0]} 2 classes')


@pytest.mark.parametrize('other', ['basalt', 'BASALT', 'Bas alt', 'Basalt '])
def test_one_class_several_ways(d, other):
    file = d.text(
        'own.csv', 'path , label ',
        *(f'{p} , {other if c == "Basalt" and i % 2 else c}' for i, (p, c) in enumerate(d.flat())))
    if other.strip() == 'Basalt':
        assert by_name(read_data(file))
    else:
        refused(
            file,
            f"'{min(other, 'Basalt')}' (2 images) and '{max(other, 'Basalt')}' (2), which "
            "differ in case or spaces only"
        )


def test_class_folders_that_differ_in_case(d):
    refused(d.tree().photos('granite/1.jpg'), "'Granite' (4 images) and 'granite' (1)")


# --- parts

@pytest.mark.parametrize('column', ['split', 'Split', 'part', 'set', 'subset', 'partition', 'data_split', 'Usage'])
@pytest.mark.parametrize('words', ['train valid test', 'TRAIN VAL TEST', 'training validation testing', 'Training dev eval', 'train_set val_set test_set'])
def test_columns_of_parts(d, column, words):
    words = words.split()
    rows = d.flat()
    data = read_data(
        d.text(
            'own.csv', f'path,label,{column}',
            *(f'{p},{c},{words[max(0, i % 4 - 1)]}' for i, (p, c) in enumerate(rows))))
    assert (
        outcome(data) == dict(train=6, valid=3, test=3) and by_name(data) and 'label' in data.test)
    assert not {*data.train.path} & {*data.test.path} and data.tests is not None


@pytest.mark.parametrize('yes, no', [('True', 'False'), ('1', '0'), ('yes', 'no'), ('TRUE', '')])
@pytest.mark.parametrize('flag, part', [('is_valid', 'valid'), ('is_test', 'test'), ('is_val', 'valid'), ('IsTest', 'test'), ('test', 'test')])
def test_flags_of_parts(d, flag, part, yes, no):
    data = read_data(
        d.text(
            'own.csv', f'path,label,{flag}',
            *(f'{p},{c},{yes if i % 4 == 3 else no}' for i, (p, c) in enumerate(d.flat()))))
    assert outcome(data) == {'train': 9, part: 3} and by_name(data)


def test_parts_that_are_no_parts(d):
    rows = d.flat()
    table = lambda head, value: d.text(
        'own.csv', f'path,label,{head}', *(f'{p},{c},{value(i)}' for i, (p, c) in enumerate(rows)))
    refused(
        table('split', lambda i: 'tset' if i == 2 else 'train'),
        "line 4 holds 'tset' in the column split; expected train, valid or test")
    refused(
        table('split', lambda i: '' if i == 2 else 'train'), "line 4 holds '' in the column split")
    refused(table('split', lambda i: i % 3), 'whole numbers belong in a column fold')
    refused(
        table('is_valid', lambda i: 'maybe'),
        "holds 'maybe' in the column is_valid; expected True or False")
    refused(table('split', lambda i: 'test'), 'no image to train on, only test')
    data = read_data(table('fold,split', lambda i: f'{i % 3},{("train", "val")[i % 4 == 0]}'))
    assert outcome(data) == dict(train=9, valid=3) and said(data, 'the parts count')


def test_a_test_part_without_classes(d):
    data = read_data(
        d.text(
            'own.csv', 'path,label,split',
            *(
                f'{p},{"" if i % 4 == 3 else c},{"test" if i % 4 == 3 else "train"}'
                for i, (p, c) in enumerate(d.flat()))))
    assert (
        outcome(data) == dict(train=9, test=3) and 'label' not in data.test
        and data.test.id.tolist() == ['Basalt3', 'Granite3', 'Marble3'])


FOLDERS = [
    'train valid test', 'training_set val_set test_set', 'train_data val_data test_data',
    'Train_images Valid_images Test_images', 'TRAIN VAL TEST', 'trainset valset testset',
    'Training Validation Testing', '1.Training 2.Validation 3.Test', 'train2017 val2017 test2017',
    'train-images dev-images eval-images', 'dataset_train dataset_val dataset_test']


@pytest.mark.parametrize('names', FOLDERS)
def test_part_folders(d, names):
    train, valid, test = names.split()
    d.tree(train, 4).tree(test, 1, start=8)
    assert outcome(read_data(d)) == dict(train=12, test=3)
    data = read_data(d.tree(valid, 2, start=5))
    assert (
        outcome(data) == dict(train=12, valid=6, test=3) and data.classes == CLASSES
        and by_name(data) and 'label' in data.test)


@pytest.mark.parametrize('names', ['original augmented', 'raw processed', 'fold1 fold2', 'camera_a camera_b', 'learn_me exam'])
def test_parts_or_copies_are_asked_about(d, names):
    a, b = names.split()
    says = refused(
        d.tree(a).tree(b),
        'hold the same folders (basalt, granite, marble): are they parts or copies')
    assert a in says and b in says
    assert read_data(d, level=-1).classes == CLASSES and read_data(d, level=0).classes == tuple(
        sorted((a, b)))
    assert read_data(d / a).classes == CLASSES


def test_a_copy_beside_the_classes(d):
    refused(d.tree().tree('augmented'), 'augmented holds folders that lie beside it too')
    data = read_data(
        Folder(d.parent / 'two').tree().tree('test', 1, start=7).tree('valid', 2, start=5) / '.')
    assert data.classes == CLASSES and outcome(data) == dict(train=12, valid=6, test=3)


def test_copies_within_train(d):
    refused(
        d.tree('train/original').tree('train/augmented').tree('test', 1), 'hold the same folders')


def test_parts_within_classes(d):
    d.photos(
        *(
            f'{c}/{p}/{c}{p}{i}.jpg' for c in CLASSES
            for p, n in dict(train=4, val=2, Test=1).items() for i in range(n)))
    assert (
        outcome(read_data(d)) == dict(train=12, valid=6, test=3) and read_data(d).classes == CLASSES
    )


def test_nested_trees_stay_as_they_are(d):
    d.photos(
        'Igneous/Granite/1.jpg', 'Igneous/Basalt/2.jpg', 'Sedimentary/Chalk/3.jpg',
        'Sedimentary/Marl/4.jpg')
    assert read_data(d).classes == ('Igneous', 'Sedimentary') and read_data(
        d, level=-1).classes == ('Basalt', 'Chalk', 'Granite', 'Marl')


def test_two_folders_for_one_part(d):
    refused(
        d.tree('train_a1').tree('train_1').tree('train_2'),
        'has 2 folders for train: train_1, train_2')


def test_the_only_folder_holds_the_classes(d):
    refused(
        d.tree('archive'),
        'its folders are Basalt, Granite, Marble: if they are the classes, give `data`')


@pytest.mark.parametrize('folder, says', [('Marbel', "test/Marbel is no class that is trained on "
                                                     "(did you mean 'Marble'?)"), ('marble', "did you mean 'Marble'?"), ('Gneiss',
                                                         'test/Gneiss is no class that is trained '
                                                         'on; the classes are')])
def test_an_unknown_class_among_the_tests(d, folder, says):
    refused(d.tree('train').tree('test', 2, ('Basalt', 'Granite', folder), start=8), says)
    refused(
        Folder(d.parent / 'valid').tree('train').tree('val', 2, ('Basalt', folder), start=8) / '.',
        f"the class '{folder}' is in the part valid")


def test_test_photographs_beside_class_folders(d):
    refused(
        d.tree('train').tree('test', 1, start=8).photos('test/1.jpg'),
        'test/1.jpg, which lies in no class folder, is no class')


def test_tests_in_folders_that_are_no_classes(d):
    data = read_data(d.tree('train').photos('test/images/1.jpg', 'test/images/2.jpg'))
    assert (
        outcome(data) == dict(train=12, test=2) and 'label' not in data.test
        and said(data, 'so there is no test score'))


def test_an_unknown_class_in_test_csv(d):
    d.tree('train').photos('test/1.jpg')
    d.text('test.csv', 'ID,img_path,label', '1,test/1.jpg,granite')
    refused(d, "has the class 'granite' for test/1.jpg (did you mean 'Granite'?)")


# --- tables in folders

def roboflow(d, part, n):
    names = [f'{c}{i}.jpg' for c in CLASSES for i in range(n)]
    d.photos(*(f'{part}/{f}' for f in names))
    d.text(
        f'{part}/_classes.csv', 'filename, Basalt, Granite, Marble',
        *(f + ''.join(f', {int(f.startswith(c))}' for c in CLASSES) for f in names))


def test_roboflow(d):
    for part, n in dict(train=4, valid=2, test=1).items(): roboflow(d, part, n)
    data = read_data(d)
    assert (
        outcome(data) == dict(train=12, valid=6, test=3) and by_name(data)
        and data.classes == CLASSES)


@pytest.mark.parametrize('ending', ['csv', 'jsonl', 'parquet'])
def test_hugging_face_folders(d, ending):
    for part, n in dict(train=4, validation=2, test=1).items():
        rows = [(f'{c}{i}.jpg', c) for c in CLASSES for i in range(n)]
        d.photos(*(f'{part}/{f}' for f, _ in rows))
        write(Folder(d / part), ending, rows)
    data = read_data(d)
    assert outcome(data) == dict(train=12, valid=6, test=3) and by_name(data)


def coco_of(rows, first=0):
    return json.dumps(
        dict(
            images=[dict(id=i, file_name=Path(p).name) for i, (p, c) in enumerate(rows)],
            categories=[dict(id=k, name=c) for k, c in enumerate(CLASSES)],
            annotations=[
                dict(id=i, image_id=i, category_id=CLASSES.index(c))
                for i, (p, c) in enumerate(rows)]))


@pytest.mark.parametrize('place', ['beside', 'annotations'])
def test_coco_parts(d, place):
    for part, n in (('train2017', 4), ('val2017', 2), ('test2017', 1)):
        rows = d.flat(n, part)
        d.text(
            f'{part}/_annotations.coco.json' if place == 'beside'
            else f'annotations/instances_{part}.json', coco_of(rows))
    data = read_data(d)
    assert outcome(data) == dict(train=12, valid=6, test=3) and by_name(data)


@pytest.mark.parametrize('images', ['train', 'images', 'train_images', '.'])
@pytest.mark.parametrize('ending', ['.jpg', '.png', ''])
def test_kaggle(d, images, ending):
    rows = d.flat(4, images, ending)
    d.text('train.csv', 'id,label', *(f'{Path(p).stem},{c}' for p, c in rows))
    d.photos('test_images/t1.jpg' if images == 'train_images' else 'test/t1.jpg')
    d.text('sample_submission.csv', 'id,label', 't1,Basalt')
    data = read_data(d)
    assert (
        by_name(data) and outcome(data) == dict(train=12, test=1)
        and data.test.id.tolist() == ['t1'])


def test_kaggle_ids_in_both_parts(d):
    d.photos(*(f'{p}/{i}.jpg' for p in ('train', 'test') for i in range(6)))
    d.text('train.csv', 'id,label', *(f'{i},{CLASSES[i % 3]}' for i in range(6)))
    d.text('test.csv', 'id', *map(str, range(5, -1, -1)))
    data = read_data(d)
    assert data.train.path.tolist() == [
        f'train/{i}.jpg' for i in range(6)
    ] and data.test.path.tolist() == [f'test/{i}.jpg' for i in range(5, -1, -1)]


def test_lists_of_imagenet(d):
    for part, n in dict(train=4, val=2).items():
        d.text(f'{part}.txt', *(f'{Path(p).name} {CLASSES.index(c)}' for p, c in d.flat(n, part)))
    data = read_data(d)
    assert outcome(data) == dict(train=12, valid=6) and data.classes == ('0', '1', '2')
    d.text('classes.txt', *CLASSES)
    assert by_name(read_data(d))


def test_lists_of_paths_alone(d):
    d.tree('train').tree('test', 1, start=8)
    data = read_data(
        d.text(
            'all.txt',
            *(
                f'{p}/{c}/{c}{i}.jpg' for p, n in (('train', range(4)), ('test', (8,)))
                for c in CLASSES for i in n)))
    assert data.classes == CLASSES and outcome(data) == dict(train=12, test=3)


def test_train_and_valid_tables(d):
    rows = d.flat()
    d.text('train.csv', 'file,rock', *(f'{p},{c}' for i, (p, c) in enumerate(rows) if i % 4))
    d.text('val.csv', 'file,rock', *(f'{p},{c}' for i, (p, c) in enumerate(rows) if not i % 4))
    assert outcome(read_data(d)) == dict(train=9, valid=3) and by_name(read_data(d))


def test_several_tables_are_asked_about(d):
    rows = d.flat()
    for name in ('a', 'b'):
        d.text(f'{name}.csv', 'file,label', *(f'{p},{c}' for p, c in rows))
    refused(d, 'has several tables of images: a.csv, b.csv; give `data` the one that counts')


def test_tables_that_contradict_the_folders(d):
    rows = [(f'{c}/{c}{i}.jpg', c) for c in CLASSES for i in range(4)]
    d.tree()
    d.text(
        'labels.csv', 'file,label',
        *(f'{p},{"Granite" if i == 0 else c}' for i, (p, c) in enumerate(rows)))
    refused(
        d,
        'labels.csv and the folders give 1 images different classes, first Basalt/Basalt0.jpg '
        'is Granite in the table'
    )
    d.text(
        'labels.csv', 'file,label',
        *(f'{p},{"Tuff" if i % 2 else "Gneiss"}' for i, (p, c) in enumerate(rows)))
    refused(
        d,
        'has the folders Basalt, Granite, Marble and the table labels.csv with the classes Gneiss, '
        'Tuff'
    )
    assert read_data(d / 'labels.csv').classes == ('Gneiss', 'Tuff')
    d.text(
        'labels.csv', 'file,label,split',
        *(f'{p},{c},{"test" if i % 4 == 0 else "train"}' for i, (p, c) in enumerate(rows)))
    assert said(read_data(d), 'labels.csv, which has part too, is not used') and outcome(
        read_data(d / 'labels.csv')) == dict(train=9, test=3)
    (d / 'labels.csv').rename(d / 'train.csv')
    assert outcome(read_data(d)) == dict(train=9, test=3)


# --- what is left out

def test_what_is_left_out_is_said(d):
    d.tree().text('Basalt/notes.txt', 'wet').parent
    d.photos('Granite/IMG_1', 'Granite/IMG_2.jpg_large')
    for name in ('a.nef', 'b.NEF'): (d / 'Granite' / name).write_bytes(b'x')
    data = read_data(d)
    assert (
        outcome(data) == dict(train=14)
        and said(data, 'left out: 1 file that is no image, Basalt/notes.txt')
        and said(data, '2 .nef cannot be read: convert them'))
    assert 'Granite/IMG_1' in data.train.path.tolist()
    assert said(
        read_data(Folder(d.parent / 'more').tree('train').photos('odd/x.jpg', 'odd/y.jpg') / '.'),
        'left out: 2 images that no class or table names, first odd/x.jpg')


@pytest.mark.parametrize('name', ['@eaDir', '#recycle', 'lost+found', '$RECYCLE.BIN', 'System Volume Information', '.Trash-1000', '.Trashes', '__MACOSX', '@Recycle', '#snapshot', '@tmp', '.ipynb_checkpoints'])
def test_folders_of_systems(d, name):
    d.tree().photos(f'{name}/x.jpg', f'Basalt/{name}/Basalt0.jpg')
    (d / 'Basalt' / 'Thumbs.db').write_bytes(b'x')
    assert outcome(read_data(d)) == dict(train=12) and not read_data(d).notes


def test_a_folder_that_cannot_be_entered(d, monkeypatch):
    d.tree()
    scan = os.scandir

    def locked(path='.'):
        if str(path).endswith('Granite'):
            raise PermissionError(13, 'Permission denied', str(path))
        return scan(path)
    monkeypatch.setattr(os, 'scandir', locked)
    refused(d, "Granite can't be entered (Permission denied)")


def test_links_make_no_second_photograph(d):
    d.tree()
    (d / 'Basalt' / 'again.jpg').symlink_to('Basalt0.jpg')
    (d / 'Granite' / 'all').symlink_to(d)
    (d / 'Marble' / 'copy').symlink_to(d / 'Marble')
    data = read_data(d)
    assert outcome(data) == dict(train=12) and said(
        data, 'left out: 1 links to images that are there already, first Basalt/again.jpg')
    (d / 'Granite' / 'more').symlink_to(d / 'Marble')
    refused(d, 'one image can be in one class and one part only')


def test_a_store_of_links_is_a_data_set(d):
    store = Folder(d.parent / 'store').tree()
    for p in sorted(store.rglob('*.jpg')):
        (d / p.parent.name).mkdir(parents=True, exist_ok=True)
        (d / p.parent.name / p.name).symlink_to(p)
    assert outcome(read_data(d)) == dict(train=12) and not read_data(d).notes
    (d / 'test').symlink_to(store)
    refused(d, 'one image can be in one class and one part only')


def test_links_in_a_table(d):
    rows = d.flat()
    (d / 'images' / 'Basalt9.jpg').symlink_to(d / 'images' / 'Basalt0.jpg')
    data = read_data(
        d.text('own.csv', 'file,label', *(f'{p},{c}' for p, c in rows), 'images/Basalt9.jpg,Basalt')
    )
    assert outcome(data) == dict(train=12) and said(data, '1 links')
    refused(
        d.text(
            'own.csv', 'file,label', *(f'{p},{c}' for p, c in rows), 'images/Basalt9.jpg,Granite'),
        'one image can be in one class')


def test_names_that_are_no_utf8(d):
    d.tree()
    try: os.link(Folder.stone, os.fsencode(d / 'Granite') + b'/Gr\xfcn.jpg')
    except OSError: pytest.skip('this file system has no such names')
    refused(d, 'Granite/Gr\\xfcn.jpg below')


def test_many_rows_are_read_quickly(d):
    "No file is looked for twice where it is where the table says."
    rows = d.flat(200)
    data = read_data(d.text('own.csv', 'file,label', *(f'{p},{c}' for p, c in rows)))
    assert len(data.train) == 600 and by_name(data)


def test_missing_files_are_named(d):
    rows = d.flat()
    refused(
        d.text('own.csv', 'file,label', *(f'{p},{c}' for p, c in rows), 'images/Tuff1.jpg,Basalt'),
        'line 14 names images/Tuff1.jpg, which is not there')
    refused(
        d.text(
            'own.csv', 'file,label', *(f'{p},{c}' for p, c in rows[1:]), 'images/basalt0.png,Basalt'
        ),
        '(there is images/Basalt0.jpg)')
    refused(
        d.text(
            'own.csv', 'file,label', *(f'{p},{c}' for p, c in rows), 'images/Basalt1.jpg,Basalt'),
        'twice')
    d.photos('more/Basalt1.jpg')
    refused(
        d.text('own.csv', 'file,label', 'Basalt1,Basalt', 'Granite1,Granite'),
        'Basalt1 may be images/Basalt1.jpg or more/Basalt1.jpg (2 in all)')


def test_the_fingerprint_of_class_folders_is_that_of_their_table(d):
    rows = [(f'{c}/{c}{i}.jpg', c) for c in CLASSES for i in range(4)]
    folders = fingerprint(read_data(d.tree()))
    assert folders == fingerprint(
        read_data(d.text('own.csv', 'file,label', *(f'{p},{c}' for p, c in rows))))


# --- what was silently wrong once

def lines_of(rows, *more):
    "Lines of a table: a path, a class, and what each function says of the number of the row."
    return [','.join([p, c, *(str(m(i)) for m in more)]) for i, (p, c) in enumerate(rows)]


def test_classes_by_numbers_count_alike_in_all_parts(d):
    for part, classes in dict(train=CLASSES, val=CLASSES[:2]).items():
        d.photos(*(f'{part}/{c}{part}{i}.jpg' for c in classes for i in range(3)))
        d.text(
            f'{part}.txt',
            *(f'{c}{part}{i}.jpg {1 + CLASSES.index(c)}' for c in classes for i in range(3)))
    d.text('classes.txt', *CLASSES)
    assert by_name(read_data(d)) and outcome(read_data(d)) == dict(train=9, valid=6)
    (d / 'val.txt').unlink()
    refused(
        d.text(
            'train.txt',
            *(f'{c}train{i}.jpg {1 + CLASSES.index(c)}' for c in CLASSES[:2] for i in range(3))),
        'they may count from 0 or from 1')


def test_a_table_of_numbers_beside_a_list_of_names(d):
    names = ('Marble', 'Basalt', 'Granite')
    rows = d.flat()
    d.text('classes.txt', *names)
    file = d.text('labels.csv', 'file,label', *(f'{p},{names.index(c)}' for p, c in rows))
    assert by_name(read_data(file)) and by_name(read_data(d))
    d.text('labels.csv', 'file,label', *(f'{p},{names.index(c)}.0' for p, c in rows))
    assert by_name(read_data(d))
    d.text('classes.txt', *names[:2])
    d.text('labels.csv', 'file,label', *(f'{p},{2*names.index(c)}' for p, c in rows))
    assert read_data(d).classes == ('0', '2', '4') and said(
        read_data(d), 'the list of 2 names beside it does not have')
    d.text('sample_submission.csv', 'file,label', 'x,0')
    assert read_data(d).classes == ('0', '2', '4')


@pytest.mark.parametrize('there', ['root', 'splits', 'train'])
@pytest.mark.parametrize('names', ['testing_list.txt validation_list.txt', 'test.txt val.txt', 'test_list.csv valid.csv'])
def test_lists_of_who_is_tested_beside_class_folders(d, names, there):
    d.tree('train' if there == 'train' else '')
    place = 'splits/' if there == 'splits' else ''
    for i, name in enumerate(names.split()):
        head = ['path'] if name.endswith('csv') else []
        d.text(place + name, *head, *(f'{c}/{c}{i}.jpg' for c in CLASSES))
    data = read_data(d)
    assert (
        outcome(data) == dict(train=6, valid=3, test=3) and by_name(data) and 'label' in data.test)
    assert {Path(p).stem[-1] for p in data.test.path} == {'0'} and {
        Path(p).stem[-1] for p in data.train.path[data.train.fold == 0]} == {'1'}
    assert said(data, 'not trained on: 6 images of the class folders')


@pytest.mark.parametrize('name, sep', [('test.txt', ' '), ('Test.csv', ','), ('test_labels.csv', ',')])
def test_a_labelled_list_of_flat_tests(d, name, sep):
    rows = [(f'test/{c}_{i}.jpg', c) for c in CLASSES for i in range(2)]
    d.tree('train').photos(*(p for p, _ in rows))
    head = [] if sep == ' ' else ['file,class']
    d.text(name, *head, *(f'{Path(p).name}{sep}{c}' for p, c in rows))
    data = read_data(d)
    assert outcome(data) == dict(train=12, test=6) and 'label' in data.test and by_name(data)


def test_a_list_that_contradicts_the_folders(d):
    d.tree().text(
        'val.txt', *(f'{c}/{c}0.jpg {"Granite" if c == "Basalt" else c}' for c in CLASSES))
    refused(
        d, 'val.txt and the folders give 1 images different classes, first Basalt/Basalt0.jpg')


def test_a_test_csv_that_names_photographs_of_the_class_folders(d):
    d.tree().text('test.csv', 'id,path', *(f'{c},{c}/{c}0.jpg' for c in CLASSES))
    data = read_data(d)
    assert (
        outcome(data) == dict(train=9, test=3) and not {*data.train.path} & {*data.test.path}
        and said(data, 'not trained on: 3'))


@pytest.mark.parametrize('part', ['val', 'test'])
def test_tables_of_parts_that_share_photographs(d, part):
    rows = d.flat()
    d.text('train.csv', 'file,label', *lines_of(rows))
    d.text(f'{part}.csv', 'file,label', *lines_of(rows[:2]))
    refused(d, 'has 2 images twice, first images/Basalt0.jpg')


def test_a_train_table_that_names_tests(d):
    d.photos(
        *(
            f'{p}/{c}{i}.jpg' for c in CLASSES
            for p, n in dict(train=range(4), test=range(8, 10)).items() for i in n))
    d.text(
        'train.csv', 'file,label', *(f'{c}{i}.jpg,{c}' for c in CLASSES for i in (0, 1, 2, 3, 8, 9))
    )
    refused(d, 'has 6 images twice, first test/Basalt8.jpg')


@pytest.mark.parametrize('top', ['', 'images/'])
@pytest.mark.parametrize('found', [False, True])
def test_a_table_whose_paths_have_folders_of_parts(d, top, found):
    rows = [
        (f'{top}{p}/{c}{p}{i}.jpg', c) for p, n in dict(training=4, validation=1, test=2).items()
        for c in CLASSES for i in range(n)]
    d.photos(*(p for p, _ in rows))
    file = d.text('metadata.csv', 'file_name,rock', *lines_of(rows))
    data = read_data(d if found else file)
    assert (
        outcome(data) == dict(train=12, valid=3, test=6) and by_name(data)
        and said(data, 'train, valid and test are the folders of the images'))
    d.photos(f'{top}more/Basalt9.jpg')
    refused(
        d.text('metadata.csv', 'file_name,rock', *lines_of(rows), f'{top}more/Basalt9.jpg,Basalt'),
        f'and others, first {top}more/Basalt9.jpg: say in a column split')


def test_a_column_of_parts_that_contradicts_the_folders(d):
    rows = [
        (f'{p}/{c}/{c}{p}{i}.jpg', c) for p, n in dict(train=4, test=1).items() for c in CLASSES
        for i in range(n)]
    d.photos(*(p for p, _ in rows))
    data = read_data(
        d.text(
            'own.csv', 'path,label,split', *lines_of(rows, lambda i: 'train' if i % 2 else 'test')))
    assert said(
        data, 'lie in a folder of another part than the table says, first train/Basalt/'
    ) and said(data, 'the table counts')
    assert outcome(data) == dict(train=7, test=8)


@pytest.mark.parametrize('odd', ['tets', 'unlabeled', '', 'unused'])
def test_parts_in_a_column_of_another_name(d, odd):
    rows = d.flat()
    assert outcome(
        read_data(
            d.text(
                'own.csv', 'path,label,phase',
                *lines_of(rows, lambda i: ('train', 'train', 'val', 'test')[i % 4])))
    ) == dict(train=6, valid=3, test=3)
    refused(
        d.text(
            'own.csv', 'path,label,phase',
            *lines_of(rows, lambda i: odd if i == 7 else ('train', 'test')[i % 4 == 0])),
        f'line 9 holds {odd!r} in the column phase')


def test_several_flags_of_parts(d):
    rows = d.flat()
    one = lambda k, of: lambda i: int(of[i % 4] == k)
    flags = lambda *of: [one(k, of) for k in range(3)]
    assert outcome(
        read_data(
            d.text('own.csv', 'path,label,train,val,test', *lines_of(rows, *flags(0, 0, 1, 2))))
    ) == dict(train=6, valid=3, test=3)
    refused(
        d.text('own.csv', 'path,label,train,val,test', *lines_of(rows, *flags(0, 5, 1, 2))),
        'line 3 says no in all of the columns train, val, test')
    refused(
        d.text(
            'own.csv', 'path,label,is_valid,is_test',
            *lines_of(rows, lambda i: int(i % 4 == 0), lambda i: int(i % 4 < 2))),
        'line 2: the columns is_valid and is_test disagree')
    assert outcome(
        read_data(
            d.text(
                'own.csv', 'path,label,is_train,is_test',
                *lines_of(rows, one(0, (0, 0, 1, 2)), one(2, (0, 0, 1, 2)))))
    ) == dict(train=6, valid=3, test=3)


def test_a_column_fold_of_words_and_a_column_kfold(d):
    rows = d.flat()
    assert outcome(
        read_data(
            d.text(
                'own.csv', 'path,label,fold',
                *lines_of(rows, lambda i: ('train', 'test')[i % 4 == 0])))) == dict(train=9, test=3)
    assert outcome(
        read_data(d.text('own.csv', 'path,label,kfold', *lines_of(rows, lambda i: i % 4)))
    ) == dict(train=9, valid=3)


@pytest.mark.parametrize('name', ['split.csv', 'rocks.csv', 'metadata.csv'])
def test_a_table_of_parts_beside_class_folders_is_spoken_of(d, name):
    d.tree().text(
        name, 'path,split',
        *(f'{c}/{c}{i}.jpg,{"test" if i == 0 else "train"}' for c in CLASSES for i in range(4)))
    assert said(read_data(d), f'{name}, which has part too, is not used') and outcome(
        read_data(d)) == dict(train=12)
    assert outcome(read_data(d / name)) == dict(train=9, test=3)


def test_korean_tables_and_folders(d):
    names = dict(zip(CLASSES, ('현무암', '화강암', '대리암')))
    rows = d.flat()
    file = d.text(
        '목록.csv', '파일명,라벨,촬영자,구분',
        *(
            f'{p},{names[c]},{"AB"[i % 2]},{("학습용", "학습용", "검증용", "시험용")[i % 4]}'
            for i, (p, c) in enumerate(rows)),
        encoding='cp949')
    data = read_data(file)
    assert outcome(data) == dict(train=6, valid=3, test=3) and data.classes == ('대리암', '현무암', '화강암')
    assert all(names[Path(p).name[:-5]] == c for p, c in zip(data.train.path, data.train.label))
    file.unlink()
    d.text('라벨.csv', '이미지,클래스', *(f'{Path(p).stem},{names[c]}' for p, c in rows), encoding='cp949')
    assert outcome(read_data(d)) == dict(train=12)
    more = (
        Folder(d.parent / 'more') .tree('학습데이터') .tree('검증데이터', 1, start=6)
        .tree('테스트데이터', 1, start=8))
    assert outcome(read_data(more / '.')) == dict(train=12, valid=3, test=3)


def test_one_hot_parts_that_lack_a_class(d):
    """Roboflow's valid and test often have no image of a rare class; the columns may be in
    another order."""
    for part, n, columns in (
        ('train', 4, CLASSES),
        ('valid', 2, CLASSES[::-1]),
        ('test', 1, CLASSES),
    ):
        names = [
            f'{c}{i}.jpg' for c in CLASSES if c != 'Marble' or part == 'train' for i in range(n)]
        d.photos(*(f'{part}/{f}' for f in names))
        d.text(
            f'{part}/_classes.csv', 'filename, ' + ', '.join(columns),
            *(f + ''.join(f', {int(f.startswith(c))}' for c in columns) for f in names))
    assert outcome(read_data(d)) == dict(train=12, valid=4, test=2) and by_name(read_data(d))


def test_coco_that_has_an_image_twice(d):
    rows = d.flat()
    found = json.loads(coco_of(rows))
    found['images'].append(dict(id=99, file_name='Basalt0.jpg'))
    assert by_name(read_data(d.text('own.json', json.dumps(found))))
    found['annotations'].append(dict(id=99, image_id=99, category_id=1))
    refused(d.text('own.json', json.dumps(found)), 'gives Basalt0.jpg 2 classes: Basalt, Granite')
    found['annotations'][-1] = dict(id=99, image_id=0, category_id=0)
    assert by_name(read_data(d.text('own.json', json.dumps(found))))


@pytest.mark.parametrize('path', ['/data/upload/1/abc-{}', 's3://bucket/rocks/{}',
    '/data/local-files/?d=rocks%2Fimages%2F{}', 'file:///C:/rocks/images/{}', '\\\\nas\\share\\images\\{}', 'D:\\사진\\images\\{}'])
def test_more_ways_to_write_a_path(d, path):
    assert by_name(
        read_data(
            d.text(
                'own.csv', 'image,choice',
                *(f'{path.format(Path(p).name)},{c}' for p, c in d.flat()))))


def test_paths_of_a_windows_machine_whose_names_are_there_twice(d):
    d.photos(*(f'{c}/{i}.jpg' for c in CLASSES for i in range(4)))
    data = read_data(
        d.text(
            'own.csv', 'path,rock',
            *(f'D:\\rocks\\{c}\\{i}.jpg,{c}' for c in CLASSES for i in range(4))))
    assert all(p.split('/')[0] == c for p, c in zip(data.train.path, data.train.label)) and outcome(
        data) == dict(train=12)


@pytest.mark.parametrize('other, how', [('Basalt\u200b', None), ('\ufeffBasalt', None), ('Ba\u00adsalt', 'zeros or invisible marks'), ('Ba\u200bsalt', 'zeros or invisible marks')])
def test_invisible_marks_in_labels(d, other, how):
    file = d.text(
        'own.csv', 'path,label',
        *(f'{p},{other if i == 2 else c}' for i, (p, c) in enumerate(d.flat())))
    if how is None: assert by_name(read_data(file))
    else: refused(file, f'which differ in {how} only')


def test_numbers_as_labels(d):
    rows = d.flat()
    table = lambda form: d.text(
        'own.csv', 'path,label',
        *(f'{p},{form(i, CLASSES.index(c) + 1)}' for i, (p, c) in enumerate(rows)))
    assert read_data(table(lambda i, k: f'{k}.0')).classes == ('1', '2', '3')
    assert read_data(table(lambda i, k: f'{k}.5')).classes == ('1.5', '2.5', '3.5')
    refused(
        table(lambda i, k: '0' * (i % 2) + str(k)),
        "the classes '01' (2 images) and '1' (2), which differ in zeros or invisible marks "
        "only"
    )
    refused(table(lambda i, k: f'{k}.0' if i % 2 else k), "'1.0'")
    for part, n, form in (('train', 4, '{}'), ('val', 2, '{}.0')):
        d.text(
            f'{part}.csv', 'file,label',
            *(f'{Path(p).name},{form.format(CLASSES.index(c))}' for p, c in d.flat(n, part)))
    assert read_data(d).classes == ('0', '1', '2') and outcome(read_data(d)) == dict(
        train=12, valid=6)


@pytest.mark.parametrize('kind', ['csv', 'xlsx', 'folders'])
def test_labels_that_look_like_nothing(d, kind):
    names = ('NA', 'None', 'nan', 'null')
    rows = [(f'{c}/{c}{i}.jpg', c) for c in names for i in range(3)]
    d.photos(*(p for p, _ in rows))
    if kind == 'xlsx':
        pytest.importorskip('openpyxl')
        pd.DataFrame(rows, columns=['path', 'label']).to_excel(d / 'own.xlsx', index=False)
    source = {
        'csv': lambda: d.text('own.csv', 'path,label', *lines_of(rows)),
        'xlsx': lambda: d / 'own.xlsx', 'folders': lambda: d}[kind]()
    assert read_data(source).classes == names and by_name(read_data(source))


@pytest.mark.parametrize('head', ['Unnamed: 0,', ',', 'Unnamed: 0.1,Unnamed: 0,', 'index,'])
def test_columns_of_row_numbers(d, head):
    rows = d.flat()
    number = lambda i: ','.join([str(i)]*head.count(','))
    assert by_name(
        read_data(
            d.text(
                'own.csv', f'{head}path,rock',
                *(f'{number(i)},{p},{c}' for i, (p, c) in enumerate(rows)))))


def test_a_rare_class_makes_a_column_no_less_a_class(d):
    d.photos(*(f'{i}.jpg' for i in range(6)))
    names = ['Tuff', 'Chert', 'Gneiss', 'Marl', 'Marl', 'Slate']
    refused(
        d.text(
            'own.csv', 'file,lithology,site',
            *(f'{i}.jpg,{names[i]},{"xy"[i % 2]}' for i in range(6))),
        'several columns that could be the class: site, lithology')


def test_a_column_label_beside_another_of_classes(d):
    file = d.text(
        'own.csv', 'file,label,class',
        *(f'{p},{"young" if c == "Basalt" else "old"},{c}' for p, c in d.flat()))
    assert read_data(file).classes == ('old', 'young') and said(
        read_data(file), 'the class is the column label; class would be taken with `label class`')
    assert by_name(read_data(file, label='class'))


@pytest.mark.parametrize('names', ['original augmented', 'images masks', 'raw processed'])
def test_copies_without_class_folders(d, names):
    a, b = names.split()
    d.photos(*(f'{f}/{c}{i}.jpg' for f in (a, b) for c in CLASSES for i in range(3)))
    refused(d, 'sounds like a copy or a piece of the data, not like a class')
    assert len(read_data(d, level=0).classes) == 2
    d.text('labels.csv', 'file,label', *(f'{a}/{c}{i}.jpg,{c}' for c in CLASSES for i in range(3)))
    assert by_name(read_data(d)) and said(
        read_data(d), 'left out: 9 images that no class or table names')


def test_a_flat_copy_beside_the_classes(d):
    refused(
        d.tree().photos(*(f'augmented/{c}{i}.jpg' for c in CLASSES for i in range(3))),
        'augmented sounds like a copy')


@pytest.mark.parametrize('parts', ['valid', 'test', 'val test'])
def test_no_part_to_train_on(d, parts):
    for p in parts.split(): d.tree(p)
    refused(d, 'but no folder to train on; call one of them train, or give `data`')
    assert read_data(d / parts.split()[0]).classes == CLASSES


def test_a_loose_photograph(d):
    refused(
        d.tree('train').tree('val', 2, start=5).photos('val/x.jpg', 'val/y.jpg'),
        'val/x.jpg lies in no class folder (2 such images); expected')


def test_links_that_lead_nowhere(d):
    d.tree()
    (d / 'Loop').symlink_to(d / 'Loop')
    (d / 'Gneiss').symlink_to(d / 'nowhere')
    data = read_data(d)
    assert outcome(data) == dict(train=12) and said(
        data, 'left out: 2 links that lead nowhere, first Gneiss')
    (d / 'test').symlink_to(d / 'Basalt')
    refused(d, 'one image can be in one class and one part only')


def test_names_with_a_space_at_their_end(d):
    d.photos(*(f'images/{c}{i}.jpg ' for c in CLASSES for i in range(4)))
    assert by_name(
        read_data(
            d.text(
                'own.csv', 'path,label',
                *(f'images/{c}{i}.jpg ,{c}' for c in CLASSES for i in range(4)))))


def test_all_missing_files_are_counted(d):
    rows = d.flat()
    gone = [f'images/gone{i}.jpg,Basalt' for i in range(60)]
    refused(
        d.text('labels.csv', 'path,label', *lines_of(rows), *gone[:7]),
        'line 14 names images/gone0.jpg, which is not there; add the file or remove the line (7 '
        'such lines)'
    )
    d.text('labels.csv', 'path,label', *gone, *lines_of(rows))
    refused(d, '(60 such lines)')
    d.text(
        'labels.csv', 'path,label',
        *(f'{p},{"" if i in (3, 5) else c}' for i, (p, c) in enumerate(rows)))
    refused(d, 'images/Basalt3.jpg has an empty class (2 such images)')


def test_numbers_that_lost_their_zeros(d):
    d.photos(*(f'train/{i:05d}.jpg' for i in range(1, 13)))
    d.text('train.csv', 'id,label', *(f'{i},{CLASSES[i % 3]}' for i in range(1, 13)))
    refused(d, 'line 2 names 1, which is not there (there is train/00001.jpg)')


def test_what_a_table_does_not_name_is_counted(d):
    rows = d.flat()
    d.photos('images/x.jpg', 'images/y.jpg', 'images/more/z.jpg')
    file = d.text('labels.csv', 'path,label', *lines_of(rows))
    assert said(
        read_data(file),
        'left out: 2 images beside those that labels.csv names, first images/x.jpg')
    assert said(read_data(d), 'left out: 3 images that no class or table names')


def test_a_table_for_train_beside_a_folder_of_tests(d):
    "Kaggle's dog breeds: labels.csv, train/, test/."
    d.photos(
        *(f'train/{i:05x}.jpg' for i in range(12)), *(f'test/{i:05x}.jpg' for i in range(20, 24)))
    d.text('labels.csv', 'id,breed', *(f'{i:05x},{CLASSES[i % 3]}' for i in range(12)))
    data = read_data(d)
    assert (
        outcome(data) == dict(train=12, test=4)
        and data.test.id.tolist() == [f'{i:05x}' for i in range(20, 24)]
        and 'label' not in data.test)


@pytest.mark.parametrize('folder', ['', 'x/'])
def test_cub(d, folder):
    rows = [(f'{folder}{c}/{c}{i}.jpg', c) for c in CLASSES for i in range(4)]
    d.photos(*(f'images/{p}' for p, _ in rows))
    d.text('images.txt', *(f'{i + 1} {p}' for i, (p, c) in enumerate(rows)))
    d.text(
        'image_class_labels.txt',
        *(f'{i + 1} {1 + CLASSES.index(c)}' for i, (p, c) in enumerate(rows)))
    d.text('train_test_split.txt', *(f'{i + 1} {int(i % 4 > 0)}' for i in range(12)))
    d.text('classes.txt', *(f'{i + 1} {c}' for i, c in enumerate(CLASSES)))
    data = read_data(d)
    assert outcome(data) == dict(train=9, test=3) and by_name(data) and 'label' in data.test
    d.text('train_test_split.txt', *(f'{i + 1} {int(i % 4 > 0)}' for i in range(11)))
    refused(d, 'do not all speak of the image 12')


def test_lists_that_are_not_used_are_spoken_of(d):
    d.tree().text('val.txt', *(f'{c}/{c}{i}.jpg' for c in CLASSES for i in (19, 29)))
    d.text(
        'evaluation.csv', 'path,answer,p',
        *(f'{c}/{c}{i}.jpg,{c},.5' for c in CLASSES for i in range(4)))
    data = read_data(d)
    assert outcome(data) == dict(train=12) and said(
        data, 'evaluation.csv is not used: it names all images')
    (d / 'evaluation.csv').unlink()
    assert said(read_data(d), 'val.txt is not used: it names no image that is there')
    d.text('val.txt', *(f'{c}/{c}{i}.jpg' for c in CLASSES for i in (0, 9)))
    refused(
        d,
        'val.txt line 3 names Basalt/Basalt9.jpg, which is not there; add the file or remove the '
        'line (3 such lines)'
    )


@pytest.mark.parametrize('names', ['images test', 'val test', 'more test'])
def test_a_table_whose_paths_have_some_folders_of_parts(d, names):
    rows = [(f'{p}/{c}{p}{i}.jpg', c) for p in names.split() for c in CLASSES for i in range(3)]
    d.photos(*(p for p, _ in rows))
    refused(
        d.text('own.csv', 'file,label', *lines_of(rows)), 'say in a column split who is trained on')
    data = read_data(d.text('own.csv', 'file,label,fold', *lines_of(rows, lambda i: i % 3)))
    assert said(data, 'the folds of the table count') and outcome(data) == dict(train=12, valid=6)
    assert outcome(
        read_data(
            d.text(
                'own.csv', 'file,label,split',
                *lines_of(rows, lambda i: 'train' if i < 9 else 'test')))) == dict(train=9, test=9)


def test_numbers_of_a_test_table_count_like_those_of_train(d):
    for part, classes in dict(train=CLASSES, val=CLASSES, test=CLASSES[1:]).items():
        d.photos(*(f'{part}/{c}{part}{i}.jpg' for c in classes for i in range(2)))
        d.text(
            f'{part}.csv', 'file,label',
            *(f'{c}{part}{i}.jpg,{1 + CLASSES.index(c)}' for c in classes for i in range(2)))
    d.text('classes.txt', *CLASSES)
    data = read_data(d)
    assert (
        outcome(data) == dict(train=6, valid=6, test=4) and by_name(data) and 'label' in data.test)


def test_photographs_in_numbered_pieces(d):
    "HAM10000 lies in two folders, and one table speaks of both."
    d.photos(*(f'HAM_images_part_{1 + i % 2}/ISIC_{i}.jpg' for i in range(12)))
    refused(
        d,
        'HAM_images_part_1, HAM_images_part_2 sounds like a copy or a piece of the data, not like '
        'a class'
    )
    d.text('HAM_metadata.csv', 'image_id,dx', *(f'ISIC_{i},{CLASSES[i % 3]}' for i in range(12)))
    data = read_data(d)
    assert (
        data.classes == CLASSES and data.counts.tolist() == [4, 4, 4]
        and data.train.label[data.train.id == 'ISIC_4'].item() == CLASSES[1])


@pytest.mark.parametrize('end', ['\r', '\r\n'])
def test_ends_of_lines(d, end):
    rows = d.flat()
    (d / 'own.csv').write_bytes(
        end.join(['path,label,note', *(f'{p},{c},"wet{end}rock"' for p, c in rows)]).encode())
    assert by_name(read_data(d / 'own.csv'))


# --- and trained

def test_a_table_with_parts_is_trained_on_and_judged(sample, tmp_path):
    "Rows of the test part are judged, not learned; the run knows them by itself."
    from rock_nb.evaluation.run_data import run_rows
    from rock_nb.train import fit
    paths = sorted(p.relative_to(sample).as_posix() for p in (sample / 'train').rglob('*.jpg'))
    lines = [
        f'{p},{p.split("/")[1]},{("train", "train", "val", "test")[i % 4]}'
        for i, p in enumerate(paths)]
    table = sample.parent / 'with_parts.csv'
    table.write_text('\n'.join(['file,rock,Split', *(f'{sample.name}/{line}' for line in lines)]))
    run = fit(**TINY, data=table, out=tmp_path, epochs=1, workers=0, show=lambda *_: None)
    split, metrics = pd.read_csv(run.split), json.loads(run.metrics.read_text())
    assert {*split.Split[split.part == 'train']} == {'train'} and {
        *split.Split[split.part == 'valid']} == {'val'}
    assert 'test' in metrics and len(run_rows(Run(run.path), 'test')[1]) == sum(
        ',test' in line for line in lines)


# --- what would be guessed wrongly

@pytest.mark.parametrize('lines, numbers', [
    (['3 Marble', '1 Basalt', '2 Granite'], (1, 2, 3)),
    (['0: Basalt', '2: Marble', '1: Granite'], (0, 1, 2)),
    (['id,name', '10,Basalt', '20,Granite', '30,Marble'], (10, 20, 30)),
    (['Basalt,1', 'Granite,2', 'Marble,3'], (1, 2, 3)),
    (['# three rocks', 'Basalt', 'Granite', 'Marble'], (0, 1, 2)),
    (['0 Basalt', '1 Granite', '2 Marble', '3 Tuff'], (0, 1, 2))])
def test_a_list_of_names_says_which_number_is_whose(d, lines, numbers):
    d.text('classes.txt', *lines)
    number = dict(zip(CLASSES, numbers))
    file = d.text('own.csv', 'file,label', *(f'{p},{number[c]}' for p, c in d.flat()))
    data = read_data(file)
    assert by_name(data) and said(data, 'stand for the names')
    test = d.text('split.csv', 'file,label,split', *(
        f'{p},{number[c]},{"test" if i % 4 == 0 else "train"}' for i, (p, c) in enumerate(
            (f'images/{c}{i}.jpg', c) for c in CLASSES for i in range(4))))
    assert by_name(read_data(test))


def test_a_list_of_names_is_for_the_column_that_it_speaks_of(d):
    d.text('classes.txt', *CLASSES)
    rows = [f'{p},{c},{i % 3}' for i, (p, c) in enumerate(d.flat())]
    file = d.text('own.csv', 'file,rock,grain', *rows)
    assert read_data(file, label='grain').classes == ('0', '1', '2')


def test_first_words_of_a_list_are_the_class_folders(d):
    d.tree('train', classes=('n01', 'n02')).photos(*(f'val/{i}.jpg' for i in range(6)))
    d.text('synset_words.txt', 'n01 Basalt, a lava', 'n02 Granite')
    d.text('val.txt', *(f'{i}.jpg {i % 2}' for i in range(6)))
    data = read_data(d)
    assert data.classes == ('n01', 'n02') and outcome(data) == dict(train=8, valid=6)


@pytest.mark.parametrize('tops, ask', [
    (['seg_train/seg_train/{c}', 'seg_test/seg_test/{c}', 'seg_pred/seg_pred'], 'parts of the data'),
    (['rocks_train/{c}', 'rocks_test'], 'parts of the data'),
    (['Germany/Harz/{c}', 'Norway/Oslo/{c}'], 'hold the same folders'),
    (['{c}', '{c}/masks'], 'sounds like copies'), (['{c}', '{c}/augmented'], 'sounds like copies')])
def test_parts_sites_and_copies_are_no_classes(d, tops, ask):
    names = dict.fromkeys(t.format(c=c) for t in tops for c in CLASSES)
    refused(d.photos(*(f'{n}/{i}.jpg' for n in names for i in range(3))), ask)
    assert len(read_data(d, level=0).classes) > 1


def test_sites_with_one_rock_in_common(d):
    d.photos(*(f'{s}/{i}.jpg' for s in ('Harz/Basalt', 'Harz/Granite', 'Eifel/Basalt', 'Eifel/Tuff') for i in range(3)))
    refused(d, 'hold the same folders (basalt)')
    assert read_data(d, level=-1).classes == ('Basalt', 'Granite', 'Tuff')


def test_folders_within_classes_that_say_nothing(d):
    d.photos(*(f'{c}/{below}/{i}.jpg' for c in CLASSES for below in ('images', '2024') for i in range(2)))
    for c in CLASSES: (d / c / '2024' / '0.jpg').unlink(), (d / c / '2024' / '1.jpg').unlink(), (d / c / '2024').rmdir()
    assert read_data(d).classes == CLASSES


def test_a_class_folder_with_a_file_like_that_of_drawn_images(d):
    d.tree().text('Basalt/sample.json', json.dumps(dict(locality='Etna')))
    assert outcome(read_data(d)) == dict(train=12)


def test_a_table_beside_folders_that_are_sites(d):
    rows = [(f'site{"AB"[i % 2]}/{i}.jpg', CLASSES[i % 3]) for i in range(12)]
    d.photos(*(p for p, _ in rows)).text('notes.csv', 'image,lithology', *map(','.join, rows))
    data = read_data(d)
    assert data.classes == ('siteA', 'siteB') and said(data, 'notes.csv, with the classes Basalt, Granite, Marble, is not used')
    assert read_data(d, label='lithology').classes == CLASSES
    refused(d, 'no table of images with that column', label='mineral')
    d.text('notes.csv', 'specimen,lithology', 'A,Basalt', 'B,Tuff')
    (d / 'notes.csv').rename(d / 'labels.csv')
    assert said(read_data(d), 'labels.csv is not used: it names no image')


def test_one_folder_and_a_table_that_cannot_be_read(d):
    rows = d.flat()
    d.text('labels.csv', 'file,label', *(f'{p[:-4]}.png,{c}' for p, c in rows))
    assert 'labels.csv line 2 names images/Basalt0.png' in refused(d, 'one class only (images)')


def test_two_flags_are_no_class_beside_a_column_that_may_be_one(d):
    rows = [f'{p},{c},{i % 2},{(i + 1) % 2}' for i, (p, c) in enumerate(d.flat())]
    file = d.text('own.csv', 'file,lithology,indoor,outdoor', *rows)
    refused(file, 'could be the class: lithology, indoor, outdoor')
    assert read_data(file, label='indoor,outdoor').classes == ('indoor', 'outdoor')
    d.text('own.csv', 'file,indoor,outdoor', *(','.join([*r.split(',')[:1], *r.split(',')[2:]]) for r in rows))
    assert said(read_data(file), 'which of the columns indoor, outdoor holds 1')


def test_one_hot_columns_by_name_beside_a_flag(d):
    rows = [','.join([p, *(str(int(c == k)) for k in CLASSES), str(i % 2)]) for i, (p, c) in enumerate(d.flat())]
    file = d.text('own.csv', f"file,{','.join(CLASSES)},verified", *rows)
    refused(file, 'divided by commas')
    assert by_name(read_data(file, label=','.join(CLASSES)))


def test_a_vague_name_of_a_column_is_spoken_of(d):
    file = d.text('own.csv', 'file,category,lithology', *(f'{p},{"thin" if i % 2 else "hand"},{c}' for i, (p, c) in enumerate(d.flat())))
    assert said(read_data(file), 'lithology would be taken with `label lithology`')


def test_one_class_in_an_object(d):
    file = d.text('via.csv', 'filename,file_attributes', *(f'{p},"{{""rock"": ""{c}""}}"' for p, c in d.flat()))
    assert by_name(read_data(file))


def test_answers_in_the_terms_of_the_sample(d):
    rows = d.photos('test/11.jpg', 'test/12.jpg').flat(below='train')
    d.text('train.csv', 'id,label,label_name', *(f'{Path(p).stem},{CLASSES.index(c)},{c}' for p, c in rows))
    d.text('test.csv', 'id', '11', '12')
    assert read_data(d).classes == CLASSES
    d.text('SampleSubmission.csv', 'id,label', '11,2', '12,2')
    data = read_data(d)
    assert data.classes == ('0', '1', '2') and data.sample == d / 'SampleSubmission.csv'


def test_ids_of_a_test_folder_as_the_sample_has_them(d):
    d.tree('train').photos('test_images/11.jpg', 'test_images/12.jpg')
    assert list(read_data(d).test.id) == ['11', '12']
    d.text('sample_submission.csv', 'image_id,label', '11.jpg,Basalt', '12.jpg,Basalt')
    assert list(read_data(d).test.id) == ['11.jpg', '12.jpg']


def test_a_test_part_of_one_class_is_spoken_of(d):
    d.tree('train').photos(*(f'test/Basalt/{i}.jpg' for i in range(3)))
    assert said(read_data(d), 'all 3 test images have the class Basalt')


@pytest.mark.parametrize('name', ['val.csv', 'Test.csv'])
def test_a_given_part_with_wrong_paths_is_not_passed_over(d, name):
    rows = [f'{p},{c}' for p, c in d.flat()]
    d.text('train.csv', 'file,label', *rows[::2])
    d.text(name, 'file,label', *(f'rocks/{r}' for r in rows[1::2]))
    refused(d, f'{name} line 2 names rocks/images/Basalt1.jpg')


def test_a_column_of_parts_is_said(d):
    file = d.text('own.csv', 'file,label,valid', *(f'{p},{c},{int(i % 4 > 0)}' for i, (p, c) in enumerate(d.flat())))
    assert said(read_data(file), 'valid says who is trained, selected and tested on (9 valid, 3 train)')


@pytest.mark.parametrize('name', ['folds', 'kfold'])
def test_folds_in_the_plural(d, name):
    file = d.text('own.csv', f'file,label,{name}', *(f'{p},{c},{i % 2}' for i, (p, c) in enumerate(d.flat())))
    assert sorted(read_data(file).train.fold.unique()) == [0, 1]


@pytest.mark.parametrize("name", ["group_id", "Specimen", "sample_id"])
def test_photographs_of_one_sample(d, name):
    file = d.text('own.csv', f'file,label,{name}', *(f'{p},{c},{c}{i // 2}' for i, (p, c) in enumerate(d.flat())))
    assert read_data(file).train.group.nunique() == 6 and said(read_data(file), f"one {name} stay together (6 of them)")
    refused(d.text('ids.csv', 'file,label,id', *(f'{p},{c},{c}' for p, c in zip(*[iter(
        x for i in range(3) for x in (f'images/Basalt{i}.jpg', 'Basalt'))] * 2))), 'is called group')


def test_paths_of_another_machine_that_are_found_by_name_alone(d):
    d.photos(*(f'siteB/{c}{i}.jpg' for c in CLASSES for i in range(3)))
    file = d.text('own.csv', 'file,label', *(f'/home/user/siteA/{c}{i}.jpg,{c}' for c in CLASSES for i in range(3)))
    assert said(read_data(file), '9 paths of another place are taken for images of the same name')


def test_a_test_part_that_nobody_has_annotated(d):
    for part, n in dict(train=4, test=2).items():
        images = [dict(id=k, file_name=f'{c}{i}.jpg') for k, (c, i) in enumerate((c, i) for c in CLASSES for i in range(n))]
        d.photos(*(f"{part}/{i['file_name']}" for i in images))
        notes = [dict(id=i['id'], image_id=i['id'], category_id=CLASSES.index(i['file_name'][:-5])) for i in images]
        about = dict(images=images, categories=[dict(id=k, name=c) for k, c in enumerate(CLASSES)], annotations=notes if part == 'train' else [])
        d.text(f'{part}/_annotations.coco.json', json.dumps(about))
    data = read_data(d)
    assert outcome(data) == dict(train=12, test=6) and 'label' not in data.test


def test_an_archive_is_no_excel_file(d):
    import zipfile
    d.mkdir()
    with zipfile.ZipFile(d / 'photos.zip', 'w') as z: z.writestr('a.txt', 'a')
    refused(d / 'photos.zip', 'unpack it')


def test_the_sheet_of_images_is_found(d):
    import openpyxl
    rows, book = d.flat(), openpyxl.Workbook()
    book.active.append(['Photographs of 2024', 'by the lab'])
    sheet = book.create_sheet('rocks')
    for r in (('file', 'label'), *rows): sheet.append(r)
    book.save(d / 'own.xlsx')
    data = read_data(d / 'own.xlsx')
    assert by_name(data) and said(data, "the sheet 'rocks' is read")


@pytest.mark.parametrize('name, lines, encoding', [
    ('own.txt', ['{p}'], 'utf-8'), ('own.txt', ['{p} 0'], 'utf-8'), ('own.txt', ['{p}'], 'utf-16'),
    ('own.txt', ['{stem}'], 'utf-8'), ('own.txt', ['id', '{stem}'], 'utf-8'),
    ('own.tab', ['file\tlabel', '{p}\tx'], 'utf-8'), ('own.lst', ['0\t1.0\t{p}'], 'utf-8'),
    ('own.txt', [r'C:\photos\{name}'], 'utf-8'), ('own.json', ['[{{"path": "{p}"}}, {{"path": "images/Basalt1.jpg"}}]'], 'utf-8')])
def test_lists_of_what_is_predicted(d, name, lines, encoding):
    p = d.flat()[0][0]
    file = d.text(name, *(x.format(p=p, stem=Path(p).stem, name=Path(p).name) for x in lines), encoding=encoding)
    found = find_images(str(file))
    assert Path(found[0]).samefile(d / p) and len(found) == 1 + (name == 'own.json')


def test_samples_say_nothing_where_a_split_is_given(d):
    rows = d.flat()
    own = lambda more, f: d.text('own.csv', f'file,label,specimen{more}', *(f'{p},{c},s{i % 2}{f(i)}' for i, (p, c) in enumerate(rows)))
    assert 'group' not in read_data(own(',fold', lambda i: f',{i % 3}')).train
    assert 'group' not in read_data(own(',split', lambda i: ',valid' if i % 4 == 0 else ',train')).train
    assert 'group' in read_data(own('', lambda i: '')).train


@pytest.mark.parametrize('level', [1, 7, -2])
def test_a_level_that_is_not_there(d, level):
    refused(d.tree(), f'`level` {level} is wrong', level=level)
