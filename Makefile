# `make train` and `make test` work on a fresh clone with nothing but Python 3.10 or later.
PYTHON ?= python3
TASK ?= classification
# What the embedded data set of each task trains well with; anything of the command line can be added to OVERRIDES.
SETTINGS_classification := network=resnet18 network.weights=none image.size=32 augment.horizontal_flip=false \
    hyper.epochs=8 hyper.optimizer=adamw hyper.schedule=cosine
SETTINGS_detection := network=rtmdet_tiny network.weights=none image.size=128 hyper.epochs=12 hyper.batch_size=4 \
    hyper.learning_rate=0.002 hyper.optimizer=adamw hyper.schedule=cosine hyper.warmup_epochs=1 dataset.folds=none
SETTINGS_segmentation := network=segformer_b0 network.weights=none image.size=128 augment.horizontal_flip=false \
    augment.resized_crop=false augment.rotation=0 hyper.epochs=8 hyper.batch_size=4 hyper.optimizer=adamw \
    hyper.schedule=cosine hyper.warmup_epochs=1 dataset.folds=none
VENV := .venv
BIN := $(VENV)/bin

.PHONY: train test test-slow lint docs typing_root clean

train: $(VENV)/.installed-all
	$(BIN)/sightsmith train task=$(TASK) dataset.root=sample $(SETTINGS_$(TASK)) $(OVERRIDES)

test: $(VENV)/.installed-test
	$(BIN)/pytest -n 2 --dist worksteal -m "not slow" --seconds 10

test-slow: $(VENV)/.installed-test
	$(BIN)/pytest -n 2 --dist worksteal -m slow

docs: $(VENV)/.installed-docs typing_root
	$(BIN)/python docs/generate.py build/docs
	PYTHONPATH=docs $(BIN)/zensical build --clean --strict
	$(BIN)/python docs/check_links.py site

lint: $(VENV)/.installed-test typing_root
	$(BIN)/ruff check .
	MYPYPATH=typing_root $(BIN)/mypy --explicit-package-bases --namespace-packages -p sightsmith
	PYTHONPATH=typing_root $(BIN)/lint-imports

# The package as its names have it, for tools that read files and know nothing of setup.cfg.
typing_root:
	mkdir -p typing_root/sightsmith
	cp package_root/*.py typing_root/sightsmith/
	for part in core engine plugins conf presets; do ln -sfn ../../$$part typing_root/sightsmith/$$part; done
	mkdir -p typing_root/hydra_plugins
	ln -sfn ../../package_root/hydra_plugin typing_root/hydra_plugins/sightsmith

# Compiling all modules of all packages takes as long as installing them; Python compiles those that are imported.
$(VENV)/.installed-%: setup.cfg pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --upgrade pip
	$(BIN)/pip install --quiet --no-compile -e '.[$*]'
	touch $@

clean:
	rm -rf $(VENV) typing_root build/docs site .cache
