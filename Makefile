# Two words are enough: `make demo` to see it work, `make test` to check everything.
PYTHON ?= python3.11
BIN := .venv/bin
STAMP := .venv/.installed
PACKAGED := $(shell find flows operators schemas state -name '*.py' -o -name '*.yaml')
COMPILED := build/compiled/.made
IMAGED := build/image/.made
# What follows, on the compiled packages in a folder.
on = PYTHONSAFEPATH=1 PYTHONPATH=$(CURDIR)/$(1):$(CURDIR)
AS_COMPILED = $(call on,build/compiled)
# A Python that may not keep what it compiled does it at every start: .3 s of 1.2, and the tests start hundreds.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: truth demo test compiled lint types imports drift unit crash places laws pure flows running around lock kafka soak bench-churn bench-full \
	bench-replay image image-steps clean

demo: $(STAMP)
	$(BIN)/oncue demo

# Four at a time, the longest first: the tests of the whole program mostly wait for processes and brokers.
SIDE_BY_SIDE = $(MAKE) --no-print-directory --jobs=4 --output-sync=target
TESTS = flows running crash places around laws pure

# The image's steps need no .venv, and begin while it is made.
test:
	$(SIDE_BY_SIDE) $(TESTS) types lint imports drift

$(STAMP): requirements.lock pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check --no-compile --require-hashes -r requirements.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	touch $(STAMP)

# The packages with the hot part of the core as machine code, where there is a C compiler. A worker started with
# PYTHONPATH=build/compiled runs these.
compiled: $(COMPILED)

$(COMPILED): $(STAMP) deploy/compiled.py $(PACKAGED)
	$(BIN)/python deploy/compiled.py build/compiled
	touch $(COMPILED)

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(STAMP)
	$(BIN)/mypy

imports: $(STAMP)
	$(BIN)/lint-imports --no-cache

drift: $(STAMP)
	$(BIN)/python -m schemas.generate --check

unit:
	$(SIDE_BY_SIDE) $(TESTS)

PURE = tests/operators tests/properties tests/schemas
RUNNING = $(patsubst %,tests/flows/test_%.py,run trouble telemetry topics_change peers again)
PLACES = $(patsubst %,tests/crash/test_%.py,places zombie learning_kill)

# Poison is planted by numbers that raise; compiled code does not ask them.
pure: $(STAMP)
	$(BIN)/python -m pytest tests/schemas tests/properties/test_poison.py operators schemas state

# On the compiled core of the image.
laws: $(STAMP) $(IMAGED)
	$(call on,build/image/opt/oncue/compiled) $(BIN)/python -m pytest --import-mode=append --override-ini=pythonpath= tests/operators tests/properties

flows: $(STAMP)
	$(BIN)/python -m pytest tests/flows $(patsubst %,--ignore=%,$(RUNNING))

running: $(STAMP)
	$(BIN)/python -m pytest $(RUNNING)

crash: $(STAMP)
	$(BIN)/python -m pytest tests/crash $(patsubst %,--ignore=%,$(PLACES))

places: $(STAMP)
	$(BIN)/python -m pytest $(PLACES)

around: $(STAMP)
	$(BIN)/python -m pytest tests $(patsubst %,--ignore=%,tests/crash tests/flows $(PURE))

# Pins for every supported Python; run after changing the dependencies in pyproject.toml.
COMPILE = $(BIN)/pip-compile --quiet --generate-hashes --allow-unsafe --strip-extras \
	--no-emit-index-url --no-emit-find-links --no-emit-trusted-host

lock:
	$(COMPILE) --extra dev --extra parquet -o requirements.lock pyproject.toml
	$(COMPILE) -o requirements-run.lock pyproject.toml
	$(COMPILE) --extra compile -o requirements-build.lock pyproject.toml

# BASE: the image that it is built on, by its digest; IMAGE: what to call it.
IMAGE ?= oncue:latest
image:
	@echo "$(BASE)" | grep -Eq '^[^@ ]+@sha256:[0-9a-f]{64}$$' || { \
		echo "make image BASE=python:3.11-slim-bookworm@sha256:...: docs/deployment.md says where the digest is from"; \
		exit 2; }
	docker build --pull --build-arg BASE=$(BASE) --tag $(IMAGE) .

# The Dockerfile's steps without a container engine, and what they installed tried out: a minute or two.
image-steps: $(IMAGED)

$(IMAGED): Dockerfile requirements-run.lock requirements-build.lock pyproject.toml README.md LICENSE \
		deploy/compiled.py deploy/image_steps.py $(PACKAGED)
	rm -rf build/image
	$(PYTHON) deploy/image_steps.py build/image
	touch $(IMAGED)

# A real Kafka broker on a free loopback port, until Ctrl-C.
kafka: $(STAMP)
	$(BIN)/python deploy/kafka/broker.py

# For an hour or so. EVENTS, KILLS, WORKERS and SEED may be given; ARGS="--help" for more.
soak: $(COMPILED)
	$(AS_COMPILED) $(BIN)/python -m tests.crash.soak $(foreach it,EVENTS KILLS WORKERS SEED,$(if $($(it)),--$(shell \
		echo $(it) | tr A-Z a-z) $($(it)))) $(ARGS)

# Every customer's features against a batch computation; FILE is UCI Online Retail as CSV, gzipped.
truth: $(STAMP)
	$(BIN)/python -m bench.truth_retail --file $(FILE)

# DATA: a folder with online_retail.csv.gz and online_shoppers_intention.csv (both UCI) and CDNOW_master.txt;
# ARGS="--file NAME=PATH,DAYS" for others.
bench-churn: $(COMPILED)
	$(AS_COMPILED) $(BIN)/python -m bench.churn $(if $(DATA),--data $(DATA)) $(ARGS)

# FILE: UCI Online Retail as CSV, gzipped.
bench-replay: $(COMPILED)
	$(AS_COMPILED) $(BIN)/python -m bench.replay --file $(FILE)

bench-full: $(COMPILED)
	$(AS_COMPILED) $(BIN)/python -m bench.full

clean:
	rm -rf .venv build *.egg-info deploy/kafka/target
