# Two commands do everything on a fresh machine with Python 3.11 or newer: `make demo` and `make test`.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin

# what `make demo` can be given, e.g. DATA=photos RECIPES="baseline v5" ARCH=resnet50; all may be left out
GIVEN  := RECIPES:versions DATA:data FOLDS:folds FOLD:fold TEST_FOLD:test_fold VALID:valid ARCH:arch PRETRAINED:pretrained EPOCHS:epochs \
  IMG_SIZE:img_size BATCH_SIZE:batch_size LR:lr SCALE:scale OUT:out WORKERS:workers DEVICE:device ON_ERROR:on_error LABEL:label LEVEL:level SEED:seed FLOOR:floor BODY:body KEEP:keep JOBS:jobs THREADS:threads
# one word for the shell, whatever is in it
quoted  = '$(subst ','\'',$(1))'
field   = $(word $(2),$(subst :, ,$(1)))
OPTIONS = $(foreach g,$(GIVEN),$(if $(filter command,$(origin $(call field,$(g),1))),--$(call field,$(g),2)=$(call quoted,$($(call field,$(g),1)))))

# a variable that is none of these is a slip of the pen
KNOWN  := PYTHON VENV $(foreach g,$(GIVEN),$(call field,$(g),1))
ODD    := $(filter-out $(KNOWN),$(foreach v,$(.VARIABLES),$(if $(filter command,$(origin $(v))),$(v))))
$(if $(ODD),$(error unknown $(ODD); give some of: $(KNOWN)))

.PHONY: help env demo test test-fast notebooks pytest nodiff readme docs lab clean
help:
	@echo "make demo    environment, sample photographs if data/ has none, then the whole pipeline"
	@echo "make test    every notebook (nbdev_test), pytest, and no difference after export and clean"
	@echo "make test-fast  the tests that need seconds, no other process, no root, no server, no browser"
	@echo "make lab     JupyterLab on the notebooks"
	@echo "make docs    the notebooks and pages as a site in _docs; a broken link is an error"
	@echo "make readme  README.md from nbs/index.ipynb"

# the environment: made once, and again when its files change; most of what is installed is never imported, and what is gets compiled then
$(BIN)/.installed: setup.py settings.ini requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed; give one with PYTHON=...")'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -q --disable-pip-version-check --no-compile -c requirements.lock -e '.[demo,dev]'
	@touch $@
env: $(BIN)/.installed

demo: env
	$(BIN)/python -m rock_nb.pipeline $(OPTIONS)

lab: env
	$(BIN)/jupyter lab --notebook-dir=nbs $(if $(filter 0,$(shell id -u)),--allow-root)

test: nodiff notebooks pytest

# threads that wait for each other cost more than they give where two processes share two cores
notebooks: env
	OMP_NUM_THREADS=1 $(BIN)/nbdev_test --n_workers 3 --timing

pytest: env
	$(BIN)/python -m pytest tests -n 2 --dist loadfile --no-loadscope-reorder

test-fast: env
	$(BIN)/python -m pytest tests -n 2 --dist loadfile --no-loadscope-reorder -m 'not (processes or root or browser or redis or slow)'

# export, clean and the README may change nothing
nodiff: env
	$(BIN)/python tests/nodiff.py

readme: env
	$(BIN)/jupyter nbconvert --log-level WARN --to markdown --TagRemovePreprocessor.enabled=True --TagRemovePreprocessor.remove_cell_tags hide nbs/index.ipynb --output-dir . --output README

docs: env
	$(BIN)/python docs/build.py

clean:
	rm -rf $(VENV) *.egg-info .pytest_cache _docs _proc
