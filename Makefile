# Everything starts from a clean clone: the first target that needs it makes .venv and installs into it.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
RUNS := $(or $(ZOOMSR_RUNS),runs)
CAT := $(VENV)/lib/python*/site-packages/skimage/data/chelsea.png

# The python of the targets *-gpu: python3 where it has torch with CUDA, as on a rented machine, else .venv's.
WITH_CUDA = if $(PYTHON) -c "import hydra, lightning, torch, xdist; torch.cuda.init()" 2>/dev/null; \
	then python=$(PYTHON); else $(MAKE) -s $(READY) && python=$(BIN)/python; fi &&

.DEFAULT_GOAL := help
.PHONY: help demo test test-slow test-gpu test-streaming test-clusters test-page docs lint types check-numbers numbers format bench-metrics bench-data bench-train bench-gpu bench-zoom bench-busy bench-faithful train-gpu study speedrun wheel clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1 \t\2/' | expand -t 22

demo: $(READY) ## zoom a photograph with a pretrained net, then train one and compare it with bicubic (4 minutes on 2 cores)
	$(BIN)/python -m zoomsr.zoom '$(CAT)' --box 100,50,128,128 --compare --overwrite -o "$(RUNS)/first_zoom.png"
	$(BIN)/python -m zoomsr.train model=unet trainer.max_epochs=10

test: $(READY) ## the tests, without the slow ones (under 5 minutes on 2 cores)
	# A core for each process: more threads would wait for one another.
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n auto --maxprocesses 8 -m "not slow and not gpu"

test-slow: $(READY) ## the slow tests: sweeps, the wheel in an empty environment
	$(BIN)/python -m pytest -q -m slow

test-gpu: ## the tests on CUDA (4 minutes on one GPU)
	# Four at a time: each waits for its start and for the GPU more than it computes.
	$(WITH_CUDA) OMP_NUM_THREADS=4 $$python -m pytest -q -rs -n 4 tests/gpu

test-streaming: $(READY) ## the streaming tests, with litdata and an S3 server on this machine
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt boto3 obstore "moto[s3,server]"
	# Without its torchvision: one that does not fit this torch breaks every import of torchmetrics.
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt --no-deps litdata
	$(BIN)/python -m pytest -q tests/data/sources/test_streaming.py

test-clusters: $(READY) ## the tests of SLURM and Ray, each on a cluster of this machine
	# As root, where there is apt-get; elsewhere SLURM's tests skip, unless it is there already.
	-if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && ! command -v slurmctld >/dev/null; then \
	    apt-get update -qq && DEBIAN_FRONTEND=noninteractive \
	    apt-get install -qq -y --no-install-recommends slurm-wlm munge >/dev/null; fi
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt "submitit>=1.5" "ray>=2.9"
	$(BIN)/python -m pytest -q -rs tests/jobs/launchers/test_slurm.py tests/jobs/launchers/test_ray.py

test-page: $(READY) ## the tests of the pages, in a real Chromium
	# As root, where there is apt-get; elsewhere the tests skip, unless chromium is there already.
	-if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && ! command -v chromium >/dev/null; then \
	    apt-get update -qq && DEBIAN_FRONTEND=noninteractive \
	    apt-get install -qq -y --no-install-recommends chromium >/dev/null; fi
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt "gradio>=6.20,<7" "playwright>=1.50"
	$(BIN)/python -m pytest -q -rs tests/webapp/test_demo.py tests/webapp/test_webapp.py tests/webapp/test_viewer.py tests/webapp/test_gate.py tests/webapp/test_offline_page.py tests/report/test_report_page.py

docs: $(READY) ## the documentation as a site that opens from disk: build/docs/index.html; broken links are errors
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[docs]"
	rm -rf build/docs build/doctrees
	$(BIN)/python -m sphinx -q -W --keep-going -c docs -d build/doctrees . build/docs
	@echo build/docs/index.html

lint: $(READY) ## ruff: rules and format
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(READY) ## mypy, strict
	$(BIN)/mypy

check-numbers: $(READY) ## cog --check: tables and numbers of the READMEs are those of their csv files
	$(BIN)/python -m experiments.tables --check --diff

numbers: $(READY) ## cog: rewrite the READMEs' tables and numbers from their csv files
	$(BIN)/python -m experiments.tables -r

format: $(READY) ## let ruff format the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench-metrics: $(READY) ## time PSNR and SSIM beside other libraries
	$(BIN)/python -m experiments.benchmarks.metrics.bench

bench-data: $(READY) ## pairs per second from packed pixels beside the usual ways; PHOTOS=FOLDER for your own
	$(BIN)/python -m experiments.benchmarks.loading.bench $(if $(PHOTOS),--photos "$(PHOTOS)")

bench-train: $(READY) ## images per second of the trainer beside a raw PyTorch loop
	$(BIN)/python -m experiments.benchmarks.training_speed.bench

bench-gpu: ## the trainer and zoom on one GPU: rates, what holds them up, peak memory (under 4 minutes)
	$(WITH_CUDA) $$python -m experiments.benchmarks.gpu_speed.bench $(ARGS)

bench-zoom: $(READY) ## a photograph through every engine, with times and peak memory
	$(BIN)/python -m experiments.benchmarks.inference_speed.bench

bench-busy: $(READY) ## commands beside a program that keeps a core busy, with OpenMP's default and with ours
	$(BIN)/python -m experiments.benchmarks.busy_core.bench

bench-faithful: $(READY) ## what back-projection costs: the default path of zoom beside --back-projection 0
	$(BIN)/python -m experiments.benchmarks.inference_speed.back_projection

# The recipes of the pretrained nets, warm-started from their weights (NAME_x3 from NAME's where it has none), with patches
# and batches for a GPU; ARGS adds overrides.
NETS ?= unet
MINUTES ?= 8
BUDGET ?= $(MINUTES)m
OUT ?= $(or $(ZOOMSR_RUNS),runs)/exported
GPU_RUN = $(or $(ZOOMSR_RUNS),runs)/gpu_$*
NET = $(firstword $(subst _x, ,$*))
SCALE = $(or $(word 2,$(subst _x, ,$*)),2)
RECIPE = $(NET)_$(if $(wildcard conf/experiment/$(NET)_photos.yaml),photos,291)
SET = $(if $(shell test -e '$(DATA)/photos.csv' && echo yes),photos,folder)
PRETRAINED = experiment=$(RECIPE) scale=$(SCALE) \
	$(if $(DATA),data=$(SET) 'data.root=$(DATA)' $(if $(VAL),'data.val_root=$(VAL)')) \
	ckpt=$(NET) ckpt_mode=weights compile=true \
	data.patch=192 data.batch_size=32 data.patches_per_image=256 data.min_side=192 data.val_patch=192 $(ARGS)

train-gpu: $(NETS:%=train-gpu-%) ## NETS="unet unet_x3 unet_x4" DATA=FOLDER VAL=FOLDER MINUTES=8 OUT=FOLDER: train pretrained nets on, and export them

train-gpu-%:
	$(WITH_CUDA) $$python -m zoomsr.train $(PRETRAINED) trainer.max_epochs=0 "hydra.run.dir=$(GPU_RUN)_before" overwrite=true && \
	$$python -m zoomsr.train $(PRETRAINED) budget=$(BUDGET) "hydra.run.dir=$(GPU_RUN)" overwrite=true && \
	$$python -m zoomsr.export -m "$(GPU_RUN)" -o "$(OUT)/$*.safetensors" --licence MIT --overwrite && \
	$$python -m zoomsr.compare "$(GPU_RUN)_before" "$(GPU_RUN)" -o "$(GPU_RUN)_report" && \
	cp "$(GPU_RUN)_report/results.csv" "$(OUT)/$*.csv"

study: $(READY) ## S=NAME of experiments/: train what is missing, measure, redraw; DATA="data=folder data.root=DIR" TEST="Set5 Set14"
	$(BIN)/python -m experiments.study $(S) --data "$(or $(DATA),data=sample)" $(foreach folder,$(TEST),--test "$(folder)")

speedrun: $(READY) ## SET5=FOLDER TARGET=37.0 DATA="data=photos data.root=FOLDER": run the fastest training to that PSNR again, and check it
	$(BIN)/python -m experiments.speedrun.run --target $(or $(TARGET),37.0) --set5 "$(SET5)" --data "$(or $(DATA),data=photos)"

wheel: $(READY) ## build dist/zoomsr-*.whl
	$(BIN)/python -m build --wheel --no-isolation

clean: ## remove what the targets made; runs/ and data/ stay
	rm -rf $(VENV) dist build .pytest_cache .mypy_cache .ruff_cache .hypothesis

# Again only when the requirements change; an interrupted install leaves no stamp.
$(READY): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[dev]"
	touch $@
