"""Weights as people have them, fast forms that must say the same, optimizers whose first step is skipped."""
import argparse, io, os, pathlib, pickle, re
from collections import OrderedDict

import numpy as np
import pytest, timm, torch
from safetensors.torch import save_file
from torch import nn

from rock_nb.core import BadInput
from rock_nb.training import optimizer as optimizer_room
from rock_nb.training.optimizer import OPTIMIZERS, make_optimizer, param_groups
from rock_nb.speed.precision import fastest
from rock_nb.training.recipe import Recipe, from_dict, override, to_dict
from rock_nb.model.create import build
from rock_nb.model.weight_files import rename_by_order, load_pretrained, read_state
from rock_nb.model.weights import find_weights
from rock_nb.model.freeze import train_mode
from rock_nb.speed.folded_inference import same_outputs, inference, conv_bn_pairs
from rock_nb.speed.frozen_prefix import Prefix, find_prefix

ARCH = 'test_resnet'
NET = timm.create_model(ARCH, num_classes=5)
STATE = NET.state_dict()
OTHER = timm.create_model(ARCH, num_classes=5).state_dict()


def before(prefix: str, state: dict = STATE) -> dict:
    return {prefix + k: v for k, v in state.items()}


def within(old: str, new: str) -> dict:
    return {k.replace(old, new, 1): v for k, v in STATE.items()}


ADAM = torch.optim.AdamW(NET.parameters()).state_dict()
FILES = {
    'plain': STATE,
    'timm': dict(
        arch=ARCH, epoch=3, metric=71.2, state_dict=STATE, optimizer=ADAM, version=2,
        args=argparse.Namespace(lr=0.1, data='x', folder=pathlib.Path('/data'))),
    'timm, averaged': dict(
        arch=ARCH, state_dict=OTHER, state_dict_ema=before('module.'), args=argparse.Namespace()),
    'timm, not averaged': dict(arch=ARCH, state_dict=STATE, state_dict_ema=None),
    'model_state_dict': dict(
        epoch=1, model_state_dict=STATE, optimizer_state_dict=ADAM, best=np.float64(0.3),
        at=np.int64(3)),
    'model': dict(model=STATE), 'net': dict(net=before('module.'), acc=91.2, epoch=7),
    'ema': dict(model=OTHER, ema=STATE),
    'deit': dict(model=OTHER, model_ema=STATE, args=argparse.Namespace(model='x')),
    'lightning': dict(
        epoch=1, state_dict=before('model.') | {'loss.weight': torch.ones(5)},
        callbacks=dict(best=dict(best_model_score=torch.tensor(0.1))),
        hyper_parameters=dict(lr=0.1)),
    'data parallel': before('module.'), 'compiled': before('_orig_mod.'),
    'compiled, then data parallel': before('module._orig_mod.'),
    'data parallel, then compiled': before('_orig_mod.module.'),
    'backbone': before('backbone.') | {'head.weight': torch.ones(5, 7)},
    'encoder': dict(state_dict=before('encoder.')),
    'a stack': dict(checkpoint=dict(state_dict=before('model._orig_mod.module.backbone.'))),
    'a compiled stage': within('layer1.', 'layer1._orig_mod.'),
    'a data parallel stage': within('layer1.', 'layer1.module.'),
    'swa_utils': before('module.') | {'n_averaged': torch.tensor(3)},
    'two in one, averaged': before('model.', OTHER) | before('ema_model.module.'),
    'a name of its own': dict(my_net=OrderedDict(STATE), epoch=3),
    'moco': dict(
        state_dict=before('module.encoder_q.') | before('module.encoder_k.', OTHER)
        | dict(queue=torch.ones(3))),
    'parameters': {k: nn.Parameter(v) if v.is_floating_point() else v for k, v in STATE.items()}}


@pytest.mark.parametrize('name', FILES)
def test_checkpoints(name, tmp_path):
    file = tmp_path/'model_best.pth.tar'
    torch.save(FILES[name], file)
    got = build(ARCH, 5, find_weights(ARCH, str(file))).state_dict()
    for k, v in STATE.items():
        if name != 'backbone' or not k.startswith('fc'):
            assert torch.equal(got[k], v), k
    again = build(ARCH, 9, find_weights(ARCH, str(file))).state_dict()     # another number of classes
    assert torch.equal(again['layer4.0.conv1.weight'], STATE['layer4.0.conv1.weight'])
    assert again['fc.weight'].shape == (9, STATE['fc.weight'].shape[1]) and again['fc.weight'].std() < .012


def test_formats(tmp_path):
    save_file(before('model.'), tmp_path/'model.safetensors')
    (tmp_path/'named.bin').write_bytes((tmp_path/'model.safetensors').read_bytes())    # known by content
    torch.save(STATE, tmp_path/'old.pth', _use_new_zipfile_serialization=False)
    half = {k: v.half() if v.is_floating_point() else v for k, v in STATE.items()}
    torch.save(half, tmp_path/'half.pth')
    for given in (tmp_path, tmp_path/'named.bin', tmp_path/'old.pth'):                 # the first is a folder
        assert torch.equal(
            build(ARCH, 5, find_weights(ARCH, str(given))).conv1[0].weight, STATE['conv1.0.weight'])
    low = build(ARCH, 5, find_weights(ARCH, str(tmp_path/'half.pth'))).conv1[0].weight
    assert low.dtype == torch.float32 and torch.equal(low, STATE['conv1.0.weight'].half().float())


class Touch:
    "What pickle would run at loading."
    def __init__(self, run, *args):
        self.run, self.args = run, args
    def __reduce__(self):
        return self.run, self.args


@pytest.mark.parametrize('legacy', (False, True))
def test_no_code_is_run(legacy, tmp_path):
    marker, file = tmp_path/'marker', tmp_path/'w.pth'
    for run, args in (
        (os.system, f'touch {marker}'),
        (open, (str(marker), 'w')),
        (eval, f'open({str(marker)!r}, "w")'),
        (pathlib.Path.touch, pathlib.Path(marker)),
    ):
        payload = Touch(run, *(args if isinstance(args, tuple) else (args,)))
        for held in (
            payload,
            dict(state_dict=STATE, args=payload),
            argparse.Namespace(a=payload),
            {**STATE, 'x': payload},
        ):
            torch.save(held, file, _use_new_zipfile_serialization=not legacy)
            with pytest.raises(
                BadInput, match=r'holds more than weights, .*torch.save\(model.state_dict'
            ) as e:
                load_pretrained(timm.create_model(ARCH), str(file))
            assert str(file) in str(e.value) and '\n' not in str(e.value) and not marker.exists()
    file.write_bytes(pickle.dumps(Touch(open, str(marker), 'w')))
    with pytest.raises(BadInput, match='weight file'):
        read_state(str(file))
    assert not marker.exists()


def stored(net: str, **kwargs) -> dict:
    "The tensors of a network, all 0: only their names and shapes are looked at."
    with torch.device('meta'):
        state = timm.create_model(net, **kwargs).state_dict()
    return {k: torch.zeros_like(v, device='cpu') for k, v in state.items()}


def own(net: str) -> nn.Module:
    "A network that nothing was put into yet."
    with torch.device('meta'):
        return timm.create_model(net, num_classes=5).to_empty(device='cpu')


REFUSED = {
    'a larger one': (
        'resnet18', lambda: stored('resnet34'),
        'it holds 80 tensors that this network has no place for'),
    'a larger one behind a prefix': (
        'resnet18', lambda: before('model.', stored('resnet34')), 'no place for'),
    'a smaller one': (
        'resnet34', lambda: stored('resnet18'),
        '80 tensors are missing .* first layer1.2.conv1.weight'),
    'with other blocks': (
        'resnet18', lambda: stored('seresnet18'), 'no place for, first layer1.0.se'),
    'of another family': ('resnet18', lambda: stored('convnext_atto'), 'tensors are missing'),
    'other channels': (
        'resnet18', lambda: stored('resnet18', in_chans=1),
        'conv1.weight .64×1×7×7 float32 in the file, 64×3×7×7'),
    'cut': (
        'resnet18', lambda: {k: v for k, v in stored('resnet18').items() if 'layer4' not in k},
        '25 tensors are missing'),
    'whole numbers': (
        ARCH, lambda: {k: v.to(torch.int8) for k, v in STATE.items()}, 'int8 in the file'),
    'diverged': (
        ARCH, lambda: STATE | {'layer1.0.conv1.weight': torch.full((32, 32, 3, 3), torch.nan)},
        'not finite, first in layer1.0'),
    'a pickled network': (ARCH, lambda: NET, 'timm.models.resnet.BasicBlock'),
    'an optimizer alone': (ARCH, lambda: dict(optimizer=ADAM), 'holds no tensors under names'),
    'a list': (ARCH, lambda: [1, 2], 'holds no tensors under names')}


@pytest.mark.parametrize('name', REFUSED)
def test_refused(name, tmp_path):
    arch, held, sentence = REFUSED[name]
    file = tmp_path/'w.pth'
    torch.save(held(), file)
    with pytest.raises(BadInput, match=sentence) as e:
        load_pretrained(own(arch), str(file))
    assert str(file) in str(e.value) and '\n' not in str(e.value)


def test_unreadable(tmp_path):
    whole, file = io.BytesIO(), tmp_path/'w.pth'
    torch.save(STATE, whole)
    contents = {
        b'version https://git-lfs.github.com/spec/v1\noid sha256:0': 'git lfs pull',
        b'\n<!DOCTYPE html>': 'web page', b'': 'no whole file', b'hello': 'no whole file',
        whole.getvalue()[:9999]: 'no whole file', b'\x89HDF\r\n': 'Keras'}
    for content, sentence in contents.items():
        file.write_bytes(content)
        with pytest.raises(BadInput, match=sentence) as e:
            read_state(str(file))
        assert str(file) in str(e.value) and '\n' not in str(e.value)
    (tmp_path/'empty').mkdir()
    with pytest.raises(BadInput, match='holds none of model.safetensors'):
        find_weights(ARCH, str(tmp_path/'empty'))


class Two(nn.Module):
    def __init__(self, *names):
        super().__init__()
        for n in names:
            self.add_module(n, nn.Linear(3, 3))


def test_by_order():
    def taken(theirs, own):
        state = Two(*theirs).state_dict()
        return rename_by_order(state, Two(*own)) is not state
    assert taken(('fc1', 'fc2'), ('lin1', 'lin2'))
    assert not taken(('fc2', 'fc1'), ('lin1', 'lin2'))           # numbers out of order
    assert not taken(('key', 'query'), ('q', 'k'))               # of one shape, and nothing tells them apart
    assert not taken(('b', 'a'), ('a', 'b'))                     # the same names, elsewhere
    assert not taken(('a', 'b'), ('b', 'c'))
    lite = read_state(find_weights('tf_efficientnet_lite0').file)
    own = timm.create_model('tf_efficientnet_lite0')
    assert set(rename_by_order(lite, own)) == set(own.state_dict())
    assert 'conv_stem.weight' not in rename_by_order({k: lite[k] for k in sorted(lite)}, own)


def test_names_of_the_hub(monkeypatch):
    r = override(Recipe(), arch='hf-hub:timm/resnet50.a1_in1k')
    assert (r.arch, r.pretrained) == ('resnet50.a1_in1k', True) and from_dict(to_dict(r)) == r
    assert (
        override(Recipe(), arch='resnet50', pretrained='timm/resnet50.a1_in1k').arch
        == 'resnet50.a1_in1k')
    r = override(
        Recipe(), arch='timm/resnet50', pretrained='https://huggingface.co/timm/resnet50.a1_in1k')
    assert (r.arch, r.pretrained) == ('resnet50.a1_in1k', True)
    assert override(Recipe(), pretrained='w.pth').pretrained == 'w.pth'
    for given, sentence in (
        (dict(arch='hf-hub:timm/resnet5o'), 'near it'),
        (dict(arch='resnet50.x'), "no weights 'x'"),
        (dict(arch='resnet18', pretrained='hf-hub:timm/resnet50.a1_in1k'), 'give arch resnet50'),
        (dict(arch='hf-hub:who/what'), "`pretrained` 'hf-hub:who/what'"),
    ):
        with pytest.raises(BadInput, match=re.escape(sentence)):
            override(Recipe(), **given)
    assert (
        find_weights('tf_efficientnet_lite0', 'hf-hub:timm/tf_efficientnet_lite0.in1k').kind
        == 'package')
    monkeypatch.setenv('HF_HUB_OFFLINE', '1')
    with pytest.raises(BadInput, match='who/what cannot be had from the hub'):
        find_weights('resnet18', 'hf-hub:who/what')


def test_repository_in_the_cache(monkeypatch, tmp_path):
    import huggingface_hub
    save_file(STATE, tmp_path/'model.safetensors')
    asked = lambda repo, name: (
        str(tmp_path / name) if (repo, name) == ('who/what', 'model.safetensors') else None)
    monkeypatch.setattr(huggingface_hub, 'try_to_load_from_cache', asked)
    w = find_weights(ARCH, 'hf-hub:who/what')
    assert w.kind == 'cache' and torch.equal(build(ARCH, 5, w).fc.weight, STATE['fc.weight'])


TINY = dict(embed_dim=48, depth=3, num_heads=3)
FEW = dict(depths=(1, 1, 2, 1))       # a block of each kind
SWIN = dict(**FEW, embed_dim=24)
NETS = {  # name: (pixels, arguments of timm, whether it is an ordinary one)
    'resnet10t': (32, {}, True),
    'efficientnet_b0': (64, {}, True),
    'mobilenetv2_050': (32, {}, True),
    'regnetx_002': (32, {}, True),
    'convnext_atto': (32, FEW, True),
    'mobilenetv3_small_050': (32, {}, True),
    'tf_efficientnet_lite0': (32, {}, True),
    'regnety_002': (32, {}, True),
    'ghostnet_050': (32, {}, True),
    'repvgg_a0': (32, {}, True),
    'beit_base_patch16_224': (32, TINY, False),
    'vit_tiny_patch16_224': (32, TINY, False),
    'poolformer_s12': (64, {}, False),
    'poolformerv2_s12': (64, {}, False),
    'mambaout_femto': (32, FEW, False),
    'swin_tiny_patch4_window7_224': (112, SWIN, False),
    'edgenext_xx_small': (64, FEW, False),
    'starnet_s1': (32, FEW, False),
    'maxvit_pico_rw_256': (64, FEW, False),
    'inception_next_atto': (32, FEW, False),
    'fastvit_t8': (64, dict(layers=(1, 1, 2, 1)), False),
    'pvt_v2_b0': (64, FEW, False),
}


def settled(name: str, drop_path: float) -> nn.Module:
    "A small network as after some training."
    size, kwargs, _ = NETS[name]
    torch.manual_seed(1)
    kwargs = kwargs | (dict(drop_path_rate=drop_path) if drop_path else {})
    kwargs |= dict(img_size=size) if re.match('beit|vit|mixer|swin|maxvit', name) else {}
    net = timm.create_model(name, num_classes=5, **kwargs)
    for m in net.modules():
        if isinstance(m, nn.modules.batchnorm._BatchNorm):
            nn.init.normal_(m.running_mean, 0, .1)
            nn.init.uniform_(m.running_var, .5, 2)
            nn.init.uniform_(m.weight, .5, 1.5)     # else hardly anything sets two images apart
            nn.init.normal_(m.bias, 0, .1)
    return net


def cut_at(net: nn.Module, share: float):
    "Freeze so many of the parameters, from the first on, wherever that ends."
    parameters = list(net.parameters())
    for i, p in enumerate(parameters):
        p.requires_grad_(i >= round(share*(len(parameters) - 1)))
    return train_mode(net)


@torch.no_grad()
def off(got: torch.Tensor, wanted: torch.Tensor) -> float:
    return float((got - wanted).abs().max()/(wanted[0] - wanted[1]).abs().max())


BOTH = (
    'resnet10t', 'convnext_atto', 'beit_base_patch16_224', 'mambaout_femto', 'poolformer_s12',
    'vit_tiny_patch16_224')
# of many parts, each of which is tried alone
LARGE = (
    'efficientnet_b0', 'repvgg_a0', 'fastvit_t8', 'tf_efficientnet_lite0', 'maxvit_pico_rw_256')


def either(name: str, drop_path: float):
    return pytest.param(name, drop_path, marks=pytest.mark.slow if name in LARGE else ())


@pytest.mark.parametrize('name, drop_path', [either(n, .2) for n in NETS] + [(n, 0) for n in BOTH])
def test_fast_forms_say_the_same(name, drop_path):
    size, _, ordinary = NETS[name]
    x = torch.randn(2, 3, size, size, generator=torch.Generator().manual_seed(2))
    try:
        net = settled(name, drop_path)
    except TypeError:      # it has no stochastic depth
        net = settled(name, 0)
    fast = inference(net, x)
    if ordinary:
        assert not conv_bn_pairs(fast, x)      # folded, where there was something to fold
    exact, wide = net.double().eval(), x.double()
    with torch.no_grad():
        wanted = exact(wide)
        assert off(inference(exact, wide)(wide), wanted) < 1e-10
    net = net.float()
    for share in (.35, .8):
        p = find_prefix(cut_at(net, share), x)
        if ordinary and share > .5:
            assert p is not None
        if p is None:
            continue
        exact = net.double().eval()
        split = Prefix(exact, p.units, exact)
        with torch.no_grad():
            wanted, z = exact(wide), split(wide)
            with split.rest():
                assert off(exact(z), wanted) < 1e-10, (share, p.units[-1])
        net = net.float()


class Scale(nn.Module):
    def __init__(self):
        super().__init__()
        self.gamma = nn.Parameter(torch.zeros(1))
    def forward(self, x):
        return self.gamma*x


class Halves(nn.Module):
    "A residual branch that counts for nothing as yet."
    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(3, 4, 3)
        self.second = nn.Conv2d(4, 4, 1)
        self.scale = Scale()
        self.head = nn.Linear(4, 5)
    def forward(self, x):
        x = self.first(x)
        x = x + self.scale(self.second(x))
        return self.head(x.mean((2, 3)))


def test_images_hardly_set_apart():
    """An untrained LCNet tells two images apart by a millionth of its answers: float64 has the
    digits for that, too."""
    x = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(2)).double()
    torch.manual_seed(1)
    net = timm.create_model('lcnet_035', num_classes=5).double().eval()
    assert conv_bn_pairs(net, x) and not conv_bn_pairs(inference(net, x), x)


def test_what_counts_for_nothing_yet_is_found():
    net = Halves()
    for p in (*net.first.parameters(), *net.second.parameters()):
        p.requires_grad_(False)
    prefix = find_prefix(train_mode(net), torch.randn(2, 3, 8, 8))
    assert prefix.units == ['first']          # not 'second', although its branch is multiplied by 0


class Dropping(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
    def forward(self, x):
        return nn.functional.dropout(self.conv(x), .5, self.training)


def test_dropout_that_is_no_module():
    net = nn.Sequential(Dropping(), nn.Flatten(), nn.Linear(4*36, 5))
    for p in net[0].parameters():
        p.requires_grad_(False)
    x = torch.randn(2, 3, 8, 8)
    assert find_prefix(train_mode(net, frozen_eval=False), x) is None
    assert find_prefix(train_mode(net), x).units[0] == '0'


def test_a_wrong_fold_by_little_is_refused():
    class Leak(nn.Module):      # what the convolution puts out goes elsewhere too, by a thousandth
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(3, 5, 1)
            self.bn = nn.BatchNorm2d(5)
            self.scale = nn.Parameter(torch.tensor(1e-3))
        def forward(self, x):
            y = self.conv(x)
            return (self.bn(y) + self.scale*y).mean((2, 3))
    x, net = torch.randn(2, 3, 8, 8), Leak().eval()
    net.bn.running_mean.fill_(.5)
    assert len(conv_bn_pairs(net, x)) == 1 and len(conv_bn_pairs(inference(net, x), x)) == 1
    near = Leak().eval()
    near.load_state_dict(net.state_dict())
    nn.init.constant_(near.scale, 2e-3)
    assert not same_outputs(near.double(), net.double(), x.double())


def net_of_two():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(16, 5))
    net.pretrained_cfg = dict(classifier='2')
    return net


X = torch.randn(11, 4, 3, 4, 4, generator=torch.Generator().manual_seed(3))
Y = torch.arange(44).reshape(11, 4) % 5
DTYPES = dict(none=None, bf16=torch.bfloat16, fp16=torch.float16)


def ten_steps(name: str, amp: str) -> list[torch.Tensor]:
    net = net_of_two()
    optimizer = make_optimizer(
        name, param_groups(net, lr=1e-3, weight_decay=0.01), scaled=amp == 'fp16')
    scaler = torch.amp.GradScaler('cpu', enabled=amp == 'fp16')
    for i in range(10):
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast('cpu', DTYPES[amp], enabled=amp != 'none'):
            logits = net(X[i])
        loss = nn.functional.cross_entropy(logits.float(), Y[i])
        overflow = i == 0 and amp == 'fp16'
        scaler.scale(loss*torch.inf if overflow else loss).backward()
        scaler.unscale_(optimizer)
        scaler.step(optimizer)
        scaler.update()
    return [p.detach() for p in net.parameters()]


@pytest.fixture
def filled():
    "Memory that nobody wrote holds NaN, instead of zeros by luck."
    torch.use_deterministic_algorithms(True, warn_only=True)
    yield
    torch.use_deterministic_algorithms(False)


@pytest.mark.parametrize('amp', DTYPES)
def test_ten_steps_of_every_optimizer(amp, filled, monkeypatch):
    for name in OPTIMIZERS:
        got = ten_steps(name, amp)
        assert all(p.isfinite().all() for p in got), (name, amp)
        assert not any(torch.equal(p, q) for p, q in zip(got, net_of_two().parameters())), (
            name, amp)
    names = [prefix + n for n in ('sgd', 'adam', 'adamw') for prefix in ('', 'lookahead_')]
    as_is = {n: ten_steps(n, amp) for n in names}
    monkeypatch.setattr(optimizer_room, 'FUSED', ())
    for name in names:
        for p, q in zip(as_is[name], ten_steps(name, amp)):
            assert torch.allclose(p, q, rtol=1e-5, atol=1e-7), (name, amp)


def test_sgd_is_fused_where_nothing_is_skipped():
    w = [nn.Parameter(torch.zeros(2))]
    assert (
        make_optimizer('sgd', w).param_groups[0]['fused']
        and make_optimizer('adam', w, scaled=True).param_groups[0]['fused'])
    for name in ('sgd', 'lookahead_sgd'):
        assert not make_optimizer(name, w, scaled=True).param_groups[0].get('fused')


def test_precision_by_margin():
    f = lambda none, bf16=None, fp16=None, **kw: fastest(
        {k: v for k, v in dict(none=none, bf16=bf16, fp16=fp16).items() if v is not None}, **kw)
    # nearly equal: the safer one, each time
    assert f(100, 200, 205) == f(100, 200, 199) == f(100, 205, 200) == f(100, 200, 200) == 'bf16'
    assert f(100, 200, 221) == 'fp16' and f(100, 200, 219) == 'bf16'
    assert f(100, 109, 109) == f(100, 105, 90) == f(100, 100, 100) == f(100, 50, 60) == 'none'
    assert f(100, 50, 200) == 'fp16' and f(100, fp16=200) == 'fp16' and f(100, fp16=105) == 'none'
    assert (
        f(0.0, 0.0, 0.0) == f(100) == fastest({}) == 'none' and f(0.0, 0.0, 5.0) == 'fp16'
        and f(0.0, 5.0, 5.0) == 'bf16')
    assert fastest(dict(fp16=200, bf16=200, none=100)) == 'bf16'      # whatever their order
    assert f(100, 120, 130, margin=1.05) == 'fp16' and f(100, 120, 130, margin=1.25) == 'none'
